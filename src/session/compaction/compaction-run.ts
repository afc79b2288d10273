import {
  type CompactionPlan,
  type CompactionPlanOptions,
  compactionOf,
  planCompaction,
  planDrop,
  planStillApplies,
} from "../../core/compaction.js";
import type { CompactionCause, CompactionEntry } from "../../core/entry.js";
import type { Usage } from "../../core/message.js";
import type { SessionRecord } from "../../core/record.js";
import { windowOf } from "../../core/window.js";
import { headSize, overheadOf, type Prompt, promptOf } from "../prompt/prompt.js";
import { reducedSize, WHOLE } from "../prompt/reduction.js";
import type { Shell } from "../shell.js";
import type { CompactionOutcome } from "./compaction-outcome.js";
import { flushMemory } from "./memory-flush.js";
import { mostToTell, type Summarised, summarise } from "./summary.js";

export interface CompactionRequest {
  cause: CompactionCause;
  instructions?: string | undefined;
  /** The command that asked for it. */
  of?: string | undefined;
  signal: AbortSignal;
  /** The window to fit, where that is known to be smaller than the model's. In tokens. */
  limit?: number | undefined;
}

/** Whether somebody asked for it, and it is not the library's own doing. */
export function isWished(cause: CompactionCause): boolean {
  return cause === "command" || cause === "host";
}

/** A plan with what it was made of, in tokens. */
interface Planned {
  prompt: Prompt;
  plan: CompactionPlan;
  /** What no compaction makes smaller: instructions and tools of the host. */
  overhead: number;
  /** What stood for earlier messages took. */
  head: number;
  /** Whether more could leave than is summarised now. */
  isPart: boolean;
}

/**
 * One compaction: flush memory, plan, summarise, commit. No lock is held over any of it: what is said meanwhile comes in behind,
 * and when the window has moved the commit is given up.
 */
export async function runCompaction(
  shell: Shell,
  meant: Pick<SessionRecord, "key" | "uuid">,
  request: CompactionRequest,
): Promise<CompactionOutcome> {
  const { signal } = request;
  if (signal.aborted) return ABORTED;
  const first = await plan(shell, meant, request);
  if (first === undefined) return { status: "unchanged", reason: "nothing-to-compact" };
  const { policy, record } = first.prompt;
  if (policy.memoryFlush.enabled && !record.state.memoryFlushed) {
    const flush = await flushMemory(shell, meant, signal);
    if (flush.status === "aborted") return ABORTED;
    if (flush.status === "failed" && policy.memoryFlush.onFailure === "block")
      return { status: "failed", reason: "memory-flush-failed", error: flush.error };
  }
  const planned = await plan(shell, meant, request);
  if (planned === undefined) return { status: "unchanged", reason: "superseded" };
  const told = await tell(shell, planned, request);
  const outcome = await useOf(shell, planned, told, request);
  if (outcome.status !== "compacted" && "usage" in told) await noteCost(shell, planned, told);
  return outcome;
}

const ABORTED: CompactionOutcome = { status: "unchanged", reason: "aborted" };

function useOf(shell: Shell, planned: Planned, told: Told, request: CompactionRequest): Promise<CompactionOutcome> {
  if (told.status === "failed") {
    const { reason, error } = told;
    return Promise.resolve({ status: "failed", reason, ...(error === undefined ? {} : { error }) });
  }
  if (told.status === "aborted" || request.signal.aborted) return Promise.resolve(ABORTED);
  return commit(shell, planned, told, request);
}

// What was paid for is counted, whether it could be used or not.
async function noteCost(shell: Shell, { prompt }: Planned, { usage }: { usage?: Usage | undefined }): Promise<void> {
  if (usage === undefined) return;
  const { key, uuid } = prompt.record;
  await shell.ledger.append(key, (now) =>
    now.uuid === uuid ? [{ type: "usage", purpose: "summary", usage }] : undefined,
  );
}

async function plan(
  shell: Shell,
  { key, uuid }: Pick<SessionRecord, "key" | "uuid">,
  { cause, limit }: CompactionRequest,
): Promise<Planned | undefined> {
  const record = await shell.ledger.read(key);
  if (record === undefined || record.uuid !== uuid) return undefined;
  const prompt = promptOf(shell, record, await shell.ledger.window(record));
  const { entries, counted, policy } = prompt;
  const { messages } = windowOf(entries);
  const sizes = await shell.gauge.sizes(messages, counted);
  const sizeOf = new Map(messages.map(({ id }, at) => [id, sizes[at] as number]));
  const head = (await headSize(shell, prompt)).tokens;
  const overhead = await overheadOf(shell, prompt);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  // Who asks for a compaction means now, also where the conversation is far from the limit.
  const keepRecentTokens = isWished(cause)
    ? Math.min(policy.keepRecentTokens, Math.floor(all / 4))
    : policy.keepRecentTokens;
  const counting = { countTokens: ({ id }: { id: string }) => sizeOf.get(id) ?? 0, openTurns: record.openTurns };
  const whole = planCompaction(entries, {
    ...counting,
    policy: { ...policy, keepRecentTokens },
    contextWindow: Math.max(1, Math.min(prompt.contextWindow, limit ?? Number.POSITIVE_INFINITY)),
    overheadTokens: overhead,
  });
  if (whole === undefined || !isWorthwhile(whole, head + overhead, policy.minReduction)) return undefined;
  const made = withinReach(shell, prompt, whole, limit, counting);
  return { prompt, plan: made, overhead, head, isPart: made !== whole };
}

