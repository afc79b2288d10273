import { setImmediate as nextTurn } from "node:timers/promises";
import type { SessionKey, SessionRecord } from "../../src/core.js";
import { type Change, type Claim, MemoryStorage, type SessionStorage, type Updater } from "../../src/index.js";
import type { StorageClause } from "../../src/testing.js";

/** A storage with one defect, and the clause that the defect breaks. */
export interface BrokenStorage {
  breaks: StorageClause;
  defect: string;
  /** It may be caught by its silence alone: there need be nothing wrong in what it says. */
  silent?: true;
  /** A place, on which storages can be opened. */
  place(): () => SessionStorage;
}

/** A storage in memory that is wrong in what it overrides. */
export function broken(
  breaks: StorageClause,
  defect: string,
  Storage: new () => MemoryStorage,
  more: { silent?: true } = {},
): BrokenStorage {
  const place = () => {
    const storage = new Storage();
    return () => storage;
  };
  return { breaks, defect, place, ...more };
}

/** A storage whose updates write something else than the updater decided. */
export function miswriting(
  breaks: StorageClause,
  defect: string,
  change: (decided: Change, current: SessionRecord | undefined) => Change | undefined,
): BrokenStorage {
  return broken(
    breaks,
    defect,
    class extends MemoryStorage {
      override update(...[key, updater, options]: Parameters<MemoryStorage["update"]>) {
        const misled: Updater = (current) => {
          const decided = updater(current);
          return isChange(decided) ? change(decided, current) : decided;
        };
        return super.update(key, misled, options);
      }
    },
  );
}

/** A storage that takes one key for another. */
export function miskeyed(breaks: StorageClause, defect: string, other: (key: string) => string): BrokenStorage {
  const keyed = (key: SessionKey) => other(key) as SessionKey;
  return broken(
    breaks,
    defect,
    class extends MemoryStorage {
      override async read(key: SessionKey) {
        return super.read(keyed(key));
      }
      override async delete(key: SessionKey) {
        return super.delete(keyed(key));
      }
      override async claim(...[key, options]: Parameters<MemoryStorage["claim"]>) {
        return super.claim(keyed(key), options);
      }
      override async update(...[key, updater, options]: Parameters<MemoryStorage["update"]>) {
        const misled: Updater = (current) => {
          const decided = updater(current);
          return isChange(decided) ? { ...decided, record: { ...decided.record, key: keyed(key) } } : decided;
        };
        return super.update(keyed(key), misled, options);
      }
    },
  );
}

/** Changes every text within a value. */
export function withTexts<T>(value: T, change: (text: string) => string): T {
  return JSON.parse(JSON.stringify(value), (_, part) => (typeof part === "string" ? change(part) : part));
}

export function isChange(decided: unknown): decided is Change {
  return typeof decided === "object" && decided !== null && "record" in decided && !("then" in decided);
}

/** What a storage that does one thing in two steps leaves between them. */
export const betweenSteps = () => nextTurn();

/** A claim that is another in what is given. */
export function changedClaim(claim: Claim, change: Partial<Claim>): Claim {
  const { token, signal, release } = claim;
  const whole = { token, signal, release, ...change };
  return { ...whole, [Symbol.asyncDispose]: whole.release };
}
