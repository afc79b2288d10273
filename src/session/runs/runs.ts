import type { SessionKey } from "../../core/key.js";
import type { Claim } from "../../storage/storage.js";
import type { TurnOutcome } from "../outcome.js";
import type { SendRate } from "./send-rate.js";
import type { Slots } from "./slots.js";
import { Waits } from "./waits.js";

/** A sub-agent that is made, waits to run or runs in this process. */
export interface LiveRun {
  readonly key: SessionKey;
  /** Nearest first. */
  readonly ancestors: readonly SessionKey[];
  readonly run: string;
  readonly state: "pending" | "running" | "ended";
  /** Held from before the sub-agent is accepted until its parent has dealt with its end: who can have it knows that the process has died. */
  readonly claim: Claim | undefined;
  /** Resolves when its end is stored. */
  readonly ended: Promise<unknown>;
  /** Resolves when its parent has dealt with that, with what the parent's turn came to if there was one. */
  readonly settled: Promise<TurnOutcome | undefined>;
  /** Resolves when nothing of it is left here. */
  readonly left: Promise<void>;
  /** Ends when it is stopped. */
  readonly signal: AbortSignal;
  /** Waits for what it has spawned. It is not at work meanwhile, and its place among those that are is another's. */
  whileWaiting<T>(work: Promise<T>): Promise<T>;
  /** Stops it and what it has been asked besides, but not what it has spawned. */
  stop(why: "killed" | "timed_out"): void;
}

/** The turns that sessions of this process have caused, and the sub-agents that run in it. */
export class Runs {
  readonly slots: Slots;
  readonly rate: SendRate;
  readonly waits = new Waits();
  readonly #accepted = new Set<string>();
  readonly #failed = new Set<string>();
  readonly #live = new Map<SessionKey, LiveRun>();
  /** Those that live, by the session that has spawned them. */
  readonly #children = new Map<SessionKey, Set<LiveRun>>();
  readonly #looked = new Map<string, number>();
  readonly #background = new Set<Promise<unknown>>();

  constructor(slots: Slots, rate: SendRate) {
    this.slots = slots;
    this.rate = rate;
  }

  /** Notes a run that is in line here, until it is over. */
  accept(run: string, over: Promise<unknown>): void {
    this.#accepted.add(run);
    void Promise.allSettled([over]).then(([{ status }]) => {
      this.#accepted.delete(run);
      if (this.#failed.size >= MAX_LOOKED) this.#failed.clear();
      if (status === "rejected") this.#failed.add(run);
    });
  }

  /** Whether a run was in line here and something went wrong: if it still waits, nobody is at it. */
  hasFailed(run: string): boolean {
    return this.#failed.has(run);
  }

  isAccepted(run: string): boolean {
    return this.#accepted.has(run);
  }

  add(run: LiveRun): void {
    const [parent = run.key] = run.ancestors;
    const siblings = this.#children.get(parent) ?? new Set();
    this.#live.set(run.key, run);
    this.#children.set(parent, siblings.add(run));
    void Promise.allSettled([run.left]).then(() => {
      this.#live.delete(run.key);
      siblings.delete(run);
      if (siblings.size === 0) this.#children.delete(parent);
    });
  }

  live(key: SessionKey): LiveRun | undefined {
    return this.#live.get(key);
  }

  /** Also those that have ended and that their parent has not dealt with. */
  childrenOf(parent: SessionKey): LiveRun[] {
    return [...(this.#children.get(parent) ?? [])];
  }

  /** Also those below one that has ended. */
  descendantsOf(key: SessionKey): LiveRun[] {
    return [...this.#live.values()].filter(({ ancestors, state }) => ancestors.includes(key) && state !== "ended");
  }

  /** Stops a sub-agent and everything that was spawned below it. */
  stop(run: LiveRun, why: "killed" | "timed_out"): void {
    // What was below it was stopped with it, and is not once more by each of those that waited for it.
    const isStopped = run.signal.aborted;
    run.stop(why);
    if (!isStopped) this.stopDescendants(run.key);
  }

  /** Stops everything that was spawned below a session. */
  stopDescendants(key: SessionKey): LiveRun[] {
    const below = this.descendantsOf(key);
    for (const run of below) run.stop("killed");
    return below;
  }

  /** Whether something has not been looked at here before. */
  isFirst(what: string): boolean {
    return !this.#looked.has(what);
  }

  /** Whether it is time to look at something again: what others do here is seldom worth the while. */
  isDue(what: string, now: number): boolean {
    const looked = this.#looked.get(what);
    if (looked !== undefined && now - looked < LOOK_AGAIN_MS) return false;
    // Forgetting all of it costs a look at some of it.
    if (this.#looked.size >= MAX_LOOKED) this.#looked.clear();
    this.#looked.set(what, now);
    return true;
  }

  /** Work that nobody has to wait for, but the closing of the manager. `failed` is told when it fails. Resolves when it is over. */
  inBackground(work: Promise<unknown>, failed: (error: unknown) => void): Promise<unknown> {
    const over: Promise<unknown> = Promise.allSettled([work.catch(failed)]).then(() => this.#background.delete(over));
    this.#background.add(over);
    return over;
  }

  /** Resolves when no sub-agent runs here any more, and nothing is done in the background. */
  async settled(): Promise<void> {
    while (this.#live.size > 0 || this.#background.size > 0)
      await Promise.allSettled([...[...this.#live.values()].map(({ left }) => left), ...this.#background]);
  }
}

/** A look at what a living process does takes a second, and what a dead one has left waits no longer than this to be found. */
export const LOOK_AGAIN_MS = 30_000;

const MAX_LOOKED = 100_000;
