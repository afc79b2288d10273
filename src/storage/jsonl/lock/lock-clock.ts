import { performance } from "node:perf_hooks";
import { setTimeout as wait } from "node:timers/promises";

/** Time as locks know it: a number that only rises, never the time of day. */
export interface LockClock {
  /** Milliseconds since some moment. */
  now(): number;
  /** Rejects with the reason of the signal when that aborts first. */
  wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void>;
  /** Runs the task again and again until told to stop; does not keep the process alive. */
  every(milliseconds: number, task: () => void): () => void;
}

export const systemLockClock: LockClock = {
  now: () => performance.now(),
  async wait(milliseconds, signal) {
    try {
      await wait(milliseconds, undefined, signal === undefined ? {} : { signal });
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    }
  },
  every(milliseconds, task) {
    const timer = setInterval(task, milliseconds);
    timer.unref();
    return () => clearInterval(timer);
  },
};
