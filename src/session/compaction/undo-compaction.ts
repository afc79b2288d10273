import { isEntryOf, type MemoryFlushEntry, type TranscriptEntry, type UndoEntry } from "../../core/entry.js";
import { attemptOf, type SessionRecord } from "../../core/record.js";
import { compactionInForce, undoneIn } from "../../core/window.js";
import type { NewEntry } from "../ledger.js";
import type { Shell } from "../shell.js";

/** Takes back the last compaction since the last clear, if there is one that has not been taken back. */
export async function undoCompaction(shell: Shell, record: SessionRecord): Promise<boolean> {
  if (record.compactions === 0) return false;
  const entries = await shell.ledger.sinceClear(record);
  const undo = undoOf(entries);
  if (undo === undefined) return false;
  const { key, uuid, lastClear, compactions } = record;
  const { appended } = await shell.ledger.append(key, (now) =>
    now.uuid === uuid && now.lastClear === lastClear && now.compactions === compactions ? [undo] : undefined,
  );
  if (appended.length === 0) return false;
  shell.events.emit("compaction.undone", { key, uuid });
  return true;
}

function undoOf(entries: readonly TranscriptEntry[]): NewEntry<UndoEntry> | undefined {
  const last = compactionInForce(entries);
  if (last === undefined) return undefined;
  const earlier = entries.slice(0, entries.indexOf(last));
  const undone = undoneIn(entries);
  const previous = earlier.findLastIndex((entry) => isEntryOf(entry, "compaction") && !undone.has(entry.id));
  const attempt = earlier.findLast(
    (entry, at) => at > previous && isEntryOf(entry, "memory-flush") && !entry.cleared,
  ) as MemoryFlushEntry | undefined;
  return {
    type: "undo",
    of: last.id,
    lastCompaction: earlier[previous]?.timestamp ?? null,
    memoryFlush: attempt === undefined ? null : attemptOf(attempt),
  };
}
