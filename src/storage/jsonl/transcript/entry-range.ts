import { isEntryOf, type TranscriptEntry } from "../../../core/entry.js";
import { StorageError } from "../../../errors.js";
import type { EntryRange } from "../../storage.js";
import type { ReadItem } from "./updates.js";

/** The entries of a range, from what was read of a transcript in order; for a window, from the update that begins it on. */
export async function* inRange(
  batches: AsyncIterable<readonly ReadItem[]>,
  range: EntryRange,
): AsyncGenerator<readonly TranscriptEntry[]> {
  let inside = range.after === undefined;
  let tail: TranscriptEntry[] = [];
  let first = true;
  for await (const items of batches) {
    const wanted: TranscriptEntry[] = [];
    for (const item of items) {
      if (!("update" in item)) continue;
      const { entries } = item.update;
      const from = first && range.fromWindow ? entries.findLastIndex((entry) => isEntryOf(entry, "clear")) : 0;
      first = false;
      for (let at = Math.max(0, from); at < entries.length; at += 1) {
        const entry = entries[at] as TranscriptEntry;
        if (inside) wanted.push(entry);
        else inside = entry.id === range.after;
      }
    }
    if (range.last !== undefined) tail = [...tail, ...wanted].slice(-range.last || Number.POSITIVE_INFINITY);
    else if (wanted.length > 0) yield wanted;
  }
  if (!inside) throw new StorageError("No entry has the id given as `after`.", { operation: "storage.entries" });
  if (tail.length > 0) yield tail;
}
