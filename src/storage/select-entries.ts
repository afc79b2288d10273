import { isEntryOf, type TranscriptEntry } from "../core/entry.js";
import { StorageError } from "../errors.js";
import type { EntryRange } from "./storage.js";

/**
 * The entries a range asks for, from the whole transcript: for a storage that has it at hand.
 * The window is cut first, then `after`, then `last`.
 * @throws StorageError when no entry of the window has the id given as `after`.
 */
export function selectEntries(entries: readonly TranscriptEntry[], range: EntryRange = {}): TranscriptEntry[] {
  const { after, last = Number.POSITIVE_INFINITY, fromWindow = false } = range;
  const clear = fromWindow ? entries.findLastIndex((entry) => isEntryOf(entry, "clear")) : -1;
  let from = Math.max(0, clear);
  if (after !== undefined) {
    const at = entries.findIndex((entry, place) => place >= from && entry.id === after);
    if (at < 0) throw new StorageError("No entry has the id given as `after`.", { operation: "storage.entries" });
    from = at + 1;
  }
  return entries.slice(Math.max(from, entries.length - last));
}
