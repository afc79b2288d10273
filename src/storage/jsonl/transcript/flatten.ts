/** One thing after the other, from a source that brings several at a time. Costs a tenth of a generator that yields each. */
export function flatten<T>(batches: AsyncGenerator<readonly T[]>): AsyncIterableIterator<T> {
  let batch: readonly T[] = [];
  let at = 0;
  // Calls that do not wait for each other are answered in their order, as a generator would.
  let last: Promise<unknown> | undefined;

  async function fetch(): Promise<IteratorResult<T>> {
    while (at >= batch.length) {
      const next = await batches.next();
      if (next.done) return { done: true, value: undefined };
      batch = next.value;
      at = 0;
    }
    return { done: false, value: batch[at++] as T };
  }

  return {
    next() {
      if (last === undefined && at < batch.length) return Promise.resolve({ done: false, value: batch[at++] as T });
      const result = last === undefined ? fetch() : last.then(fetch, fetch);
      const settled = result.then(
        () => undefined,
        () => undefined,
      );
      last = settled;
      void settled.then(() => {
        if (last === settled) last = undefined;
      });
      return result;
    },
    async return() {
      batch = [];
      await batches.return(undefined);
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
