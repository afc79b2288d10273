import type { FileHandle } from "node:fs/promises";

const NEWLINE = 0x0a;
const BLOCK = 65_536;
// A long read goes faster in larger blocks; a short one must not pay for one, and what fills still larger ones outlives the young heap.
const LARGE_BLOCK = 131_072;

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
 * The lines of a file between two offsets, as many at a time as a block holds.
 *
 * Lines end at byte 0x0A alone: readers that know more line ends also split at U+2028 inside a message.
 */
export async function* readLines(file: FileHandle, from: number, to: number): AsyncGenerator<Line[]> {
  let start = from;
  let position = from;
  const pending = new Pieces();
  while (position < to) {
    const wanted = Math.min(position - from < BLOCK ? BLOCK : LARGE_BLOCK, to - position);
    const block = Buffer.allocUnsafe(wanted);
    const { bytesRead } = await file.read(block, 0, wanted, position);
    if (bytesRead === 0) break;
    const chunk = block.subarray(0, bytesRead);
    const lines: Line[] = [];
    let begin = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, begin)) {
      const end = position + at + 1;
      lines.push({ start, end, text: pending.endWith(chunk, begin, at), open: false });
      start = end;
      begin = at + 1;
    }
    if (begin < chunk.length) pending.add(chunk.subarray(begin));
    position += bytesRead;
    if (lines.length > 0) yield lines;
  }
  if (start < position) yield [{ start, end: position, text: pending.endWith(Buffer.alloc(0), 0, 0), open: true }];
}

// V8 has no longer strings. Nothing this library wrote comes near; such a line is passed over like one that is not JSON.
const MAX_LINE_BYTES = 0x1fff_ffe8;
const UNREADABLE = "\0";

/** What has been read of a line that goes on in the next block. */
class Pieces {
  #pieces: Buffer[] = [];
  #bytes = 0;

  add(piece: Buffer): void {
    this.#bytes += piece.length;
    if (this.#bytes > MAX_LINE_BYTES) this.#pieces = [];
    else this.#pieces.push(piece);
  }

  endWith(chunk: Buffer, from: number, to: number): string {
    if (this.#bytes === 0) return chunk.toString("utf8", from, to);
    this.add(chunk.subarray(from, to));
    const text = this.#bytes > MAX_LINE_BYTES ? UNREADABLE : Buffer.concat(this.#pieces).toString("utf8");
    this.#pieces = [];
    this.#bytes = 0;
    return text;
  }
}

/** The first line, if it is no longer than a header is. */
export async function firstLine(file: FileHandle): Promise<string | undefined> {
  const block = Buffer.allocUnsafe(FIRST_BLOCK);
  const { bytesRead } = await file.read(block, 0, FIRST_BLOCK, 0);
  const end = block.subarray(0, bytesRead).indexOf(NEWLINE);
  return end < 0 ? undefined : block.toString("utf8", 0, end);
}

const FIRST_BLOCK = 4_096;

/** Where the last `count` complete lines before `to` begin. */
async function offsetOfLastLines(file: FileHandle, to: number, count: number): Promise<number> {
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

/** A complete line before `to` that has a text in it and is the one looked for. Reads backwards. */
export async function findLineBefore(
  file: FileHandle,
  to: number,
  text: string,
  isWanted: (line: string) => boolean,
): Promise<Line | undefined> {
  for (let end = to; end > 0; ) {
    // Whole lines at a time, so that what is looked for never lies across a cut.
    const start = await offsetOfLastLines(file, end, LINES_AT_ONCE);
    for await (const lines of readLines(file, start, end)) {
      const found = lines.find((line) => line.text.includes(text) && isWanted(line.text));
      if (found !== undefined) return found;
    }
    end = start;
  }
  return undefined;
}

const LINES_AT_ONCE = 128;

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
