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

  /** The compaction that is under way. */
  underWay(uuid: string): Promise<CompactionOutcome> | undefined {
    return this.#running.get(uuid)?.outcome;
  }

  /** Runs a compaction of a session that has none under way. Of those that are nobody's wish the failures are remembered. */
  run(
    uuid: string,
    isWished: boolean,
    compaction: (stopped: AbortSignal) => Promise<CompactionOutcome>,
  ): Promise<CompactionOutcome> {
    const stop = new AbortController();
    const outcome = this.#watched(uuid, isWished, compaction(stop.signal));
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

  async #watched(uuid: string, isWished: boolean, compaction: Promise<CompactionOutcome>): Promise<CompactionOutcome> {
    try {
      const outcome = await compaction;
      if (!isWished || outcome.status === "compacted") this.#remember(uuid, outcome);
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
