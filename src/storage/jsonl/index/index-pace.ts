/** How the writing of the index has gone so far, in bytes and milliseconds. */
export interface IndexPace {
  /** The size of the index as it was last written. */
  size: number;
  /** Bytes of transcripts written since. */
  written: number;
  /** Since it was last written. */
  elapsed: number;
  /** How long that took. */
  took: number;
}

const LEAST_GAP_MS = 1_000;

// Writing the index takes longer the more sessions there are; waiting this many times as long keeps it at 5 % of the time.
const REST = 20;

// The most the index may cost the disk when little is said in a store of many sessions, in bytes per millisecond: 256 kB/s.
const SLOW_RATE = 256;

/**
 * Whether the index is to be written again. Under load it is when as much has been said as writing it costs, so that it
 * at most doubles what the disk takes; otherwise after a time that grows with its size: a second at 250 sessions, four
 * minutes at 100,000. Nothing depends on it but who looks into `sessions.json` with other tools and how fast a store opens.
 */
export function indexIsDue({ size, written, elapsed, took }: IndexPace): boolean {
  if (elapsed < Math.max(LEAST_GAP_MS, took * REST)) return false;
  return written >= size || elapsed >= size / SLOW_RATE;
}
