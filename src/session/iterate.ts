/**
 * An iterable whose source is found when the first item is asked for. A generator would do, at the price of a further promise
 * for each of its items, and a long history has many.
 */
export function deferred<T>(begin: () => Promise<AsyncIterable<T>>): AsyncIterableIterator<T> {
  let source: AsyncIterator<T> | undefined;
  let beginning: Promise<AsyncIterator<T>> | undefined;
  let ended = false;

  async function first(): Promise<IteratorResult<T>> {
    beginning ??= begin().then((iterable) => iterable[Symbol.asyncIterator]());
    source = await beginning;
    return ended ? { done: true, value: undefined } : source.next();
  }

  return {
    next: () => {
      if (ended) return Promise.resolve({ done: true, value: undefined });
      return source === undefined ? first() : source.next();
    },
    return: async () => {
      ended = true;
      await source?.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** Those items that are to be kept. */
export function only<T, U extends T>(items: AsyncIterable<T>, keep: (item: T) => item is U): AsyncIterableIterator<U> {
  const source = items[Symbol.asyncIterator]();
  return {
    async next() {
      for (;;) {
        const result = await source.next();
        if (result.done) return { done: true, value: undefined };
        if (keep(result.value)) return { done: false, value: result.value };
      }
    },
    async return() {
      await source.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
