import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import { constants } from "node:fs";
import { type FileHandle, lstat, open } from "node:fs/promises";
import { codeOf } from "../fault.js";
import { SAFELY } from "../layout.js";

const MAX_BYTES = 16_384;

/** Who a lock file says has it. Written by anyone: nothing in it is taken for granted. */
export type LockHolder = Readonly<Record<string, unknown>>;

/** What stands in the place of a lock. */
export interface FoundLock {
  readonly isDirectory: boolean;
  /** Undefined when it does not say so in a form that is known. */
  readonly holder: LockHolder | undefined;
  /** When it was last written or touched, by the clock of the file system. */
  readonly touched: number;
  /** Two looks with the same version saw the same file, untouched between them. */
  readonly version: string;
}

/** Undefined when nothing is there. */
export async function findLock(path: string): Promise<FoundLock | undefined> {
  let file: FileHandle;
  try {
    // What is no file (a link, a pipe) must neither be followed nor waited for.
    file = await open(path, constants.O_RDONLY | SAFELY);
  } catch (error) {
    // No more file handles, a faulty disk: that says nothing about the lock.
    if (["EMFILE", "ENFILE", "EIO", "ENOMEM"].includes(codeOf(error) ?? "")) throw error;
    return findFromOutside(path);
  }
  try {
    const stats = await file.stat({ bigint: true });
    const text = stats.isFile() ? await startOf(file) : undefined;
    return found(stats, text);
  } finally {
    await file.close();
  }
}

/** For what cannot be opened: another user's lock, a link, a socket. */
async function findFromOutside(path: string): Promise<FoundLock | undefined> {
  try {
    return found(await lstat(path, { bigint: true }), undefined);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function startOf(file: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(MAX_BYTES);
  let length = 0;
  while (length < MAX_BYTES) {
    const { bytesRead } = await file.read(buffer, length, MAX_BYTES - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

function found(stats: BigIntStats, text: Buffer | undefined): FoundLock {
  const content = text === undefined ? "" : createHash("sha256").update(text).digest("base64url");
  return {
    isDirectory: stats.isDirectory(),
    holder: text === undefined ? undefined : holderIn(text.toString("utf8")),
    touched: Number(stats.mtimeMs),
    version: [stats.dev, stats.ino, stats.mtimeNs, stats.size, content].join(":"),
  };
}

function holderIn(text: string): LockHolder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as LockHolder) : undefined;
  } catch {
    // Empty, half written or of another program: it says nothing about who has it.
    return undefined;
  }
}
