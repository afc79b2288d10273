import { type CompactionPolicy, compactionThresholds } from "./compaction-policy.js";
import type { CompactionEntry, MessageEntry, TranscriptEntry } from "./entry.js";
import { cutOf, pairsOf } from "./turn-cut.js";
import { windowOf } from "./window.js";

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
  /** Messages that stay besides those that are `pinned` and those of role `system` at the beginning. Default: none. */
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
  options: CompactionPlanOptions,
): CompactionPlan | undefined {
  const { policy, contextWindow, overheadTokens = 0 } = options;
  const room =
    contextWindow === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(0, compactionThresholds(contextWindow, policy).compact - overheadTokens);
  return planWithin(entries, { ...options, keep: Math.min(policy.keepRecentTokens, Math.floor(room / 2)), room });
}

/**
 * Plans which of the oldest turns to leave out so that what stays takes no more than `room` tokens, or as little as may be.
 * `undefined` when nothing need, or nothing can leave.
 */
export function planDrop(
  entries: Iterable<TranscriptEntry>,
  options: Pick<CompactionPlanOptions, "countTokens" | "openTurns" | "isPinned"> & { room: number },
): CompactionPlan | undefined {
  return planWithin(entries, { ...options, keep: options.room });
}

function planWithin(
  entries: Iterable<TranscriptEntry>,
  {
    countTokens,
    openTurns = [],
    isPinned = () => false,
    keep,
    room,
  }: Pick<CompactionPlanOptions, "countTokens" | "openTurns" | "isPinned"> & { keep: number; room: number },
): CompactionPlan | undefined {
  const { summary, messages, carried } = windowOf(entries);
  const sizes = messages.map((message) => checkSize(countTokens(message)));
  const tokensBefore = sizes.reduce((sum, size) => sum + size, 0);
  if (tokensBefore <= keep) return undefined;
  const setUp = messages.findIndex(({ role }) => role !== "system");
  // What the host set up at the beginning stays. Notes that it adds later are part of the conversation.
  const setUpIds = new Set(messages.slice(0, Math.max(0, setUp)).map(({ id }) => id));
  const staysAnyway = (message: MessageEntry) =>
    message.pinned === true || setUpIds.has(message.id) || isPinned(message);
  const cut = cutOf(messages, sizes, { keep, room, openTurns, isPinned: staysAnyway });
  if (cut === undefined) return undefined;
  const leaves = (_message: unknown, at: number) => at < cut.at && !cut.kept.has(at);
  // What was kept before is kept as before: from `firstKept` on, the transcript must hold nothing that has left.
  const first = Math.max(cut.at, carried);
  const firstKept = messages[first];
  if (firstKept === undefined) return undefined;
  return {
    firstKept: firstKept.id,
    kept: messages.flatMap((message, at) => (at < first && !leaves(message, at) ? [message.id] : [])),
    summarize: messages.filter(leaves),
    previousSummary: summary,
    tokensBefore,
    tokensAfter: sizes.reduce((sum, size, at) => sum + (leaves(size, at) ? 0 : size), 0),
  };
}

/**
 * What a plan comes to as an entry. Without a summary what leaves is left untold, and counted: the summary before it stays.
 */
export function compactionOf(
  { firstKept, kept, summarize, previousSummary = "" }: CompactionPlan,
  entries: Iterable<TranscriptEntry>,
  summary?: string,
): Pick<CompactionEntry, "type" | "summary" | "firstKept" | "kept" | "dropped" | "messages"> {
  const window = windowOf(entries);
  const dropped = window.dropped + (summary === undefined ? summarize.length : 0);
  const copies = window.messages.filter(({ id }) => kept.includes(id));
  return {
    type: "compaction",
    summary: summary ?? previousSummary,
    firstKept,
    ...(copies.length === 0 ? {} : { kept: copies }),
    ...(dropped === 0 ? {} : { dropped }),
    messages: summarize.length,
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
