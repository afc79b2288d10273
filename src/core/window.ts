import { isEntryOf, isMessageEntry, type MessageEntry, type TranscriptEntry } from "./entry.js";

/** The messages in force, and the summary that stands for those before them. */
export interface Window {
  summary: string | undefined;
  messages: MessageEntry[];
}

/**
 * The one definition of what is in force: the messages after the last clear, cut at the last compaction's `firstKept`, and what that
 * compaction kept of those before it.
 * Whoever shows, counts, cuts or sends a window asks here; two definitions would lose messages between them.
 */
export function windowOf(entries: Iterable<TranscriptEntry>): Window {
  let window: Window = { summary: undefined, messages: [] };
  for (const entry of entries) {
    if (isMessageEntry(entry)) {
      if (!entry.cleared) window.messages.push(entry);
    } else if (isEntryOf(entry, "clear")) {
      window = { summary: undefined, messages: [] };
    } else if (isEntryOf(entry, "compaction")) {
      const from = window.messages.findIndex((message) => message.id === entry.firstKept);
      // A summary whose first kept message is not here would throw away what it does not stand for.
      if (from < 0) continue;
      const kept = new Set(entry.kept);
      const before = window.messages.slice(0, from).filter(({ id }) => kept.has(id));
      window = { summary: entry.summary, messages: [...before, ...window.messages.slice(from)] };
    }
  }
  return window;
}
