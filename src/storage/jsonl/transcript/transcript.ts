import { type FileHandle, lstat } from "node:fs/promises";
import type { TranscriptEntry } from "../../../core/entry.js";
import { type HeaderEntry, readHeader } from "../../../core/header.js";
import { StorageError } from "../../../errors.js";
import { codeOf } from "../fault.js";
import { frameOf, trim } from "./frame.js";
import type { HandlePool } from "./handle-pool.js";
import { countLines, endsInsideLine, findLineBefore, firstLine, type Line, readLines } from "./lines.js";
import type { Before } from "./update-order.js";
import { NOTHING_NAMED, type ReadItem, readUpdates } from "./updates.js";

// Some two hundred messages of a chat.
const TAIL_BYTES = 65_536;
const SPARE_LINES = 8;

/** Reads one transcript: in order, or from the end. */
export class Transcript {
  readonly path: string;
  readonly #pool: HandlePool;

  constructor(path: string, pool: HandlePool) {
    this.path = path;
    this.#pool = pool;
  }

  /** Its length in bytes; `undefined` when the file does not exist. */
  async size(): Promise<number | undefined> {
    try {
      const found = await lstat(this.path);
      if (found.isFile()) return found.size;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
    throw new StorageError("Something that is no file stands in a transcript's place.", { operation: "storage.read" });
  }

  /** The header: in the first update that can be read, or `anywhere`, because a plain file gets it when it is first written to. */
  async header({ anywhere }: { anywhere: boolean }): Promise<HeaderEntry | undefined> {
    return this.#pool.reading(this.path, async (file) => {
      const first = await firstLine(file);
      const header = first === undefined ? undefined : readHeader(parsed(first));
      if (header !== undefined) return header;
      const { size } = await file.stat();
      for await (const items of updatesOf(file, 0, size, undefined)) {
        for (const item of items) {
          if ("update" in item && (item.update.header !== undefined || !anywhere)) return item.update.header;
        }
      }
      return undefined;
    });
  }

  /** How many lines end before an offset. */
  async linesBefore(offset: number): Promise<number> {
    return this.#pool.reading(this.path, (file) => countLines(file, offset));
  }

  /**
   * Visits what stands from an update's boundary to the end.
   * @returns the size of the file as it was read, and whether that is in the middle of a line.
   */
  async scan(
    start: number,
    head: string | undefined,
    visit: (item: ReadItem) => void,
  ): Promise<{ size: number; endsOpen: boolean }> {
    return this.#pool.reading(this.path, async (file) => {
      const { size } = await file.stat();
      for await (const items of updatesOf(file, start, size, head)) for (const item of items) visit(item);
      return { size, endsOpen: await endsInsideLine(file, size) };
    });
  }

  /** What stands from an update's boundary to the end, as many entries at a time as one read brought. */
  async *from(start: number): AsyncGenerator<readonly ReadItem[]> {
    const file = await this.#pool.openToRead(this.path);
    try {
      const { size } = await file.stat();
      yield* updatesOf(file, start, size, undefined);
    } finally {
      await file.close();
    }
  }

  /** The final `count` entries, reading no more of the file than they take. */
  async last(count: number): Promise<TranscriptEntry[]> {
    return this.#pool.reading(this.path, async (file) => {
      const { size } = await file.stat();
      for (let reach = TAIL_BYTES; ; reach *= 4) {
        const from = Math.max(0, size - reach);
        const lines = await linesFrom(file, from, size);
        // Most lines are entries: a few more than asked for usually do, and the others need not be parsed.
        const few = lines.slice(-count - SPARE_LINES);
        let entries = await entriesFromBoundary(file, fromBoundary(few));
        if (entries.length < count) entries = await entriesFromBoundary(file, from === 0 ? lines : fromBoundary(lines));
        if (entries.length >= count || from === 0) return entries.slice(Math.max(0, entries.length - count));
      }
    });
  }
}

// The whole lines from an offset on; a line that begins before it is left out.
async function linesFrom(file: FileHandle, from: number, size: number): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const batch of readLines(file, from, size)) lines.push(...batch);
  return from === 0 ? lines : lines.slice(1);
}

/**
 * The lines from where an update that counts begins. Nobody decides on an update that does not count, so the first one that
 * another is decided on is such a place. Where no line has a name, every one of them is.
 */
function fromBoundary(lines: readonly Line[]): readonly Line[] {
  const seen = new Map<string, number>();
  let framed = false;
  for (const [at, { text }] of lines.entries()) {
    const { more, rev, on } = frameOf(text);
    // Of an update that begins before them nothing is known.
    framed ||= more !== undefined;
    if (rev === undefined) continue;
    framed = true;
    if (on === NOTHING_NAMED) return lines;
    const boundary = on === undefined ? at : seen.get(on);
    if (boundary !== undefined) return lines.slice(boundary);
    if (!seen.has(rev)) seen.set(rev, at);
  }
  return framed ? [] : lines;
}

async function entriesFromBoundary(file: FileHandle, lines: readonly Line[]): Promise<TranscriptEntry[]> {
  const entries: TranscriptEntry[] = [];
  for await (const items of readUpdates([lines], before(file, undefined))) {
    for (const item of items) if ("update" in item) entries.push(...item.update.entries);
  }
  return entries;
}

function updatesOf(
  file: FileHandle,
  start: number,
  size: number,
  head: string | undefined,
): AsyncGenerator<readonly ReadItem[]> {
  return readUpdates(readLines(file, start, size), before(file, head));
}

function before(file: FileHandle, head: string | undefined): Before {
  const has = async (rev: string, offset: number) => (await lineNamed(file, rev, offset)) !== undefined;
  const hasEntry = async (id: string, offset: number) =>
    (await findLineBefore(file, offset, id, (line) => parsed(line)?.id === id)) !== undefined;
  return { head, has, hasEntry };
}

// What names nothing is looked for in who else did.
function lineNamed(file: FileHandle, rev: string, before: number) {
  const field = rev === NOTHING_NAMED ? "on" : "rev";
  // A line that cannot be read is not there, whatever is left of its frame.
  return findLineBefore(file, before, rev, (line) => frameOf(line)[field] === rev && parsed(line) !== undefined);
}

function parsed(text: string): { id?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(trim(text));
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    // Not JSON, so it is neither; readUpdates reports it.
    return undefined;
  }
}
