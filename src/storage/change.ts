import { isEntryOf, isMessageEntry, type TranscriptEntry } from "../core/entry.js";
import { cloneJson, copyJson, jsonBytes, sameJson } from "../core/json.js";
import type { SessionKey } from "../core/key.js";
import { readEntry } from "../core/read-entry.js";
import { initialRecord, project, type SessionRecord } from "../core/record.js";
import { MAX_EXTRA_BYTES } from "../core/state.js";
import { StorageError } from "../errors.js";
import { appendingOf } from "./appending.js";
import { isRecord } from "./record-shape.js";
import type { Change, Updater } from "./storage.js";

/** A change that has been checked and cut off from the objects the caller still holds. */
export interface CheckedChange {
  /** What the entries follow on: the record as it was, or that of a session nobody has spoken in. */
  before: SessionRecord;
  /** The record as it shall stand. */
  record: SessionRecord;
  /** Whether that is what `before` becomes by the entries, so that it need not be stored to be had again. */
  follows: boolean;
  append: TranscriptEntry[];
  /** The entries as JSON. */
  lines: string[];
}

/**
 * As `decideChange`, for a storage that keeps only text of the entries: what the library itself appends is what it is, and most
 * of it leaves nothing of its own in a record, so that neither need be checked or copied.
 */
export function decideOwnChange(
  key: SessionKey,
  updater: Updater,
  current: SessionRecord | undefined,
): CheckedChange | undefined {
  const decide = appendingOf(updater);
  if (decide === undefined) return decideChange(key, updater, current);
  const decided = decide(current);
  if (decided === undefined) return undefined;
  const { before } = decided;
  const record = project(before, decided.append);
  if (current === undefined || !decided.append.every(leavesNothing))
    return checkChange(key, { record, append: decided.append }, current);
  return { before, record, follows: true, append: [...decided.append], lines: decided.append.map(toLine) };
}

function leavesNothing(entry: TranscriptEntry): boolean {
  return (isMessageEntry(entry) || isEntryOf(entry, "turn")) && !isFramed(entry);
}

/**
 * Runs an updater and checks what it decided, the same for every storage. For the `update` of a storage of your own: call it
 * with what is stored, within whatever makes the update atomic, and store what it returns.
 * @throws TypeError when the updater is asynchronous or its change is not one that could be read back.
 * @throws StorageError when the change belongs to another session, or is more than a record may hold.
 */
export function decideChange(
  key: SessionKey,
  updater: Updater,
  current: SessionRecord | undefined,
): CheckedChange | undefined {
  const change: unknown = updater(current === undefined ? undefined : cloneJson(current));
  if (change === undefined) return undefined;
  if (typeof change === "object" && change !== null && "then" in change) {
    // What it comes to is refused with it; left unhandled, a rejection would end the process.
    if (change instanceof Promise) void change.then(ignore, ignore);
    throw new TypeError("An updater must be synchronous: no lock may be held while other code is waited for.");
  }
  return checkChange(key, change, current);
}

function checkChange(key: SessionKey, change: unknown, current: SessionRecord | undefined): CheckedChange {
  if (!isChange(change)) throw new TypeError("An updater must return { record, append? } or undefined.");
  const lines = (change.append ?? []).map(toLine);
  const append = lines.map((line) => JSON.parse(line) as TranscriptEntry);
  if (!append.every(isStorable)) throw entryRefused();
  const given = checkIdentity(key, change.record, current);
  const before = current ?? startOf(given);
  const projected = project(before, append);
  const follows = sameJson(projected, given);
  const record = follows ? projected : checkRecord(given);
  if (record.state.extra !== before.state.extra) checkExtra(key, record, current);
  return { before, record, follows, append, lines };
}

function ignore(): void {}

// A transcript holds more than entries: its header, records, and what frames the lines of an update.
const RESERVED_TYPES: ReadonlySet<unknown> = new Set(["session", "record", "void"]);
const RESERVED_FIELDS = ["_lines", "_more", "_rev", "_on"];

function isStorable(entry: TranscriptEntry): boolean {
  if (readEntry(entry, "") === undefined) return false;
  if (RESERVED_TYPES.has((entry as { type?: unknown }).type)) return false;
  return !isFramed(entry);
}

function isFramed(entry: TranscriptEntry): boolean {
  return RESERVED_FIELDS.some((field) => Object.hasOwn(entry, field));
}

function toLine(entry: TranscriptEntry): string {
  const line: string | undefined = JSON.stringify(entry);
  if (line === undefined) throw entryRefused();
  return line;
}

function entryRefused(): TypeError {
  return new TypeError("An updater returned an entry that is none, so it could not be read back.");
}

function checkIdentity(key: SessionKey, record: SessionRecord, current: SessionRecord | undefined): SessionRecord {
  if (typeof record.key !== "string" || typeof record.uuid !== "string") throw recordRefused();
  if (record.key !== key) {
    throw new StorageError("An update may not change the key of its record.", { operation: "storage.update", key });
  }
  if (current !== undefined && record.uuid !== current.uuid) {
    throw new StorageError("An update may not change the uuid of its record; delete the session first.", {
      operation: "storage.update",
      key,
    });
  }
  return record;
}

function startOf(record: SessionRecord): SessionRecord {
  if (typeof record.created !== "string" || !Array.isArray(record.ancestors)) throw recordRefused();
  return copyJson(initialRecord(record));
}

function checkRecord(record: SessionRecord): SessionRecord {
  const copy = copyJson(record);
  if (!isRecord(copy)) throw recordRefused();
  return copy;
}

function recordRefused(): TypeError {
  return new TypeError("An updater returned a record that is none, so it could not be read back.");
}

// A record is read and copied on every message, and every process holds those of all sessions. One that is too large
// already, from before there was a bound, may stay as it is or shrink.
function checkExtra(key: SessionKey, { state }: SessionRecord, current: SessionRecord | undefined): void {
  const bytes = jsonBytes(state.extra);
  if (bytes <= MAX_EXTRA_BYTES) return;
  if (current !== undefined && bytes <= jsonBytes(current.state.extra)) return;
  throw new StorageError(
    `A session's state.extra would take ${bytes} bytes of JSON; at most ${MAX_EXTRA_BYTES} fit. Keep it in a store of your own and put its id here.`,
    { operation: "storage.update", key },
  );
}

function isChange(value: unknown): value is Change {
  if (typeof value !== "object" || value === null || !("record" in value)) return false;
  const { record, append } = value as { record: unknown; append?: unknown };
  return typeof record === "object" && record !== null && (append === undefined || Array.isArray(append));
}
