import { constants } from "node:fs";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import type { HeaderEntry, TranscriptEntry } from "../../core/entry.js";
import { StorageError } from "../../errors.js";
import { codeOf } from "./fault.js";
import { countLines, endsInsideLine, offsetOfLastLines, readLines } from "./lines.js";
import { type ReadItem, readUpdates } from "./updates.js";

/** What an acknowledged update survives. */
export type Durability =
  /** The default: a killed process and a power cut. Costs one `fdatasync` per update. */
  | "always"
  /** A killed process; a power cut can take what the system has not yet written by itself, usually some seconds. */
  | "off";

// O_NOFOLLOW: a link put in a transcript's place would send a conversation out of the store. O_NONBLOCK: opening a pipe put
// there would wait for ever.
const SAFE = constants.O_NOFOLLOW | constants.O_NONBLOCK;
const APPEND = constants.O_RDWR | constants.O_APPEND | SAFE;
const READ = constants.O_RDONLY | SAFE;

/** The bytes of one transcript file: appended whole, read in order or from the end, never rewritten. */
export class Transcript {
  readonly path: string;
  readonly #durability: Durability;

  constructor(path: string, durability: Durability) {
    this.path = path;
    this.#durability = durability;
  }

  /**
   * Appends one update with one write, and mends the line before it if a crash left it open.
   * @returns the size of the file before and after.
   */
  async append(bytes: Buffer, options: { create: boolean }): Promise<{ before: number; after: number }> {
    const flags = options.create ? APPEND | constants.O_CREAT | constants.O_EXCL : APPEND;
    const file = await open(this.path, flags, 0o600);
    try {
      if (options.create) await file.chmod(0o600);
      const before = (await file.stat()).size;
      const whole = (await endsInsideLine(file, before)) ? Buffer.concat([Buffer.from("\n"), bytes]) : bytes;
      const { bytesWritten } = await file.write(whole);
      if (bytesWritten !== whole.length) await this.#takeBack(file, before, bytesWritten);
      if (this.#durability === "always") await file.datasync();
      const after = (await file.stat()).size;
      if (options.create && this.#durability === "always") await syncDirectory(dirname(this.path));
      return { before, after };
    } catch (error) {
      if (options.create && codeOf(error) !== "EEXIST") await unlink(this.path);
      throw error;
    } finally {
      await file.close();
    }
  }

  /** Its length in bytes; `undefined` when the file does not exist. */
  async size(): Promise<number | undefined> {
    try {
      const stat = await this.#reading((file) => file.stat());
      if (stat.isFile()) return stat.size;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
    throw new StorageError("Something that is no file stands in a transcript's place.", { operation: "storage.read" });
  }

  /** The header: in the first update that can be read, or `anywhere`, because a plain file gets it when it is first written to. */
  async header({ anywhere }: { anywhere: boolean }): Promise<HeaderEntry | undefined> {
    return this.#reading(async (file) => {
      const { size } = await file.stat();
      for await (const item of readUpdates(readLines(file, 0, size))) {
        if ("update" in item && (item.update.header !== undefined || !anywhere)) return item.update.header;
      }
      return undefined;
    });
  }

  /** How many lines end before an offset. */
  async linesBefore(offset: number): Promise<number> {
    return this.#reading((file) => countLines(file, offset));
  }

  /** What stands from an update's boundary to the end. */
  async *from(start: number): AsyncGenerator<ReadItem> {
    const file = await open(this.path, READ);
    try {
      const { size } = await file.stat();
      yield* readUpdates(readLines(file, start, size));
    } finally {
      await file.close();
    }
  }

  /** The final `count` entries, reading no more of the file than they take. */
  async last(count: number): Promise<TranscriptEntry[]> {
    return this.#reading(async (file) => {
      const { size } = await file.stat();
      // Some lines are not entries; a few more than asked for usually spares a second look.
      for (let lines = count + 8; ; lines *= 2) {
        const start = await offsetOfLastLines(file, size, lines);
        const entries: TranscriptEntry[] = [];
        for await (const item of readUpdates(readLines(file, start, size))) {
          if ("update" in item) entries.push(...item.update.entries);
        }
        if (entries.length >= count || start === 0) return entries.slice(Math.max(0, entries.length - count));
      }
    });
  }

  async #reading<T>(read: (file: FileHandle) => Promise<T>): Promise<T> {
    const file = await open(this.path, READ);
    try {
      return await read(file);
    } finally {
      await file.close();
    }
  }

  // A disk that fills up mid-line leaves half of it. Were it left there, the next line would be glued to it and lost.
  async #takeBack(file: FileHandle, before: number, written: number): Promise<never> {
    const { size } = await file.stat();
    if (size === before + written) await file.truncate(before);
    throw new StorageError(
      "Only part of the update could be written, so it was taken back. The disk is probably full.",
      {
        operation: "storage.update",
      },
    );
  }
}

async function syncDirectory(dir: string): Promise<void> {
  // Windows has no such thing as a synced directory.
  if (process.platform === "win32") return;
  const handle = await open(dir, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
