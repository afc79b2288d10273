import type { TranscriptEntry } from "../core/entry.js";
import type { SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";

/**
 * Where sessions are kept: a small record per key, and a transcript of entries per `uuid`.
 *
 * Two kinds of exclusion, never mixed. `update` is short and atomic and its updater is synchronous, so no lock can be held
 * over host code. A `claim` is long and says only who may run the model for a session: it blocks no read, append or list.
 *
 * Not promised: order between different keys; a snapshot across `list`; one directory shared over NFS.
 */
export interface SessionStorage {
  /** The record of a key; `undefined` when it was never written or has been deleted. */
  read(key: SessionKey): Promise<SessionRecord | undefined>;

  /** Each record once, newest `lastActive` first, also while updates run. */
  list(query?: ListQuery): AsyncIterable<SessionRecord>;

  /**
   * Changes a session atomically: the record and the entries become visible together, or not at all.
   *
   * The updater gets the current record (`undefined`: create) and returns the change, or `undefined` to write nothing. It is
   * synchronous and may run more than once. When it throws, the same error comes back and nothing is written.
   * @returns the record as it now stands.
   * @throws ClaimLostError when `claim` has been lost; nothing is written.
   */
  update(
    key: SessionKey,
    updater: Updater,
    options?: { claim?: Claim | undefined },
  ): Promise<SessionRecord | undefined>;

  /** The entries of a transcript in the order they were appended. */
  entries(uuid: string, range?: EntryRange): AsyncIterable<TranscriptEntry>;

  /** The right to run turns of a session: one holder at a time, waiters served in order. */
  claim(key: SessionKey, options?: { signal?: AbortSignal | undefined }): Promise<Claim>;

  /** Removes record and transcript. `true` when there was something to remove. A later create starts empty with a new uuid. */
  delete(key: SessionKey): Promise<boolean>;

  /** Finishes what is being written and lets go of every handle. Every later call rejects with `ClosedError`. */
  close(): Promise<void>;
}

/** Decides a change from the current record. Synchronous: a promise is refused with `TypeError` and nothing is written. */
export type Updater = (current: SessionRecord | undefined) => Change | undefined;

/** What an update writes: the record as it shall stand, and the entries to append. */
export interface Change {
  record: SessionRecord;
  append?: readonly TranscriptEntry[] | undefined;
}

export interface ListQuery {
  /** Only this agent's sessions. */
  agentId?: string | undefined;
  /** Only sessions active at or after this time, in milliseconds since 1970. */
  activeSince?: number | undefined;
  /** At most so many. Default: all. */
  limit?: number | undefined;
}

export interface EntryRange {
  /** Only what stands after the entry with this id. */
  after?: string | undefined;
  /** Only the final so many. */
  last?: number | undefined;
  /** From the entry at which the window begins (the last clear); nothing that stands before it is in force. */
  fromWindow?: boolean | undefined;
}

export interface Claim extends AsyncDisposable {
  /** Names this holding of the claim. */
  readonly token: string;
  /** Aborts when the claim is lost. */
  readonly signal: AbortSignal;
  /** Lets the next waiter in. Safe to call again. */
  release(): Promise<void>;
}
