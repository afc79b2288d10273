import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { codeOf } from "../fault.js";

// Neither through a link nor waiting at a pipe that someone put there.
export const SAFELY = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Opens a transcript for as long as the work takes; `undefined` when it was deleted. */
export async function withTranscript<T>(path: string, work: (file: FileHandle) => Promise<T>): Promise<T | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDWR | SAFELY);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

// The system has four threads for all file work of the process; work in the background leaves the others theirs.
const IN_BACKGROUND = 2;

/** Syncs transcripts in the background. One that was deleted needs nothing; every failure is handed on, and the others are synced. */
export function syncInPlace(
  transcripts: Iterable<[uuid: string, path: string]>,
  onFailure: (uuid: string, error: unknown) => void,
): Promise<void> {
  return forEach(transcripts, IN_BACKGROUND, async ([uuid, path]) => {
    try {
      await withTranscript(path, (file) => file.datasync());
    } catch (error) {
      onFailure(uuid, error);
    }
  });
}

/** Does work for each, some at a time. The first error ends it, once what has begun is over. */
export async function forEach<T>(items: Iterable<T>, atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const left = items[Symbol.iterator]();
  const lane = async () => {
    for (let next = left.next(); !next.done; next = left.next()) await work(next.value);
  };
  const results = await Promise.allSettled(Array.from({ length: atOnce }, lane));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}

/** Several errors as one; one as it is. */
export function throwAll(errors: readonly unknown[], message: string): void {
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, message);
}
