import type { FileHandle } from "node:fs/promises";
import { StorageError } from "../../../errors.js";
import type { LogRecord } from "./commit-record.js";

interface RestoreEvents<R extends LogRecord> {
  /** The transcript has something else in this place, or ends so far before it that the log is not to be believed. */
  leave(record: R): void;
  closedGap(offset: number, bytes: number): void;
}

/** More than any one update of another process that was still on its way. */
const MAX_GAP = 67_108_864;
const NEWLINE = 0x0a;

/**
 * Gives a transcript back what it lacks of some records and syncs it.
 * @returns how many bytes it had not.
 */
export async function restore<R extends LogRecord>(
  file: FileHandle,
  records: readonly R[],
  events: RestoreEvents<R>,
): Promise<number> {
  const stat = await file.stat();
  if (!stat.isFile()) {
    for (const record of records) events.leave(record);
    return 0;
  }
  let { size } = stat;
  let restored = 0;
  const settle = async (run: Run<R>): Promise<void> => {
    const done = await put(file, run, size);
    if (done !== "differs") {
      restored += done.missing;
      size = done.size;
      if (done.gap > 0) events.closedGap(run.at - done.gap, done.gap);
    } else if (run.records.length === 1) {
      events.leave(run.records[0] as R);
    } else {
      // One by one, so that one that does not fit costs only itself.
      for (const record of run.records) await settle({ ...record, records: [record] });
    }
  };
  // In the order of the file, whoever logged them: so the gap before one is filled by another where there is one.
  for (const run of runsOf(records)) await settle(run);
  await file.datasync();
  return restored;
}

interface Run<R> {
  at: number;
  bytes: Uint8Array;
  records: R[];
}

/** Records that stand side by side in the transcript, together: a busy session has thousands of small ones. */
function runsOf<R extends LogRecord>(records: readonly R[]): Run<R>[] {
  const groups: R[][] = [];
  let end = -1;
  for (const record of [...records].sort((a, b) => a.at - b.at)) {
    const group = groups.at(-1);
    if (group !== undefined && record.at === end) group.push(record);
    else groups.push([record]);
    end = record.at + record.bytes.length;
  }
  return groups.map((group) => ({
    at: (group[0] as R).at,
    bytes: group.length === 1 ? (group[0] as R).bytes : Buffer.concat(group.map(({ bytes }) => bytes)),
    records: group,
  }));
}

async function put(
  file: FileHandle,
  { at, bytes }: { at: number; bytes: Uint8Array },
  size: number,
): Promise<{ missing: number; gap: number; size: number } | "differs"> {
  const gap = Math.max(0, at - size);
  if (gap > MAX_GAP) return "differs";
  const before = Math.min(1, at);
  const read = await readAt(file, at - before, Math.max(0, Math.min(bytes.length, size - at) + before));
  const missing = countMissing(read.subarray(before), bytes);
  if (missing === undefined) return "differs";
  // What was to stand in the gap came from another process that was never told it was safe. Empty lines keep its place: a
  // torn line before them ends there, and readers pass over them.
  if (gap > 0) await writeAt(file, Buffer.alloc(gap, NEWLINE), size);
  // The same where the file has a hole there: a torn line before it must not run on into this one.
  if (before > 0 && read[0] === 0) await writeAt(file, Buffer.alloc(1, NEWLINE), at - 1);
  // Also where nothing is missing: the system takes what it failed to write for written, and syncs it only when written anew.
  await writeAt(file, bytes, at);
  return { missing, gap, size: Math.max(size, at + bytes.length) };
}

/** How many bytes are not there yet: behind the end, or NUL where a power cut left a hole. `undefined`: others are. */
function countMissing(there: Buffer, wanted: Uint8Array): number | undefined {
  const behind = wanted.length - there.length;
  if (there.equals(wanted.subarray(0, there.length))) return behind;
  let holes = 0;
  for (const [index, byte] of there.entries()) {
    if (byte === wanted[index]) continue;
    if (byte !== 0) return undefined;
    holes += 1;
  }
  return behind + holes;
}

/** So many bytes, or what there is up to the end. */
export async function readAt(file: FileHandle, at: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  for (let done = 0; done < length; ) {
    const { bytesRead } = await file.read(buffer, done, length - done, at + done);
    if (bytesRead === 0) return buffer.subarray(0, done);
    done += bytesRead;
  }
  return buffer;
}

async function writeAt(file: FileHandle, bytes: Uint8Array, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done);
    if (bytesWritten === 0) {
      throw new StorageError("A transcript could not be given back what it lacks. The disk is probably full.", {
        operation: "storage.open",
      });
    }
    done += bytesWritten;
  }
}
