import { setImmediate } from "node:timers/promises";

// A message that arrives meanwhile waits this long at most, in milliseconds.
const SLICE_MS = 8;

/** Long work on many small things lets everything else have its turn in between. */
export class Slices {
  #begun = performance.now();

  /** Whether it is time to `rest`. */
  get over(): boolean {
    return performance.now() - this.#begun > SLICE_MS;
  }

  async rest(): Promise<void> {
    await setImmediate();
    this.#begun = performance.now();
  }
}

/** Does something small with each of very many things. */
export async function inSlices<T>(items: Iterable<T>, work: (item: T) => void): Promise<void> {
  const slices = new Slices();
  for (const item of items) {
    if (slices.over) await slices.rest();
    work(item);
  }
}

/** Does work on many things, several at a time. The first error ends it, once what has begun is over. */
export async function inParallel<T>(
  items: Iterable<T>,
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = left.next(); !next.done; next = left.next()) await work(next.value);
  };
  const results = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
