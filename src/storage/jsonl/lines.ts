import type { FileHandle } from "node:fs/promises";

const NEWLINE = 0x0a;
const BLOCK = 65_536;

/** One line of a file, without its newline, and where it stands. */
export interface Line {
  start: number;
  /** Just after the newline. */
  end: number;
  text: string;
  /** The file ends before this line's newline: it is being written, or torn, or its writer ends files without one. */
  open: boolean;
}

/**
 * The lines of a file between two offsets.
 *
 * Lines end at byte 0x0A alone: readers that know more line ends also split at U+2028 inside a message.
 */
export async function* readLines(file: FileHandle, from: number, to: number): AsyncGenerator<Line> {
  let start = from;
  let position = from;
  let pending: Buffer[] = [];
  while (position < to) {
    const block = Buffer.allocUnsafe(Math.min(BLOCK, to - position));
    const { bytesRead } = await file.read(block, 0, block.length, position);
    if (bytesRead === 0) break;
    const chunk = block.subarray(0, bytesRead);
    let begin = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, begin)) {
      const bytes = Buffer.concat([...pending, chunk.subarray(begin, at)]);
      const end = position + at + 1;
      yield { start, end, text: bytes.toString("utf8"), open: false };
      pending = [];
      start = end;
      begin = at + 1;
    }
    if (begin < chunk.length) pending.push(chunk.subarray(begin));
    position += bytesRead;
  }
  if (pending.length > 0) yield { start, end: position, text: Buffer.concat(pending).toString("utf8"), open: true };
}

/** Where the last `count` complete lines before `to` begin. */
export async function offsetOfLastLines(file: FileHandle, to: number, count: number): Promise<number> {
  let left = count + 1;
  let position = to;
  while (position > 0) {
    const size = Math.min(BLOCK, position);
    const block = Buffer.allocUnsafe(size);
    await file.read(block, 0, size, position - size);
    for (let at = block.lastIndexOf(NEWLINE); at >= 0; at = at === 0 ? -1 : block.lastIndexOf(NEWLINE, at - 1)) {
      left -= 1;
      if (left === 0) return position - size + at + 1;
    }
    position -= size;
  }
  return 0;
}

/** Whether the file ends in the middle of a line. */
export async function endsInsideLine(file: FileHandle, size: number): Promise<boolean> {
  if (size === 0) return false;
  const last = Buffer.alloc(1);
  await file.read(last, 0, 1, size - 1);
  return last[0] !== NEWLINE;
}

/** How many lines end before an offset. */
export async function countLines(file: FileHandle, to: number): Promise<number> {
  let count = 0;
  const block = Buffer.allocUnsafe(BLOCK);
  for (let position = 0; position < to; ) {
    const { bytesRead } = await file.read(block, 0, Math.min(BLOCK, to - position), position);
    if (bytesRead === 0) break;
    const chunk = block.subarray(0, bytesRead);
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, at + 1)) count += 1;
    position += bytesRead;
  }
  return count;
}
