import { isEntryOf, type TranscriptEntry } from "../../core/entry.js";
import { StorageError } from "../../errors.js";
import type { EntryRange } from "../storage.js";
import type { ReadItem } from "./updates.js";

/** The entries of a range, from what was read of a transcript in order; for a window, from the update that begins it on. */
export async function* inRange(items: AsyncIterable<ReadItem>, range: EntryRange): AsyncGenerator<TranscriptEntry> {
  let inside = range.after === undefined;
  const tail: TranscriptEntry[] = [];
  let first = true;
  for await (const item of items) {
    if (!("update" in item)) continue;
    const { entries } = item.update;
    const from = first && range.fromWindow ? entries.findLastIndex((entry) => isEntryOf(entry, "clear")) : 0;
    first = false;
    for (const entry of entries.slice(Math.max(0, from))) {
      if (!inside) {
        inside = entry.id === range.after;
      } else if (range.last === undefined) {
        yield entry;
      } else {
        tail.push(entry);
        if (tail.length > range.last) tail.shift();
      }
    }
  }
  if (!inside) throw new StorageError("No entry has the id given as `after`.", { operation: "storage.entries" });
  yield* tail;
}
