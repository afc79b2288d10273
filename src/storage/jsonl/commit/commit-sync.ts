import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { codeOf } from "../fault.js";
import { SAFELY } from "../layout.js";
import { inParallel } from "../slices.js";

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
  return inParallel(transcripts, IN_BACKGROUND, async ([uuid, path]) => {
    try {
      // Told before the file is closed: a next sync that began meanwhile would succeed and mean nothing.
      await withTranscript(path, (file) => file.datasync().catch((error: unknown) => onFailure(uuid, error)));
    } catch (error) {
      onFailure(uuid, error);
    }
  });
}

/** Several errors as one; one as it is. */
export function throwAll(errors: readonly unknown[], message: string): void {
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, message);
}
