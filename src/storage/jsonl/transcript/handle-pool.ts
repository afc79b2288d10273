import { constants, readFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { codeOf } from "../fault.js";
import { ownPrivately, SAFELY } from "../layout.js";
import { OpenFile } from "./open-file.js";

const APPEND = constants.O_RDWR | constants.O_APPEND | SAFELY;
const CREATE = APPEND | constants.O_CREAT | constants.O_EXCL;
const READ = constants.O_RDONLY | SAFELY;

// What holds a file holds it for a write and a sync. When none of them ends for so long, something else is wrong.
const PATIENCE_MS = 10_000;
const LOOK_AGAIN_MS = 50;

/**
 * The files a storage holds open, the least recently used closed first. Opening a file for each append costs three times the
 * append; holding all open runs into the system's limit, which is often 1,024 and shared with the host.
 */
export class HandlePool {
  readonly #open = new Map<string, OpenFile>();
  readonly #closing = new Set<Promise<void>>();
  readonly #limit: number;
  /** More than these are not opened at once. The rest of what the process may open is for the host, and for directories and logs. */
  readonly #most: number;
  #opening = 0;
  /** Who waits for a file to be let go of. */
  readonly #waiting = new Set<() => void>();
  #latest: OpenFile | undefined;

  constructor(limit: number) {
    this.#limit = limit;
    this.#most = Math.max(2, Math.floor(mayOpen() / 2));
  }

  /** The open file of a transcript. */
  find(uuid: string): OpenFile | undefined {
    const file = this.#open.get(uuid);
    if (file === undefined || file === this.#latest) return file;
    this.#open.delete(uuid);
    this.#open.set(uuid, file);
    this.#latest = file;
    return file;
  }

  /** Opens for appending and keeps open, pinned: whoever asked unpins it. `create` fails with EEXIST when there is such a file. */
  async open(uuid: string, path: string, options: { create: boolean }): Promise<OpenFile> {
    const until = performance.now() + PATIENCE_MS;
    // Who has one of the last files a process may open can be waiting for one more, to sync a directory, and so can all of them.
    while (this.#open.size + this.#closing.size + this.#opening >= this.#most && performance.now() < until) {
      this.#shrinkTo(this.#most - 1);
      await this.#letGo();
    }
    this.#opening += 1;
    try {
      return await this.#openNow(uuid, path, options);
    } finally {
      this.#opening -= 1;
    }
  }

  async #openNow(uuid: string, path: string, options: { create: boolean }): Promise<OpenFile> {
    const handle = await this.patiently(() => open(path, options.create ? CREATE : APPEND, 0o600));
    const file = new OpenFile(uuid, path, handle, () => this.#wake());
    try {
      if (options.create) await ownPrivately(handle, path);
    } catch (error) {
      await handle.close();
      throw error;
    }
    file.pin();
    this.#open.set(uuid, file);
    this.#latest = file;
    this.#shrinkTo(this.#limit);
    return file;
  }

  /** Opens for reading, for as long as the work takes. */
  async reading<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T> {
    const file = await this.openToRead(path);
    try {
      return await work(file);
    } finally {
      await file.close();
    }
  }

  /** Opens for reading; whoever asked closes it. */
  openToRead(path: string): Promise<FileHandle> {
    return this.patiently(() => open(path, READ));
  }

  /** Lets go of a file that is not to be trusted any more. */
  drop(file: OpenFile): void {
    if (this.#open.get(file.uuid) === file) this.#open.delete(file.uuid);
    if (this.#latest === file) this.#latest = undefined;
    this.#close(file);
  }

  /** Closes everything. @throws the first error that closing one of them gave. */
  async close(): Promise<void> {
    for (const file of [...this.#open.values()]) this.drop(file);
    const results = await Promise.allSettled(this.#closing);
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  /**
   * Does what needs one more file. With too many open in the process, half of ours make room for it; where all of them are in
   * use, it waits for one to be let go of.
   */
  async patiently<T>(opening: () => Promise<T>): Promise<T> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      try {
        return await opening();
      } catch (error) {
        const code = codeOf(error);
        if (code !== "EMFILE" && code !== "ENFILE") throw error;
        this.#shrinkTo(Math.floor(this.#open.size / 2));
        // None of them is ours to let go of.
        if ((this.#open.size === 0 && this.#closing.size === 0) || performance.now() > until) throw error;
        await this.#letGo();
      }
    }
  }

  /** The next time a file is closed or not in use any more; not long after, because it may have happened already. */
  #letGo(): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, LOOK_AGAIN_MS);
      this.#waiting.add(done);
    });
  }

  #wake(): void {
    for (const done of this.#waiting) done();
  }

  #shrinkTo(limit: number): void {
    for (const file of this.#open.values()) {
      if (this.#open.size <= limit) return;
      if (!file.pinned) this.drop(file);
    }
  }

  #close(file: OpenFile): void {
    const closing = file.close();
    this.#closing.add(closing);
    // A failure stays in the set for `close` to throw.
    closing.then(
      () => {
        this.#closing.delete(closing);
        this.#wake();
      },
      () => undefined,
    );
  }
}

/** How many files this process may have open, where the system says so. */
function mayOpen(): number {
  if (process.platform !== "linux") return Number.POSITIVE_INFINITY;
  try {
    return Number(
      /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Number.POSITIVE_INFINITY,
    );
  } catch {
    // A container without /proc: the system says so when it is too late, and then it is waited for.
    return Number.POSITIVE_INFINITY;
  }
}
