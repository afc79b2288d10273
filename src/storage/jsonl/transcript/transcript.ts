import { type FileHandle, lstat } from "node:fs/promises";
import type { HeaderEntry, TranscriptEntry } from "../../../core/entry.js";
import { StorageError } from "../../../errors.js";
import { codeOf } from "../fault.js";
import type { HandlePool } from "./handle-pool.js";
import { countLines, endsInsideLine, findLineBefore, offsetOfLastLines, readLines } from "./lines.js";
import { type ReadItem, readUpdates } from "./updates.js";

// Some lines are not entries; a few more than asked for usually spares a second look.
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
      for (let lines = count + SPARE_LINES; ; lines *= 2) {
        const start = await boundaryBefore(file, await offsetOfLastLines(file, size, lines), size);
        const entries: TranscriptEntry[] = [];
        for await (const items of updatesOf(file, start, size, undefined)) {
          for (const item of items) if ("update" in item) entries.push(...item.update.entries);
        }
        if (entries.length >= count || start === 0) return entries.slice(Math.max(0, entries.length - count));
      }
    });
  }
}

function updatesOf(
  file: FileHandle,
  start: number,
  size: number,
  head: string | undefined,
): AsyncGenerator<readonly ReadItem[]> {
  return readUpdates(readLines(file, start, size), {
    head,
    has: async (rev, before) => (await lineNamed(file, rev, before)) !== undefined,
  });
}

/**
 * Where an update that counts begins, at or before the first update from `start` on. Nobody decides on an update that does
 * not count, so the one that the first was decided on is such a place.
 */
async function boundaryBefore(file: FileHandle, start: number, size: number): Promise<number> {
  if (start === 0) return 0;
  for await (const lines of readLines(file, start, size)) {
    for (const line of lines) {
      const frame = frameOf(line.text);
      if (frame === undefined || typeof frame._more === "number") continue;
      if (typeof frame._on !== "string") return line.start;
      let boundary = line.start;
      // Of several that followed the same place, the first is the one that counts.
      for (;;) {
        const earlier = await lineNamed(file, frame._on, boundary);
        if (earlier === undefined) return boundary;
        boundary = earlier.start;
        if (!isPlace(frame._on)) return boundary;
      }
    }
  }
  return start;
}

// A name that is a place, `@1842`, belongs to a line that has none; who else followed that place is looked for instead.
function lineNamed(file: FileHandle, rev: string, before: number) {
  const field = isPlace(rev) ? "_on" : "_rev";
  return findLineBefore(file, before, rev, (line) => frameOf(line)?.[field] === rev);
}

function isPlace(rev: string): boolean {
  return rev.startsWith("@");
}

function frameOf(text: string): { _more?: unknown; _rev?: unknown; _on?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    // Not JSON, so it frames nothing; readUpdates reports it.
    return undefined;
  }
}
