import type { MessageEntry, TranscriptEntry } from "./entry.js";
import type { SessionState } from "./state.js";
import { cutOf, pairsOf } from "./turn-cut.js";
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

/** Above how many tokens a window is to be flushed, and shortened. `flush <= compact <= contextWindow`. */
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
  if (Number.isNaN(tokens)) throw new TypeError("tokens must be the size of the next prompt.");
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
  /** What a prompt holds besides these messages: instructions, tools, the summary. Default 0. */
  overheadTokens?: number | undefined;
  /** The messages whose turns still run, as the record has them: nothing from the first of them on leaves. Default: none. */
  openTurns?: readonly string[] | undefined;
  /** Messages that stay as they are whatever happens. Default: none. */
  isPinned?: ((message: MessageEntry) => boolean) | undefined;
}

/**
 * Plans a compaction of what is in force among some entries. `undefined` when nothing can leave, or nothing need because all of it is
 * within `keepRecentTokens`.
 *
 * Cuts fall between turns, and the last one stays, or all from the first that still runs. Only where that does not fit is it cut,
 * between its steps, and then what people said in it stays. A tool call is never parted from its result. If what is to be kept
 * cannot be met, as much leaves as may, so that planning again gains nothing more.
 */
export function planCompaction(
  entries: Iterable<TranscriptEntry>,
  {
    policy,
    countTokens,
    contextWindow,
    overheadTokens = 0,
    openTurns = [],
    isPinned = () => false,
  }: CompactionPlanOptions,
): CompactionPlan | undefined {
  const { summary, messages } = windowOf(entries);
  const sizes = messages.map((message) => checkSize(countTokens(message)));
  const room =
    contextWindow === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(0, compactionThresholds(contextWindow, policy).compact - overheadTokens);
  const keep = Math.min(policy.keepRecentTokens, Math.floor(room / 2));
  const tokensBefore = sizes.reduce((sum, size) => sum + size, 0);
  if (tokensBefore <= keep) return undefined;
  const cut = cutOf(messages, sizes, { keep, room, openTurns, isPinned });
  if (cut === undefined) return undefined;
  const leaves = (_message: unknown, at: number) => at < cut.at && !cut.kept.has(at);
  const summarize = messages.filter(leaves);
  return {
    firstKept: (messages[cut.at] as MessageEntry).id,
    kept: messages.slice(0, cut.at).flatMap(({ id }, at) => (cut.kept.has(at) ? [id] : [])),
    summarize,
    previousSummary: summary,
    tokensBefore,
    tokensAfter: sizes.reduce((sum, size, at) => sum + (leaves(size, at) ? 0 : size), 0),
  };
}

function checkSize(tokens: number): number {
  if (!(tokens >= 0)) throw new TypeError("countTokens must give a number of tokens, 0 or more.");
  return tokens;
}

/**
 * Whether a plan may still be carried out on what the transcript has become: messages may have come in behind it, but a clear,
 * another compaction or the late result of a call that was to leave has made it void.
 */
export function planStillApplies(plan: CompactionPlan, entries: Iterable<TranscriptEntry>): boolean {
  const { summary, messages } = windowOf(entries);
  if (summary !== plan.previousSummary) return false;
  const at = messages.findIndex(({ id }) => id === plan.firstKept);
  if (at < 0) return false;
  const kept = new Set(plan.kept);
  const leaving = [...messages.keys()].filter((place) => place < at && !kept.has((messages[place] as MessageEntry).id));
  const leavingPlaces = new Set(leaving);
  // A result that has come in since must not be parted from its call.
  const isParted = pairsOf(messages).some(([call, result]) => result >= at && leavingPlaces.has(call));
  return (
    !isParted &&
    leaving.length === plan.summarize.length &&
    leaving.every((place, n) => messages[place]?.id === plan.summarize[n]?.id)
  );
}
