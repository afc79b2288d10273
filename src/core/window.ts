import { type CompactionEntry, isEntryOf, isMessageEntry, type MessageEntry, type TranscriptEntry } from "./entry.js";

/** The messages in force, and the summary that stands for those before them. */
export interface Window {
  summary: string | undefined;
  /** How many messages before them are told in no summary. */
  dropped: number;
  messages: MessageEntry[];
  /** So many of the messages, at the beginning, stand further back than the others: the last compaction kept them. */
  carried: number;
}

/**
 * The one definition of what is in force: the messages after the last clear, cut at the last compaction's `firstKept`, and what that
 * compaction kept of those before it. One that was undone counts as not having been.
 * Whoever shows, counts, cuts or sends a window asks here; two definitions would lose messages between them.
 */
export function windowOf(entries: Iterable<TranscriptEntry>): Window {
  const all = [...entries];
  const undone = undoneIn(all);
  let window: Window = { summary: undefined, dropped: 0, messages: [], carried: 0 };
  for (const entry of all) {
    if (isMessageEntry(entry)) {
      if (!entry.cleared) window.messages.push(entry);
    } else if (isEntryOf(entry, "clear")) {
      window = { summary: undefined, dropped: 0, messages: [], carried: 0 };
    } else if (isEntryOf(entry, "compaction") && !undone.has(entry.id)) {
      window = afterCompaction(window, entry);
    }
  }
  return window;
}

function afterCompaction(window: Window, { summary, firstKept, kept = [], dropped = 0 }: CompactionEntry): Window {
  const from = window.messages.findIndex(({ id }) => id === firstKept);
  // A summary whose first kept message is not here would throw away what it does not stand for.
  if (from < 0) return window;
  const messages = [...kept, ...window.messages.slice(from)];
  return { summary: summary === "" ? undefined : summary, dropped, messages, carried: kept.length };
}

/**
 * Where in the end of a transcript the window begins: what stands before need not be read. `undefined` when that is further back
 * than what was given.
 */
export function windowBeginsAt(tail: readonly TranscriptEntry[]): number | undefined {
  const clear = tail.findLastIndex((entry) => isEntryOf(entry, "clear"));
  const compaction = compactionInForce(tail);
  if (compaction === undefined) return clear < 0 ? undefined : clear;
  const isFirst = (entry: TranscriptEntry, at: number) =>
    at > clear && isMessageEntry(entry) && !entry.cleared && entry.id === compaction.firstKept;
  const first = tail.findIndex(isFirst);
  return first < 0 ? undefined : first;
}

/** The last compaction since the last clear that was not undone. */
export function compactionInForce(entries: readonly TranscriptEntry[]): CompactionEntry | undefined {
  const undone = undoneIn(entries);
  const last = entries.findLast(
    (entry) => isEntryOf(entry, "clear") || (isEntryOf(entry, "compaction") && !undone.has(entry.id)),
  );
  return last !== undefined && isEntryOf(last, "compaction") ? last : undefined;
}

/** The compactions that were taken back. */
export function undoneIn(entries: readonly TranscriptEntry[]): Set<string> {
  const undone = new Set<string>();
  for (const entry of entries) if (isEntryOf(entry, "undo")) undone.add(entry.of);
  return undone;
}
