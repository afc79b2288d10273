// Clocks and counters of one process.
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

/** The value below which this share of the samples lies. */
export function percentile(samples, share) {
  if (samples.length === 0) return undefined;
  const sorted = Float64Array.from(samples).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export function median(values) {
  const known = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  if (known.length === 0) return undefined;
  const half = known.length >> 1;
  return known.length % 2 === 1 ? known[half] : (known[half - 1] + known[half]) / 2;
}

/** The longest time the event loop was not free, in ms. The timer that looks every millisecond is taken off. */
export async function watchLoop() {
  const histogram = monitorEventLoopDelay({ resolution: 1 });
  histogram.enable();
  // It measures from tick to tick, so it sees nothing before the first.
  while (histogram.count === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  return {
    async stop() {
      // What blocked the loop until now is only recorded when the watching timer gets its turn.
      await new Promise((resolve) => setTimeout(resolve, 3));
      histogram.disable();
      return Math.max(0, histogram.max / 1e6 - 1);
    },
  };
}

/**
 * What this process has written so far: `asked` by its system calls (a wake-up of Node's own thread pool counts 8 bytes),
 * `toDisk` in whole pages made dirty. Undefined where the system does not say.
 */
export function written() {
  try {
    const text = readFileSync("/proc/self/io", "utf8");
    const field = (name) => Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(text)?.[1]);
    return { asked: field("wchar"), toDisk: field("write_bytes") };
  } catch {
    return undefined;
  }
}

export function writtenBetween(before, after) {
  if (before === undefined || after === undefined) return undefined;
  return { asked: after.asked - before.asked, toDisk: after.toDisk - before.toDisk };
}

/** The most memory this process has had, in MB. */
export function peakMegabytes() {
  return process.resourceUsage().maxRSS / 1024;
}

/**
 * Gives the event loop a turn when it has had none for a millisecond, as messages that come in over the network do. Without
 * it, work that is done before it is waited for would look like one long stall.
 */
export function turns() {
  let latest = performance.now();
  return {
    isDue: (now) => now - latest > 1,
    async take() {
      await new Promise((resolve) => setImmediate(resolve));
      latest = performance.now();
      return latest;
    },
  };
}

/**
 * Calls `work(i)` one after the other; gives each call's time in ms, and the time of all with the turns of the loop between
 * them. A result that is no promise is not waited for.
 */
export async function timeEach(count, work) {
  const samples = new Float64Array(count);
  const loop = turns();
  const start = performance.now();
  let before = start;
  for (let index = 0; index < count; index += 1) {
    const result = work(index);
    if (result instanceof Promise) await result;
    const now = performance.now();
    samples[index] = now - before;
    before = loop.isDue(now) ? await loop.take() : now;
  }
  return { samples, total: performance.now() - start };
}

/** Milliseconds that `work` takes, and what it gives. */
export async function timeOnce(work) {
  const start = performance.now();
  const value = await work();
  return { ms: performance.now() - start, value };
}
