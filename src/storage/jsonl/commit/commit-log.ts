import { constants, writeSync } from "node:fs";
import { type FileHandle, open, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import { StorageError } from "../../../errors.js";
import { codeOf } from "../fault.js";
import { ownPrivately, SAFELY, syncDirectory } from "../layout.js";
import { encodeRecords, type LogRecord, ownerLine } from "./commit-record.js";
import { syncInPlace } from "./commit-sync.js";

const CREATE = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL | SAFELY;

/** Up to this size a write into the system's cache takes less time than handing it to another thread would. */
const SMALL_WRITE = 262_144;

/** Bytes of a transcript on their way into a log. */
export interface Logged extends LogRecord {
  /** The transcript's path. */
  path: string;
}

/** One file that holds what was acknowledged before it was synced in place. */
export class CommitLog {
  readonly path: string;
  readonly #owner: unknown;
  #file: FileHandle | undefined;
  #size = 0;
  readonly #named = new Map<string, string>();
  #kept = false;

  constructor(path: string, owner: unknown) {
    this.path = path;
    this.#owner = owner;
  }

  get size(): number {
    return this.#size;
  }

  /** Appends in one write. Does not sync. */
  async write(records: readonly Logged[]): Promise<void> {
    for (const { uuid, path } of records) this.#named.set(uuid, path);
    this.#file ??= await this.#create();
    await this.#append(this.#file, encodeRecords(records));
  }

  async sync(): Promise<void> {
    await this.#file?.datasync();
  }

  /** Leaves the file where it is for good: it may be the only place where something acknowledged is safe. */
  keep(): void {
    this.#kept = true;
  }

  /** A sync of this transcript failed: what the log has of it may be nowhere else, whatever a later sync says. */
  doubt(uuid: string): void {
    if (this.#named.has(uuid)) this.#kept = true;
  }

  /** Syncs in place what it names and removes it, or keeps it when one of them failed. Nothing is written to it any more. */
  async retire(onFailure: (uuid: string, error: unknown) => void): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    await file.close();
    await syncInPlace(this.#named, onFailure);
    if (this.#kept) return;
    try {
      await unlink(this.path);
    } catch (error) {
      // Deleted together with its directory.
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }

  async #create(): Promise<FileHandle> {
    const file = await open(this.path, CREATE, 0o600);
    try {
      // First of all: a log that does not say whose it is may be taken for one that a dead process left.
      await this.#append(file, ownerLine(this.#owner));
      // The umask has had its say on the mode it was made with.
      await ownPrivately(file, this.path);
      await syncDirectory(dirname(this.path));
      if ((await file.stat()).nlink > 0) return file;
      throw new StorageError("A commit log was removed while it was made.", { operation: "storage.update" });
    } catch (error) {
      // Nothing was acknowledged from it. Should it stay, it is an empty log; the first error says what is wrong.
      await Promise.allSettled([file.close(), unlink(this.path)]);
      throw error;
    }
  }

  async #append(file: FileHandle, bytes: Buffer): Promise<void> {
    const written = bytes.length <= SMALL_WRITE ? writeSync(file.fd, bytes) : (await file.write(bytes)).bytesWritten;
    this.#size += written;
    if (written !== bytes.length) {
      throw new StorageError("Only part of a commit could be written to its log. The disk is probably full.", {
        operation: "storage.update",
      });
    }
  }
}
