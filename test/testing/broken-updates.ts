import type { SessionKey, TranscriptEntry } from "../../src/core.js";
import { initialRecord, project } from "../../src/core.js";
import { MemoryStorage, StorageError, type Updater } from "../../src/index.js";
import { type BrokenStorage, betweenSteps, broken, isChange, miswriting } from "./broken-storage.js";

type Update = Parameters<MemoryStorage["update"]>;
const UUID = "00000000-0000-4000-8000-000000000001";

/** Storages that are wrong about records and updates. */
export const brokenUpdates: readonly BrokenStorage[] = [
  broken(
    "S1",
    "read makes up a record where there is none",
    class extends MemoryStorage {
      override async read(key: SessionKey) {
        return (await super.read(key)) ?? initialRecord({ key, uuid: UUID, created: "2026-03-18T10:00:00.000Z" });
      }
    },
  ),
  broken(
    "S1",
    "a claim makes the session",
    class extends MemoryStorage {
      override async claim(...[key, options]: Parameters<MemoryStorage["claim"]>) {
        await super.update(key, (current) =>
          current ? undefined : { record: initialRecord({ key, uuid: crypto.randomUUID(), created: "" }) },
        );
        return super.claim(key, options);
      }
    },
  ),
  miswriting("S2", "a record keeps fields that the new one has not", (decided, current) => ({
    ...decided,
    record: { ...current, ...decided.record },
  })),
  miswriting("S2", "the record is computed from the entries in place of the one given", (decided, current) => ({
    ...decided,
    record: project(current ?? { ...decided.record, messageCount: 0 }, decided.append ?? []),
  })),
  miswriting("S2", "an update without entries writes nothing", (decided) =>
    decided.append?.length ? decided : undefined,
  ),
  broken(
    "S2",
    "a record is stored under whatever key it has",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        const current = await super.read(key);
        const decided = updater(current);
        if (!isChange(decided) || decided.record.key === key) return super.update(key, () => decided, options);
        const { uuid } = (await super.read(decided.record.key)) ?? decided.record;
        return super.update(decided.record.key, () => ({ ...decided, record: { ...decided.record, uuid } }));
      }
    },
  ),
  broken(
    "S2",
    "a new session may take the transcript of another",
    class extends MemoryStorage {
      readonly #owners = new Map<string, SessionKey>();
      override async update(...[key, updater, options]: Update) {
        try {
          const record = await super.update(key, updater, options);
          if (record) this.#owners.set(record.uuid, key);
          return record;
        } catch (error) {
          if (!(error instanceof StorageError) || error.code !== "STORAGE" || (await super.read(key))) throw error;
          const decided = updater(undefined);
          const owner = this.#owners.get(decided?.record.uuid ?? "");
          if (!isChange(decided) || owner === undefined) throw error;
          await super.update(owner, (current) => current && { record: current, append: decided.append });
          return decided.record;
        }
      }
    },
  ),
  broken(
    "S3",
    "an updater that returns undefined resolves to undefined",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        let wrote = false;
        const record = await super.update(
          key,
          (current) => {
            const decided = updater(current);
            wrote = decided !== undefined;
            return decided;
          },
          options,
        );
        return wrote ? record : undefined;
      }
    },
  ),
  broken(
    "S3",
    "what an updater did to the record it got is stored, also when it returns undefined",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        return super.update(key, (current) => updater(current) ?? (current && { record: current }), options);
      }
    },
  ),
  broken(
    "S4",
    "entries become visible before their record",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        const decided = updater(await super.read(key));
        if (!isChange(decided)) return super.update(key, () => decided, options);
        await super.update(key, (current) => ({ record: current ?? decided.record, append: decided.append }), options);
        await betweenSteps();
        return super.update(key, () => ({ record: decided.record }));
      }
    },
  ),
  broken(
    "S4",
    "a record becomes visible before its entries",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        let append: readonly TranscriptEntry[] | undefined;
        const misled: Updater = (current) => {
          const decided = updater(current);
          append = isChange(decided) ? decided.append : undefined;
          return isChange(decided) ? { record: decided.record } : decided;
        };
        const record = await super.update(key, misled, options);
        await betweenSteps();
        if (append?.length) await super.update(key, (current) => current && { record: current, append });
        return record;
      }
    },
  ),
  broken(
    "S4",
    "the entries of an update are stored one by one until one cannot be",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        const decided = updater(await super.read(key));
        if (!isChange(decided) || !Array.isArray(decided.append) || decided.append.length < 2)
          return super.update(key, () => decided, options);
        for (const entry of decided.append)
          await super.update(key, (current) => ({ record: current ?? decided.record, append: [entry] }), options);
        return super.update(key, () => ({ record: decided.record }));
      }
    },
  ),
  broken(
    "S5",
    "an update reads, waits and writes, with nothing that holds the record meanwhile",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        const current = await super.read(key);
        await betweenSteps();
        const decided = updater(current);
        return super.update(key, () => decided, options);
      }
    },
  ),
  broken(
    "S6",
    "an asynchronous updater is waited for",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        const decided = await updater(await super.read(key));
        return super.update(key, () => decided, options);
      }
    },
  ),
  broken(
    "S6",
    "an updater that returns null is taken for one that returns undefined",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        return super.update(key, (current) => updater(current) ?? undefined, options);
      }
    },
  ),
  broken(
    "S6",
    "an asynchronous updater is refused, but not as a TypeError",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        return super.update(
          key,
          (current) => {
            const decided = updater(current);
            if (decided instanceof Promise) throw new StorageError("It is asynchronous.");
            return decided;
          },
          options,
        );
      }
    },
  ),
  broken(
    "S7",
    "what an updater throws is wrapped",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        return super.update(
          key,
          (current) => {
            try {
              return updater(current);
            } catch (cause) {
              throw new StorageError("The updater failed.", { cause });
            }
          },
          options,
        );
      }
    },
  ),
  broken(
    "S7",
    "an updater that throws is taken for one that returns undefined",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        return super.update(
          key,
          (current) => {
            try {
              return updater(current);
            } catch (error) {
              return error === undefined ? undefined : undefined;
            }
          },
          options,
        );
      }
    },
  ),
  broken(
    "S7",
    "an updater that throws leaves the session locked",
    class extends MemoryStorage {
      #locked = new Set<SessionKey>();
      override async update(...[key, updater, options]: Update) {
        if (this.#locked.has(key)) return new Promise<never>(() => undefined);
        const misled: Updater = (current) => {
          this.#locked.add(key);
          const decided = updater(current);
          this.#locked.delete(key);
          return decided;
        };
        return super.update(key, misled, options);
      }
    },
    { silent: true },
  ),
];
