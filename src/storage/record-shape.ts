import { ACTIVATION_MODES } from "../core/activation.js";
import type { SessionRecord } from "../core/record.js";

/**
 * Whether a value is a record as an index or a transcript may hold it. Fields that this version does not know are kept.
 * By hand: a store of 100,000 sessions is checked each time it is opened, and the first of them must not wait for a schema to
 * be compiled.
 */
export function isRecord(value: unknown): value is SessionRecord {
  return isObject(value) && typeof value.key === "string" && hasRecordFacts(value);
}

/** Whether an object has all facts of a record but its key, which an index has as the name of the entry. */
export function hasRecordFacts(value: unknown): value is Omit<SessionRecord, "key"> {
  if (!isObject(value)) return false;
  const { uuid, created, lastActive, messageCount, state } = value;
  return (
    areTexts([uuid, created, lastActive]) &&
    isCount(messageCount) &&
    isState(state) &&
    isTexts(value.ancestors) &&
    isTexts(value.openTurns) &&
    isTextOrNull(value.lastClear) &&
    Array.isArray(value.recentMessages) &&
    value.recentMessages.every(isSeen) &&
    (value.contextTokens === null || Number.isFinite(value.contextTokens)) &&
    isTextOrNull(value.contextEntry) &&
    isCount(value.compactions) &&
    isFlush(value.memoryFlush) &&
    isUsage(value.usageTotal) &&
    Array.isArray(value.waiting) &&
    value.waiting.every(isWaiting) &&
    Array.isArray(value.subagents) &&
    value.subagents.every(isLive) &&
    Array.isArray(value.toDelete) &&
    value.toDelete.every(isEnded) &&
    isTexts(value.sharedBy)
  );
}

/** A whole number, 0 or more. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

const MODES: ReadonlySet<unknown> = new Set(ACTIVATION_MODES);

function isState(value: unknown): boolean {
  if (!isObject(value)) return false;
  const { model, modelOverride, activationMode, lastCompaction, memoryFlushed, extra } = value;
  return (
    isTextOrNull(model) &&
    isTextOrNull(modelOverride) &&
    MODES.has(activationMode) &&
    isTextOrNull(lastCompaction) &&
    typeof memoryFlushed === "boolean" &&
    isObject(extra)
  );
}

function isFlush(value: unknown): boolean {
  return value === null || (isObject(value) && areTexts([value.at, value.status]));
}

function isUsage(value: unknown): boolean {
  if (!isObject(value)) return false;
  return [value.input, value.output, value.cacheRead, value.cacheWrite].every(Number.isFinite);
}

function isLive(value: unknown): boolean {
  return isObject(value) && areTexts([value.key, value.run, value.mode]);
}

function isEnded(value: unknown): boolean {
  return isObject(value) && areTexts([value.key, value.run]);
}

function isWaiting(value: unknown): boolean {
  return isObject(value) && typeof value.run === "string";
}

function isSeen(value: unknown): boolean {
  return isObject(value) && areTexts([value.messageId, value.address, value.id]);
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && areTexts(value);
}

function areTexts(values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === "string");
}

function isTextOrNull(value: unknown): boolean {
  return value === null || typeof value === "string";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
