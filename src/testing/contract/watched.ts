import assert from "node:assert/strict";
import type { SessionStorage } from "../../storage/storage.js";
import { heldBack, within } from "./within.js";

// No check makes as many as this, so a storage that yields more would never end.
const MOST_ITEMS = 2000;

/** A storage each of whose answers is waited for only so long. A claim is waited for by whoever asks: it may take its time. */
export function watched(storage: SessionStorage, milliseconds: number): SessionStorage {
  const answer = <T>(name: string, call: () => Promise<T>): Promise<T> => {
    const promise = call();
    assert.equal(typeof promise?.then, "function", `storage.${name} gives a promise`);
    return heldBack(within(promise, `storage.${name}`, milliseconds));
  };
  async function* items<T>(name: string, iterable: AsyncIterable<T>): AsyncGenerator<T> {
    const iterator = iterable[Symbol.asyncIterator]();
    let ended = false;
    try {
      for (let count = 0; ; count += 1) {
        assert.ok(count <= MOST_ITEMS, `storage.${name} ends; it yielded more than ${MOST_ITEMS} items`);
        const next = await answer(name, () => iterator.next());
        ended = next.done === true;
        if (next.done) return;
        yield next.value;
      }
    } catch (error) {
      ended = true;
      throw error;
    } finally {
      if (!ended && iterator.return !== undefined) await answer(name, () => Promise.resolve(iterator.return?.()));
    }
  }
  return {
    read: (key) => answer("read", () => storage.read(key)),
    list: (query) => items("list", storage.list(query)),
    update: (key, updater, options) => answer("update", () => storage.update(key, updater, options)),
    entries: (uuid, range) => items("entries", storage.entries(uuid, range)),
    claim: (key, options) => heldBack(storage.claim(key, options)),
    delete: (key) => answer("delete", () => storage.delete(key)),
    close: () => answer("close", () => storage.close()),
  };
}
