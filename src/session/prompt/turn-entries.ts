import { isEntryOf, isMessageEntry, type MessageEntry, type TranscriptEntry } from "../../core/entry.js";
import { compactionInForce } from "../../core/window.js";

/**
 * What a turn's prompt is made of: all up to what was asked, and the turn's own steps. What the host appends meanwhile comes
 * behind the answer. A message that a clear has put out of the window is answered by itself.
 */
export function entriesFor(window: readonly TranscriptEntry[], user: MessageEntry): TranscriptEntry[] {
  const at = window.findIndex(({ id }) => id === user.id);
  const clear = window.findLastIndex((entry) => isEntryOf(entry, "clear"));
  const isCarried = compactionInForce(window)?.kept?.some(({ id }) => id === user.id) ?? false;
  if (user.cleared || (!isCarried && (at < 0 || at < clear))) return aloneIn(window, user);
  const isOwn = (entry: TranscriptEntry, place: number) =>
    place <= at || (isMessageEntry(entry) ? entry.of === user.id : true);
  const own = window.filter(isOwn);
  const compaction = compactionInForce(own);
  // One that cut at a message of somebody else's would not be in force without it.
  return compaction === undefined || own.some(({ id }) => id === compaction.firstKept) ? own : [...window];
}

function aloneIn(window: readonly TranscriptEntry[], user: MessageEntry): TranscriptEntry[] {
  const steps = window.filter((entry): entry is MessageEntry => isMessageEntry(entry) && entry.of === user.id);
  return [user, ...steps].map(({ cleared: _, ...entry }) => entry);
}
