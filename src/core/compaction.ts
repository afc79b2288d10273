import type { MessageEntry, TranscriptEntry } from "./entry.js";
import type { SessionState } from "./state.js";
import { cutOf, withPairs } from "./turn-cut.js";
import { windowOf } from "./window.js";

/** How messages that no longer fit leave the window: told in a summary, or not at all. */
export const COMPACTION_STRATEGIES = ["summarize", "drop"] as const;
export type CompactionStrategy = (typeof COMPACTION_STRATEGIES)[number];

/** When and how far a window is shortened, in tokens. */
export interface CompactionPolicy {
  /** Default true. */
  enabled: boolean;
  /** Default `summarize`. */
  strategy: CompactionStrategy;
  /** Kept free for the reply and what comes with it; in a small window never more than half of it. Default 20000. */
  reserveTokensFloor: number;
  /** What stays as it was said, newest first; never more than half of what a window holds. Default 20000. */
  keepRecentTokens: number;
  memoryFlush: {
    /** Default true. */
    enabled: boolean;
    /** So much before the threshold the flush is due; never more than a quarter of what a window holds. Default 4000. */
    softThresholdTokens: number;
  };
}

/** The policy of a config that says nothing of compaction. */
export const DEFAULT_COMPACTION: CompactionPolicy = {
  enabled: true,
  strategy: "summarize",
  reserveTokensFloor: 20_000,
  keepRecentTokens: 20_000,
  memoryFlush: { enabled: true, softThresholdTokens: 4000 },
};

/** Above how many tokens a window is to be flushed, and shortened. `flush <= compact < contextWindow`. */
export interface CompactionThresholds {
  flush: number;
  compact: number;
}

/**
 * The thresholds of a policy for a window of any size. Settings made for a large window are cut down for a small one, or a
 * floor above the window would mean that every message is too many.
 * @throws TypeError when `contextWindow` is not a number of tokens, 1 or more.
 */
export function compactionThresholds(contextWindow: number, policy: CompactionPolicy): CompactionThresholds {
  if (!Number.isFinite(contextWindow) || contextWindow < 1)
    throw new TypeError("contextWindow must be the model's number of tokens, 1 or more.");
  const compact = contextWindow - Math.min(policy.reserveTokensFloor, Math.floor(contextWindow / 2));
  return { compact, flush: compact - Math.min(policy.memoryFlush.softThresholdTokens, Math.floor(compact / 4)) };
}

/**
 * What is to be done before the next call of the model: `flush-memory` once before each compaction, `compact` when the prompt has
 * grown beyond the threshold. `threshold` is the one that was passed, or the one that comes next.
 */
export function assessCompaction({
  tokens,
  contextWindow,
  policy,
  state,
}: {
  /** The size of the next prompt. */
  tokens: number;
  contextWindow: number;
  policy: CompactionPolicy;
  state: Pick<SessionState, "memoryFlushed">;
}): { action: "none" | "flush-memory" | "compact"; threshold: number } {
  const { flush, compact } = compactionThresholds(contextWindow, policy);
  if (!policy.enabled) return { action: "none", threshold: compact };
  if (tokens > compact) return { action: "compact", threshold: compact };
  if (!policy.memoryFlush.enabled || state.memoryFlushed) return { action: "none", threshold: compact };
  return { action: tokens > flush ? "flush-memory" : "none", threshold: flush };
}

/** What a compaction would do. Every message of the window is in exactly one of `summarize`, `kept` and what begins with `firstKept`. */
export interface CompactionPlan {
  /** The first message of those that stay. */
  firstKept: string;
  /** Messages before it that stay all the same: pinned ones, and what a turn that had to be cut is an answer to. */
  kept: readonly string[];
  /** What leaves the window, in order. */
  summarize: readonly MessageEntry[];
  /** The summary that stood for what left earlier. The new one must carry it on. */
  previousSummary: string | undefined;
  /** What the messages of the window take, without a summary, now and after. */
  tokensBefore: number;
  tokensAfter: number;
}

export interface CompactionPlanOptions {
  policy: CompactionPolicy;
  /** What one message takes in a prompt. */
  countTokens(message: MessageEntry): number;
  /** The window of the model. Without it `keepRecentTokens` counts as it is, and a turn is never cut. */
  contextWindow?: number | undefined;
  /** The messages whose turns still run, as the record has them: nothing from the first of them on leaves. Default: none. */
  openTurns?: readonly string[] | undefined;
  /** Messages that stay as they are whatever happens. Default: none. */
  isPinned?: ((message: MessageEntry) => boolean) | undefined;
}

/**
 * Plans a compaction of what is in force among some entries. `undefined` when nothing can leave.
 *
 * Cuts fall between turns, and the last one stays. Only a last turn that alone is too large is cut, between its steps, and then
 * what the person said in it stays. A tool call is never parted from its result.
 */
export function planCompaction(
  entries: Iterable<TranscriptEntry>,
  { policy, countTokens, contextWindow, openTurns = [], isPinned = () => false }: CompactionPlanOptions,
): CompactionPlan | undefined {
  const { summary, messages } = windowOf(entries);
  const sizes = messages.map((message) => countTokens(message));
  const room = contextWindow === undefined ? undefined : compactionThresholds(contextWindow, policy).compact;
  const keep = room === undefined ? policy.keepRecentTokens : Math.min(policy.keepRecentTokens, Math.floor(room / 2));
  const cut = cutOf(messages, sizes, { keep, room: room ?? Number.POSITIVE_INFINITY, openTurns });
  if (cut === undefined) return undefined;
  const before = messages.slice(0, cut.at);
  const kept = withPairs(
    before,
    before.filter((message, at) => at === cut.asked || isPinned(message)),
  );
  const leaves = (message: MessageEntry, at: number) => at < cut.at && !kept.has(message.id);
  const summarize = messages.filter(leaves);
  if (summarize.length === 0) return undefined;
  const sum = (of: (message: MessageEntry, at: number) => boolean) =>
    messages.reduce((total, message, at) => total + (of(message, at) ? (sizes[at] ?? 0) : 0), 0);
  return {
    firstKept: (messages[cut.at] as MessageEntry).id,
    kept: before.flatMap(({ id }) => (kept.has(id) ? [id] : [])),
    summarize,
    previousSummary: summary,
    tokensBefore: sum(() => true),
    tokensAfter: sum((message, at) => !leaves(message, at)),
  };
}

/**
 * Whether a plan may still be carried out on what the transcript has become: messages may have come in behind it, but a clear or
 * another compaction has made it void.
 */
export function planStillApplies(plan: CompactionPlan, entries: Iterable<TranscriptEntry>): boolean {
  const { summary, messages } = windowOf(entries);
  if (summary !== plan.previousSummary) return false;
  const at = messages.findIndex(({ id }) => id === plan.firstKept);
  if (at < 0) return false;
  const kept = new Set(plan.kept);
  const leaving = messages.slice(0, at).filter(({ id }) => !kept.has(id));
  return leaving.length === plan.summarize.length && leaving.every(({ id }, n) => id === plan.summarize[n]?.id);
}
