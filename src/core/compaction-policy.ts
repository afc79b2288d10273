import type { MessageEntry } from "./entry.js";
import type { SessionKey } from "./key.js";
import type { SessionState } from "./state.js";

/** How messages that no longer fit leave the window: told in a summary, or not at all. */
export const COMPACTION_STRATEGIES = ["summarize", "drop"] as const;
export type CompactionStrategy = (typeof COMPACTION_STRATEGIES)[number] | Summarize;

/** A summary of the host's own making, in place of one the session's model writes. */
export type Summarize = (request: SummarizeRequest) => string | PromiseLike<string>;

/** What is to be summarised. */
export interface SummarizeRequest {
  key: SessionKey;
  uuid: string;
  /** What leaves the window, in order. */
  messages: readonly MessageEntry[];
  /** The summary so far. The new one takes its place, so it must carry on what still matters. */
  previousSummary: string | undefined;
  /** What a person asked for with `/compact`, or the host with `compact()`. */
  instructions: string | undefined;
  signal: AbortSignal;
}

/** What becomes of a compaction when memory could not be flushed before it. */
export const FLUSH_FAILURE_POLICIES = ["continue", "block"] as const;

/** When and how far a window is shortened, in tokens. */
export interface CompactionPolicy {
  /** Default true. */
  enabled: boolean;
  /** Default `summarize`. */
  strategy: CompactionStrategy;
  /** The model that writes summaries. Default: the session's. */
  model?: string;
  /** Kept free for the reply and what comes with it, if that is more than the floor. Default 0. */
  reserveTokens: number;
  /** At least so much is kept free; in a small window never more than half of it. Default 20000. */
  reserveTokensFloor: number;
  /** What stays as it was said, newest first; never more than half of what a window holds. Default 20000. */
  keepRecentTokens: number;
  /** A compaction that makes the prompt smaller by less than this share of it has failed. Above 0, below 1; default 0.1. */
  minReduction: number;
  /** A summary or a flush that takes longer has failed. In seconds, above 0; default 300. */
  timeoutSeconds: number;
  memoryFlush: {
    /** Default true. */
    enabled: boolean;
    /** So much before the threshold the flush is due; never more than a quarter of what a window holds. Default 4000. */
    softThresholdTokens: number;
    /** With `block`, nothing is compacted that was not flushed before. Default `continue`. */
    onFailure: (typeof FLUSH_FAILURE_POLICIES)[number];
    /** Also when the history is cleared, from what it was. Default false. */
    onClear: boolean;
    /** What the model is asked. Default: to save what must not be forgotten with the tools it has for that. */
    prompt?: string;
  };
}

/** A policy of which anything may be left out. */
export type CompactionSettings = {
  [K in Exclude<keyof CompactionPolicy, "memoryFlush">]?: CompactionPolicy[K] | undefined;
} & {
  memoryFlush?:
    | { [K in keyof CompactionPolicy["memoryFlush"]]?: CompactionPolicy["memoryFlush"][K] | undefined }
    | undefined;
};

/** The policy of a config that says nothing of compaction. */
export const DEFAULT_COMPACTION: CompactionPolicy = {
  enabled: true,
  strategy: "summarize",
  reserveTokens: 0,
  reserveTokensFloor: 20_000,
  keepRecentTokens: 20_000,
  minReduction: 0.1,
  timeoutSeconds: 300,
  memoryFlush: { enabled: true, softThresholdTokens: 4000, onFailure: "continue", onClear: false },
};

/** A policy with some of its settings changed. */
export function withSettings(
  policy: CompactionPolicy,
  { memoryFlush, ...settings }: CompactionSettings,
): CompactionPolicy {
  const flush = { ...policy.memoryFlush, ...given(memoryFlush ?? {}) };
  return { ...policy, ...given(settings), memoryFlush: flush } as CompactionPolicy;
}

// A setting that is there and undefined was left out, and must not take the place of one that is set.
function given<T extends object>(settings: T): T {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as T;
}

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
  const reserve = Math.max(policy.reserveTokens, policy.reserveTokensFloor);
  const compact = contextWindow - Math.min(reserve, Math.floor(contextWindow / 2));
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
