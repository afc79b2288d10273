import type { SessionKey } from "../../core/key.js";
import type { Claim } from "../../storage/storage.js";
import type { TurnOutcome } from "../outcome.js";
import type { SendRate } from "./send-rate.js";
import type { Slots } from "./slots.js";

/** A sub-agent that runs, or waits to run, in this process. */
export interface LiveRun {
  readonly key: SessionKey;
  readonly parent: SessionKey;
  readonly run: string;
  readonly state: "pending" | "running" | "ended";
  /** Held from before the sub-agent is accepted until its end is stored: who can have it knows that the process has died. */
  readonly claim: Claim | undefined;
  /** Resolves when its end is stored. */
  readonly ended: Promise<unknown>;
  /** Resolves when its parent has dealt with that, with what the parent's turn came to if there was one. */
  readonly settled: Promise<TurnOutcome | undefined>;
  /** Ends when it is stopped. */
  readonly signal: AbortSignal;
  /** Waits for other sessions. It is not at work meanwhile, and its place among those that are is another's. */
  whileWaiting<T>(work: Promise<T>): Promise<T>;
  /** Stops it and what it has spawned. */
  stop(why: "killed" | "timed_out"): void;
}

/** The turns that sessions of this process have caused, and the sub-agents that run in it. */
export class Runs {
  readonly slots: Slots;
  readonly rate: SendRate;
  readonly #accepted = new Set<string>();
  readonly #live = new Map<SessionKey, LiveRun>();
  readonly #seen = new Set<string>();
  readonly #background = new Set<Promise<unknown>>();

  constructor(slots: Slots, rate: SendRate) {
    this.slots = slots;
    this.rate = rate;
  }

  /** Notes a run that is in line here, until it is over. */
  accept(run: string, over: Promise<unknown>): void {
    this.#accepted.add(run);
    void Promise.allSettled([over]).then(() => this.#accepted.delete(run));
  }

  isAccepted(run: string): boolean {
    return this.#accepted.has(run);
  }

  add(run: LiveRun): void {
    this.#live.set(run.key, run);
    void Promise.allSettled([run.settled]).then(() => this.#live.delete(run.key));
  }

  live(key: SessionKey): LiveRun | undefined {
    return this.#live.get(key);
  }

  childrenOf(parent: SessionKey): LiveRun[] {
    return [...this.#live.values()].filter((run) => run.parent === parent);
  }

  /** Stops what a session has spawned, and what that has. */
  stopChildren(parent: SessionKey): LiveRun[] {
    const children = this.childrenOf(parent);
    for (const child of children) child.stop("killed");
    return children;
  }

  /** Whether something is asked for the first time. */
  isFirst(what: string): boolean {
    if (this.#seen.has(what)) return false;
    this.#seen.add(what);
    return true;
  }

  /** Work that nobody waits for, but the closing of the manager. */
  inBackground(work: Promise<unknown>): void {
    const over: Promise<unknown> = Promise.allSettled([work]).then(() => this.#background.delete(over));
    this.#background.add(over);
  }

  /** Resolves when no sub-agent runs here any more, and nothing is done in the background. */
  async settled(): Promise<void> {
    while (this.#live.size > 0 || this.#background.size > 0)
      await Promise.allSettled([...[...this.#live.values()].map(({ settled }) => settled), ...this.#background]);
  }
}
