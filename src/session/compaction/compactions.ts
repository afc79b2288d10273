import type { CompactionOutcome } from "./compaction-outcome.js";

// So many turns are let pass after one failure, after two in a row, and so on: a summariser that is down must not cost a
// call with every message.
const LONGEST_PAUSE = 32;

// Sessions whose last compaction failed. More than a host has at one time.
const MAX_FAILING = 10_000;

/** The compactions under way, one for each session, and those that failed. */
export class Compactions {
  readonly #running = new Map<string, { outcome: Promise<CompactionOutcome>; abort(): void }>();
  readonly #beside = new Set<Promise<unknown>>();
  readonly #failing = new Map<string, { failures: number; pause: number }>();

  /** Runs a compaction, or waits for the one that is under way. */
  run(uuid: string, compaction: (stopped: AbortSignal) => Promise<CompactionOutcome>): Promise<CompactionOutcome> {
    const running = this.#running.get(uuid);
    if (running !== undefined) return running.outcome;
    const stop = new AbortController();
    const outcome = this.#watched(uuid, compaction(stop.signal));
    this.#running.set(uuid, { outcome, abort: () => stop.abort() });
    return outcome;
  }

  isRunning(uuid: string): boolean {
    return this.#running.has(uuid);
  }

  /** Gives up what is under way. The history stays as it was. @returns whether something was. */
  stop(uuid: string): boolean {
    this.#running.get(uuid)?.abort();
    return this.isRunning(uuid);
  }

  /** Whether a turn should try one: not so soon after one that failed. Asked once for each turn that would. */
  isDue(uuid: string): boolean {
    const failing = this.#failing.get(uuid);
    if (failing === undefined || failing.pause === 0) return true;
    failing.pause -= 1;
    return false;
  }

  /** Work that nobody waits for until the end. Its failure is its own to tell. */
  beside(work: Promise<unknown>): void {
    this.#beside.add(work);
    void Promise.allSettled([work]).then(() => this.#beside.delete(work));
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#running.values()].map(({ outcome }) => outcome));
    await Promise.allSettled([...this.#beside]);
  }

  async #watched(uuid: string, compaction: Promise<CompactionOutcome>): Promise<CompactionOutcome> {
    try {
      const outcome = await compaction;
      this.#remember(uuid, outcome);
      return outcome;
    } finally {
      this.#running.delete(uuid);
    }
  }

  #remember(uuid: string, outcome: CompactionOutcome): void {
    // That there was nothing to do has cost nothing, and may be otherwise with the next message.
    if (outcome.status === "unchanged") return;
    const failures = (this.#failing.get(uuid)?.failures ?? 0) + 1;
    this.#failing.delete(uuid);
    if (outcome.status === "compacted") return;
    this.#failing.set(uuid, { failures, pause: Math.min(2 ** (failures - 1), LONGEST_PAUSE) });
    const [oldest] = this.#failing.keys();
    if (this.#failing.size > MAX_FAILING && oldest !== undefined) this.#failing.delete(oldest);
  }
}
