import { closeSync, fstatSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { vi } from "vitest";
import { fileHandles } from "./sessions-on-disk.js";

interface OnDisk {
  /** So much of the file is there after a power cut. */
  safe: number;
  /** What the system failed to write and takes for written since. */
  dropped: { from: number; to: number }[];
  failures: number;
}

/** Takes one after another of some numbers, and begins anew at the end. */
export function dice(numbers: readonly number[]): (sides: number) => number {
  let next = 0;
  return (sides) => {
    next += 1;
    return (numbers[next % numbers.length] ?? 0) % sides;
  };
}

/**
 * A disk of which a test knows what a power cut would leave. Syncs take their time and can fail, and then a next one
 * succeeds without having written what the failed one had not: that is how systems do it.
 */
export class UnsafeDisk {
  onEvent: () => void = () => undefined;
  readonly #files = new Map<number, OnDisk>();
  readonly #roll: (sides: number) => number;
  #restore: () => void = () => undefined;

  private constructor(roll: (sides: number) => number) {
    this.#roll = roll;
  }

  /** @param faults one sync out of so many fails; 0: none. */
  static async install(roll: (sides: number) => number, faults: number): Promise<UnsafeDisk> {
    const disk = new UnsafeDisk(roll);
    const spy = vi.spyOn(await fileHandles(), "datasync").mockImplementation(function (this: FileHandle) {
      closeSlowly(this, roll(4));
      return disk.#sync(this.fd, faults > 0 && roll(faults) === 0);
    });
    disk.#restore = () => spy.mockRestore();
    return disk;
  }

  remove(): void {
    this.#restore();
  }

  /** Writes into `to` what would be found in `from` had the power failed now. */
  cutPower(from: string, to: string): void {
    for (const name of readdirSync(from)) {
      const source = readUnlessGone(join(from, name));
      // A log that was being removed.
      if (source === undefined) continue;
      const { content } = source;
      const { safe, dropped } = this.#file(source.ino);
      const kept = safe + this.#roll(content.length - safe + 1);
      const left = Buffer.from(content.subarray(0, kept));
      for (const range of dropped) left.fill(0, Math.min(range.from, kept), Math.min(range.to, kept));
      // Some file systems have grown the file already.
      const hole = this.#roll(2) * this.#roll(content.length - kept + 1);
      writeFileSync(join(to, name), Buffer.concat([left, Buffer.alloc(hole)]));
    }
  }

  async #sync(fd: number, fails: boolean): Promise<void> {
    const { ino, size } = fstatSync(fd);
    const file = this.#file(ino);
    const { failures } = file;
    this.onEvent();
    for (let turns = this.#roll(4); turns > 0; turns -= 1) await new Promise((resolve) => setImmediate(resolve));
    if (fails) {
      const to = fstatSync(fd).size;
      file.dropped.push({ from: file.safe, to });
      file.safe = to;
      file.failures += 1;
    }
    this.onEvent();
    // Every sync that was under way hears of it, no later one does.
    if (file.failures > failures) throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
    file.safe = Math.max(file.safe, size);
  }

  #file(ino: number): OnDisk {
    let file = this.#files.get(ino);
    if (file === undefined) {
      file = { safe: 0, dropped: [], failures: 0 };
      this.#files.set(ino, file);
    }
    return file;
  }
}

// On a busy machine closing a file takes as long as anything else.
function closeSlowly(handle: FileHandle, turns: number): void {
  const { close } = handle;
  handle.close = async () => {
    handle.close = close;
    for (let left = turns; left > 0; left -= 1) await new Promise((resolve) => setImmediate(resolve));
    return close.call(handle);
  };
}

function readUnlessGone(path: string): { ino: number; content: Buffer } | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
  try {
    return { ino: fstatSync(fd).ino, content: readFileSync(fd) };
  } finally {
    closeSync(fd);
  }
}