// A window that is many times larger than the model's, as after `/model` to a small one, is compacted a part at a time.
function withinReach(
  shell: Shell,
  prompt: Prompt,
  whole: CompactionPlan,
  limit: number | undefined,
  counting: Pick<CompactionPlanOptions, "countTokens" | "openTurns">,
): CompactionPlan {
  if (prompt.policy.strategy !== "summarize") return whole;
  const most = mostToTell(shell, prompt, limit);
  if (whole.tokensBefore - whole.tokensAfter <= most) return whole;
  return planDrop(prompt.entries, { ...counting, room: whole.tokensBefore - most }) ?? whole;
}

// What no compaction makes smaller counts as well: to flush and summarise for a hundredth of the prompt is no way to live.
function isWorthwhile({ tokensBefore, tokensAfter }: CompactionPlan, around: number, minReduction: number): boolean {
  return tokensBefore - tokensAfter >= (tokensBefore + around) * minReduction;
}

type Usable = Extract<Summarised, { status: "told" }> | { status: "dropped" };

type Told =
  | Usable
  | Exclude<Summarised, { status: "told" }>
  | { status: "failed"; reason: "too-little-gained"; error?: undefined; usage: Usage | undefined };

async function tell(
  shell: Shell,
  { prompt, plan: made, head, overhead, isPart }: Planned,
  { instructions, signal, limit }: CompactionRequest,
): Promise<Told> {
  if (prompt.policy.strategy === "drop") return { status: "dropped" };
  const told = await summarise(shell, prompt, made, { instructions, signal, limit });
  if (told.status !== "told") return told;
  const leaves = made.tokensBefore - made.tokensAfter;
  const before = isPart ? leaves : made.tokensBefore + head + overhead;
  return leaves + head - told.tokens >= before * prompt.policy.minReduction
    ? told
    : { status: "failed", reason: "too-little-gained", usage: told.usage };
}

// The window may be read and found unmoved, and move before the entry is written: then it is looked at again.
const TRIES = 8;

async function commit(
  shell: Shell,
  { prompt: planned, plan: made, overhead }: Planned,
  told: Usable,
  { cause, of }: CompactionRequest,
): Promise<CompactionOutcome> {
  const { key, uuid } = planned.record;
  const summary = told.status === "told" ? told.summary : undefined;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const record = await shell.ledger.read(key);
    if (record === undefined || record.uuid !== uuid) break;
    const prompt = promptOf(shell, record, await shell.ledger.window(record));
    if (!planStillApplies(made, prompt.entries)) break;
    const facts = compactionOf(made, prompt.entries, summary);
    const size = await sizesAround(shell, prompt, facts);
    const tokensBefore = overhead + size.before;
    const tokensAfter = overhead + size.after;
    const { appended } = await shell.ledger.append(key, (now) =>
      isSame(now, record)
        ? [
            {
              ...facts,
              tokensBefore,
              tokensAfter,
              cause,
              ...(of === undefined ? {} : { of }),
              ...(told.status === "told" && told.model !== undefined ? { model: told.model } : {}),
              ...(told.status === "told" && told.usage !== undefined ? { usage: told.usage } : {}),
            },
          ]
        : undefined,
    );
    if (appended.length > 0) return { status: "compacted", tokensBefore, tokensAfter, messages: made.summarize.length };
  }
  return { status: "unchanged", reason: "superseded" };
}

function isSame(now: SessionRecord, record: SessionRecord): boolean {
  return (
    now.uuid === record.uuid &&
    now.messageCount === record.messageCount &&
    now.lastClear === record.lastClear &&
    now.compactions === record.compactions &&
    now.contextEntry === record.contextEntry
  );
}

async function sizesAround(
  shell: Shell,
  prompt: Prompt,
  facts: Omit<CompactionEntry, "id" | "timestamp">,
): Promise<{ before: number; after: number }> {
  const after = { ...prompt, entries: [...prompt.entries, { ...facts, id: "", timestamp: "" }] };
  return { before: await reducedSize(shell, prompt, WHOLE), after: await reducedSize(shell, after, WHOLE) };
}
