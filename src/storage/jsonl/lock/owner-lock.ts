import type { HeldLock } from "./held-lock.js";
import { type LockClock, systemLockClock } from "./lock-clock.js";
import { LEASE_MS, LockTaker } from "./lock-takeover.js";
import { liveTokens } from "./lock-verdict.js";

const BEAT_MS = 10_000;
const FIRST_WAIT_MS = 5;
const LONGEST_WAIT_MS = 100;

export interface LockOptions {
  /** A directory for temporaries on the same file system, which exists. */
  scratch: string;
  /** Names this holding, and nothing else ever. */
  token: string;
  /** The session, shown in the file. */
  key?: string | undefined;
  /** Gives up waiting. */
  signal?: AbortSignal | undefined;
  clock?: LockClock | undefined;
}

/**
 * A lock file that says who holds it. One whose holder is seen to be dead is free at once; one whose holder cannot be
 * seen (on another host, in another container) is free when it has not been touched for the length of a lease.
 */
export class OwnerLock {
  readonly token: string;
  readonly #key: string | undefined;
  readonly #clock: LockClock;
  readonly #taker: LockTaker;
  readonly #names: HeldLock[] = [];
  readonly #lost = new AbortController();
  readonly #stopBeating: () => void;
  #beating: Promise<void> = Promise.resolve();
  #provenAt = 0;
  #released: Promise<void> | undefined;

  private constructor({ scratch, token, key, clock = systemLockClock }: LockOptions) {
    this.token = token;
    this.#key = key;
    this.#clock = clock;
    this.#taker = new LockTaker(scratch, clock);
    liveTokens().add(token);
    this.#stopBeating = clock.every(BEAT_MS, () => {
      this.#beating = this.#beating.then(() => this.#beat());
    });
  }

  /** Waits for whoever has it. Rejects with the fault of the system where the file cannot be made. */
  static async acquire(path: string, options: LockOptions): Promise<OwnerLock> {
    const lock = new OwnerLock(options);
    try {
      await lock.alsoAt(path, options.signal);
      return lock;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Aborts when it is noticed that the lock was taken away. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Takes a second name for the same holding, waiting for whoever has it. */
  async alsoAt(path: string, signal?: AbortSignal): Promise<void> {
    if (this.#names.some((name) => name.path === path)) return;
    for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
      signal?.throwIfAborted();
      if (this.#released !== undefined) throw new Error("The lock has been released.");
      const name = await this.#taker.take(path, this.token, this.#key);
      if (name !== undefined) return this.#add(name, signal);
      await this.#clock.wait(wait, signal);
    }
  }

  /** False once a name of it was taken away. One look at a file that is open already. */
  isHeld(): boolean {
    if (this.#released !== undefined || this.#lost.signal.aborted) return false;
    const held = this.#names.every((name) => name.isThere());
    if (!held) this.#lose();
    return held;
  }

  release(): Promise<void> {
    this.#released ??= this.#release();
    return this.#released;
  }

  async #add(name: HeldLock, signal: AbortSignal | undefined): Promise<void> {
    if (this.#released !== undefined || signal?.aborted) {
      await name.remove();
      signal?.throwIfAborted();
      throw new Error("The lock has been released.");
    }
    this.#names.push(name);
    if (this.#names.length === 1) this.#provenAt = this.#clock.now();
  }

  async #beat(): Promise<void> {
    if (this.#released !== undefined) return;
    try {
      const at = this.#clock.now();
      await Promise.all(this.#names.map((name) => name.beat()));
      this.#provenAt = at;
      const inPlace = await Promise.all(this.#names.map((name) => name.isInPlace()));
      if (inPlace.includes(false)) this.#lose();
    } catch {
      // A fault of the disk is no loss yet. The next beat comes, and one that came too late is known by `provenAt`.
      this.isHeld();
    }
  }

  #lose(): void {
    if (!this.#lost.signal.aborted) this.#lost.abort(new Error("The lock was taken away."));
  }

  async #release(): Promise<void> {
    this.#stopBeating();
    await this.#beating;
    try {
      const results = await Promise.allSettled(this.#names.map((name) => this.#giveUp(name)));
      for (const result of results) if (result.status === "rejected") throw result.reason;
    } finally {
      liveTokens().delete(this.token);
    }
  }

  // Who has been silent for long may be taken for dead at this very moment, so that to look and then to remove could
  // remove the file of the next holder. What it wrote itself, it may always disown; the rest is as with the dead.
  async #giveUp(name: HeldLock): Promise<void> {
    if (this.#clock.now() - this.#provenAt < LEASE_MS / 2) return name.remove();
    try {
      await name.disown();
    } catch {
      // A full disk, say. Left as it is, it would be held for as long as this process lives.
      return name.remove();
    }
    await name.close();
    await this.#taker.clear(name.path);
  }
}
