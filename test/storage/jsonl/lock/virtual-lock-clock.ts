import { setImmediate } from "node:timers/promises";
import type { LockClock } from "../../../../src/storage/jsonl/lock/lock-clock.js";

export interface VirtualLockClock extends LockClock {
  /** Runs the task when the clock gets there. */
  at(time: number, task: () => void): void;
  /** How many tasks run again and again. */
  beating(): number;
}

/** A clock on which waiting takes no time: it moves on at once, and what falls due on the way is run. */
export function virtualLockClock(): VirtualLockClock {
  let now = 0;
  const due = new Set<{ at: number; every?: number; task: () => void }>();
  const moveTo = (end: number) => {
    for (;;) {
      const [next] = [...due].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      now = next.at;
      if (next.every === undefined) due.delete(next);
      else next.at += next.every;
      next.task();
    }
    now = end;
  };
  return {
    now: () => now,
    async wait(milliseconds, signal) {
      moveTo(now + milliseconds);
      await setImmediate();
      signal?.throwIfAborted();
    },
    every(milliseconds, task) {
      const entry = { at: now + milliseconds, every: milliseconds, task };
      due.add(entry);
      return () => void due.delete(entry);
    },
    beating: () => [...due].filter(({ every }) => every !== undefined).length,
    at: (time, task) => void due.add({ at: time, task }),
  };
}
