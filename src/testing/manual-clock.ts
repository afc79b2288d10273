import type { Clock } from "../session/hooks.js";

/** A clock that moves only when told to. */
export interface ManualClock extends Clock {
  /** Moves the clock; a negative number moves it back. */
  advance(milliseconds: number): void;
}

export function manualClock(start = Date.UTC(2026, 2, 18, 10)): ManualClock {
  let now = start;
  return {
    now: () => now,
    advance(milliseconds) {
      now += milliseconds;
    },
  };
}
