import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { codeOf } from "../fault.js";
import { ownPrivately } from "../layout.js";
import { OpenFile } from "./open-file.js";

// O_NOFOLLOW: a link put in a transcript's place would send a conversation out of the store. O_NONBLOCK: opening a pipe put
// there would wait for ever.
const SAFE = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);
const APPEND = constants.O_RDWR | constants.O_APPEND | SAFE;
const CREATE = APPEND | constants.O_CREAT | constants.O_EXCL;
const READ = constants.O_RDONLY | SAFE;

/**
 * The files a storage holds open, the least recently used closed first. Opening a file for each append costs three times the
 * append; holding all open runs into the system's limit, which is often 1,024 and shared with the host.
 */
export class HandlePool {
  readonly #open = new Map<string, OpenFile>();
  readonly #closing = new Set<Promise<void>>();
  readonly #limit: number;
  #latest: OpenFile | undefined;

  constructor(limit: number) {
    this.#limit = limit;
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
    const handle = await this.#patiently(() => open(path, options.create ? CREATE : APPEND, 0o600));
    const file = new OpenFile(uuid, path, handle);
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
    return this.#patiently(() => open(path, READ));
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

  // With too many files open in the process, half of ours make room for the one that is needed.
  async #patiently(opening: () => Promise<FileHandle>): Promise<FileHandle> {
    for (;;) {
      try {
        return await opening();
      } catch (error) {
        const code = codeOf(error);
        if ((code !== "EMFILE" && code !== "ENFILE") || this.#open.size === 0) throw error;
        const before = this.#open.size;
        this.#shrinkTo(Math.floor(before / 2));
        if (this.#open.size === before) throw error;
        await Promise.allSettled(this.#closing);
      }
    }
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
      () => this.#closing.delete(closing),
      () => undefined,
    );
  }
}
