/** Makes bytes that have been written to transcripts survive a power cut. */
export interface Commits {
  /**
   * Called right after bytes were written to a transcript. They must not be changed, nor taken back from the file, after.
   * @returns a promise that resolves when they have the durability promised, and rejects with the system's error when that
   * failed: then what is on disk is unknown. `undefined`: there is nothing to wait for.
   */
  commit(written: Written): Promise<void> | undefined;
  /**
   * Everything written so far is synced in place and the logs are removed. Rejects when something could not be synced.
   * A commit after that is still right, but no longer shares its wait with others.
   */
  close(): Promise<void>;
}

/** Bytes that have just been written to a transcript. */
export interface Written {
  uuid: string;
  /**
   * Where in the file they begin: exactly there, for after a power cut they are put back there. `undefined`: not certain,
   * because another process appended at the same time. Such bytes are synced in place.
   */
  offset: number | undefined;
  bytes: Uint8Array;
  file: SyncableFile;
}

/** A transcript held open. Handles are pooled: `pin` keeps this one from being closed until `unpin`. */
export interface SyncableFile {
  readonly path: string;
  datasync(): Promise<void>;
  pin(): void;
  unpin(): void;
}

/** Does something later without keeping the process alive for it. What it returns calls it off. */
export type After = (milliseconds: number, run: () => void) => () => void;
