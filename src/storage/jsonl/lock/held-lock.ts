import { fstatSync } from "node:fs";
import { type FileHandle, link, lstat, open, unlink } from "node:fs/promises";
import { codeOf } from "../fault.js";
import { ownPrivately } from "../layout.js";

// A file system may keep times in steps of two seconds: a smaller one would not be seen when the clock has been set back.
const SMALLEST_BEAT_MS = 2000;

// What file systems, and those that guard them, answer when a file cannot have two names.
const CANNOT_LINK = new Set([
  "EPERM",
  "EACCES",
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOSYS",
  "EMLINK",
  "EXDEV",
  "EISDIR",
  "UNKNOWN",
]);

/** A lock file that this process made, and has kept open since. */
export class HeldLock {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #text: string;
  readonly #device: bigint;
  readonly #inode: bigint;
  #beaten: number;

  private constructor(path: string, file: FileHandle, text: string) {
    const stats = fstatSync(file.fd, { bigint: true });
    this.path = path;
    this.#file = file;
    this.#text = text;
    this.#device = stats.dev;
    this.#inode = stats.ino;
    this.#beaten = Number(stats.mtimeMs);
  }

  /**
   * Makes the file with its whole content at once, by giving a temporary one a second name.
   * @returns undefined when something is in its place already.
   */
  static async create(path: string, text: string, temporary: string): Promise<HeldLock | undefined> {
    for (;;) {
      const file = await openNew(temporary, text);
      try {
        const outcome = await giveName(file, temporary, path);
        if (outcome === "made") return await HeldLock.#withoutTemporary(new HeldLock(path, file, text), temporary);
        await Promise.all([unlinkIfThere(temporary), file.close()]);
        if (outcome === "taken") return undefined;
        if (outcome === "cannot") return await HeldLock.#createInPlace(path, text);
      } catch (error) {
        await Promise.allSettled([unlink(temporary), file.close()]);
        throw error;
      }
    }
  }

  static async #withoutTemporary(held: HeldLock, temporary: string): Promise<HeldLock> {
    try {
      await unlinkIfThere(temporary);
      return held;
    } catch (error) {
      await held.remove();
      throw error;
    }
  }

  // Not at once: another process can meet it empty, and then watches it as it does any other that says nothing.
  static async #createInPlace(path: string, text: string): Promise<HeldLock | undefined> {
    try {
      return new HeldLock(path, await openNew(path, text), text);
    } catch (error) {
      if (codeOf(error) === "EEXIST") return undefined;
      throw error;
    }
  }

  /** False once the file has lost its name. */
  isThere(): boolean {
    try {
      return fstatSync(this.#file.fd).nlink > 0;
    } catch {
      // Nothing is known about it any more, such as when it is on a server that has forgotten it.
      return false;
    }
  }

  /** Whether the file in this place is this one. Sees what `isThere` does not: a file that was moved, or has another name. */
  async isInPlace(): Promise<boolean> {
    try {
      const stats = await lstat(this.path, { bigint: true });
      return stats.ino === this.#inode && stats.dev === this.#device;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return false;
      throw error;
    }
  }

  /** Shows those who watch the file that its owner lives. */
  async beat(): Promise<void> {
    this.#beaten = Math.max(this.#beaten + SMALLEST_BEAT_MS, Date.now());
    await this.#file.utimes(this.#beaten / 1000, this.#beaten / 1000);
  }

  /** Takes the file away if it is still this one. */
  async remove(): Promise<void> {
    try {
      if (await this.isInPlace()) await unlinkIfThere(this.path);
    } catch (error) {
      await Promise.allSettled([this.disown()]);
      throw error;
    } finally {
      await this.#file.close();
    }
  }

  /** Writes into the file that nobody holds it, wherever it is by now: anyone may remove it then. */
  async disown(): Promise<void> {
    const text = Buffer.from(`${JSON.stringify({ ...(JSON.parse(this.#text) as object), released: true })}\n`);
    await this.#file.write(text, 0, text.length, 0);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

export async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

async function openNew(path: string, text: string): Promise<FileHandle> {
  const file = await open(path, "wx", 0o600);
  try {
    await ownPrivately(file, path);
    await file.writeFile(text);
    return file;
  } catch (error) {
    await Promise.allSettled([unlink(path), file.close()]);
    throw error;
  }
}

async function giveName(file: FileHandle, from: string, to: string): Promise<"made" | "taken" | "cannot" | "swept"> {
  try {
    await link(from, to);
    return "made";
  } catch (error) {
    const code = codeOf(error) ?? "";
    if (code === "EEXIST") return "taken";
    if (CANNOT_LINK.has(code)) return "cannot";
    if (code === "ENOENT" && fstatSync(file.fd).nlink === 0) return "swept";
    throw error;
  }
}
