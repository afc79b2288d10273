import type { SessionKey } from "../../src/core.js";
import { MemoryStorage } from "../../src/index.js";
import { type BrokenStorage, broken, changedClaim } from "./broken-storage.js";

type ClaimCall = Parameters<MemoryStorage["claim"]>;

/** Storages that are wrong about being closed. */
export const brokenClosing: readonly BrokenStorage[] = [
  broken(
    "S15",
    "a closed storage goes on as before",
    class extends MemoryStorage {
      override async close() {}
    },
  ),
  broken(
    "S15",
    "a second close is an error",
    class extends MemoryStorage {
      #closed = false;
      override async close() {
        if (this.#closed) throw new Error("It has been closed already.");
        this.#closed = true;
        await super.close();
      }
    },
  ),
  broken(
    "S15",
    "a closed storage has an empty list",
    class extends MemoryStorage {
      #closed = false;
      override async *list(...query: Parameters<MemoryStorage["list"]>) {
        if (!this.#closed) yield* super.list(...query);
      }
      override async close() {
        this.#closed = true;
        await super.close();
      }
    },
  ),
  broken(
    "S15",
    "a call on a closed storage throws before there is a promise",
    class extends MemoryStorage {
      #closed = false;
      override read(key: SessionKey) {
        if (this.#closed) throw new Error("It has been closed.");
        return super.read(key);
      }
      override async close() {
        this.#closed = true;
        await super.close();
      }
    },
  ),
  broken(
    "S15",
    "close leaves the signals of its claims alone",
    class extends MemoryStorage {
      override async claim(...[key, options]: ClaimCall) {
        return changedClaim(await super.claim(key, options), { signal: new AbortController().signal });
      }
    },
  ),
  broken(
    "S15",
    "close leaves those who wait for a claim waiting",
    class extends MemoryStorage {
      override async claim(...[key, options]: ClaimCall) {
        return super.claim(key, options).catch((error: { code?: string }) => {
          if (error.code !== "CLOSED") throw error;
          return new Promise<never>(() => undefined);
        });
      }
    },
  ),
  broken(
    "S15",
    "a claim cannot be released after close",
    class extends MemoryStorage {
      #closed = false;
      override async claim(...[key, options]: ClaimCall) {
        const claim = await super.claim(key, options);
        return changedClaim(claim, {
          release: async () => {
            if (this.#closed) throw new Error("It has been closed.");
            await claim.release();
          },
        });
      }
      override async close() {
        this.#closed = true;
        await super.close();
      }
    },
  ),
];
