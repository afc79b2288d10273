import { constants, fstatSync, writeSync } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { codeOf } from "../fault.js";
import { SAFELY } from "../layout.js";
import { VOID_LINE } from "./updates.js";

/** Up to this size a write into the system's cache takes less time than handing it to another thread would. */
const SMALL_WRITE = 32_768;

const REWRITE = constants.O_RDWR | SAFELY;

/** A transcript held open for appending. Its handle is kept by a pool and may be closed whenever nobody has pinned it. */
export class OpenFile {
  readonly uuid: string;
  /** Where it is, or is about to be. */
  path: string;
  readonly handle: FileHandle;
  /** How much of the file this process has read or written; what is behind it came from someone else. */
  known = 0;
  /** Whether the part that is known ends in the middle of a line. */
  endsOpen = false;
  /** When it was last seen to be the file that its path names, in milliseconds of a clock that only goes forward. */
  namedAt = performance.now();
  /** When it was last seen to end where this process left it. */
  provenAt = Number.NEGATIVE_INFINITY;
  /** When something was last found in it that came from someone else. */
  foreignAt = Number.NEGATIVE_INFINITY;
  readonly #onIdle: () => void;
  #pins = 0;
  #unpinned: (() => void) | undefined;

  constructor(uuid: string, path: string, handle: FileHandle, onIdle: () => void = () => undefined) {
    this.uuid = uuid;
    this.path = path;
    this.handle = handle;
    this.#onIdle = onIdle;
  }

  get pinned(): boolean {
    return this.#pins > 0;
  }

  pin(): void {
    this.#pins += 1;
  }

  unpin(): void {
    this.#pins -= 1;
    if (this.#pins > 0) return;
    this.#unpinned?.();
    this.#onIdle();
  }

  /** Closes it as soon as nobody needs it any more. */
  async close(): Promise<void> {
    if (this.pinned) {
      await new Promise<void>((resolve) => {
        this.#unpinned = resolve;
      });
    }
    await this.handle.close();
  }

  /** Its size now, and whether it still has a name: a file that was removed or replaced takes writes and keeps none. */
  probe(): { size: number; named: boolean } {
    const { size, nlink } = fstatSync(this.handle.fd);
    return { size, named: nlink > 0 };
  }

  /** Appends in one write and says how many bytes were taken. */
  write(bytes: Buffer): number | Promise<number> {
    if (bytes.length <= SMALL_WRITE) return writeSync(this.handle.fd, bytes);
    return this.#writeBeside(bytes);
  }

  datasync(): Promise<void> {
    return this.handle.datasync();
  }

  /** Whether its path still names it: a directory that was moved takes its open files along. */
  async isInPlace(): Promise<boolean> {
    try {
      const [mine, there] = await Promise.all([this.handle.stat(), stat(this.path)]);
      this.namedAt = performance.now();
      return mine.ino === there.ino && mine.dev === there.dev;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return false;
      throw error;
    }
  }

  /**
   * Overwrites what this process wrote behind an offset and what does not count: to other tools its lines would look like
   * messages. Nobody else writes there, and nothing in it was acknowledged.
   */
  async blank(bytes: Buffer, from: number): Promise<void> {
    const { size, ino } = await this.handle.stat();
    const behind = Buffer.alloc(Math.max(0, size - from));
    await this.handle.read(behind, 0, behind.length, from);
    const at = behind.indexOf(bytes);
    if (at < 0) return;
    // What is open for appending writes at the end, wherever it is told to.
    const file = await openUnlessGone(this.path);
    if (file === undefined) return;
    try {
      if ((await file.stat()).ino !== ino) return;
      const nothing = Buffer.alloc(bytes.length - 1, " ");
      nothing.write(VOID_LINE);
      await file.write(nothing, 0, nothing.length, from + at);
    } finally {
      await file.close();
    }
  }

  async #writeBeside(bytes: Buffer): Promise<number> {
    this.pin();
    try {
      return (await this.handle.write(bytes)).bytesWritten;
    } finally {
      this.unpin();
    }
  }
}

// Another process may have deleted the session meanwhile, and what was to be blanked with it.
async function openUnlessGone(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, REWRITE);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
