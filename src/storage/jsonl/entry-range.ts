import type { TranscriptEntry } from "../../core/entry.js";
import { StorageError } from "../../errors.js";
import type { EntryRange } from "../storage.js";
import type { ReadItem } from "./updates.js";

/** The entries of a range, from what was read of a transcript in order. */
export async function* inRange(items: AsyncIterable<ReadItem>, range: EntryRange): AsyncGenerator<TranscriptEntry> {
  let inside = range.after === undefined;
  const tail: TranscriptEntry[] = [];
  for await (const item of items) {
    if (!("update" in item)) continue;
    for (const entry of item.update.entries) {
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
