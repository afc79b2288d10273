import type { SessionKey, SessionRecord, TranscriptEntry } from "../../src/core.js";
import { type ListQuery, MemoryStorage } from "../../src/index.js";
import { type BrokenStorage, betweenSteps, broken, miskeyed } from "./broken-storage.js";

type Update = Parameters<MemoryStorage["update"]>;

/** Storages that are wrong about keys, lists and deletes. */
export const brokenSessions: readonly BrokenStorage[] = [
  miskeyed("S10", "keys are folded to lower case", (key) => key.toLowerCase()),
  miskeyed("S10", "keys are folded to one form of Unicode", (key) => key.normalize("NFC")),
  miskeyed("S10", "keys lose the space at their end", (key) => key.trimEnd()),
  miskeyed("S10", "keys are told apart by their last two parts alone", (key) => key.split(":").slice(-2).join(":")),
  miskeyed("S17", "keys are paths, and their dots are resolved", (key) =>
    key
      .split(/[/:]/)
      .filter((part) => part !== "." && part !== "..")
      .join(":"),
  ),
  miskeyed("S17", "keys are cut to the length of a column", (key) => key.slice(0, 255)),
  broken(
    "S17",
    "records are kept in a plain object",
    class extends MemoryStorage {
      override async read(key: SessionKey) {
        const peer = key.split(":").at(-1) ?? "";
        return peer in {} ? (Object.prototype as unknown as SessionRecord) : super.read(key);
      }
    },
  ),
  broken(
    "S10",
    "a delete takes the sessions with it whose keys begin like its own",
    class extends MemoryStorage {
      override async delete(key: SessionKey) {
        for await (const record of super.list())
          if (record.key !== key && record.key.startsWith(key)) await super.delete(record.key);
        return super.delete(key);
      }
    },
  ),
  broken(
    "S12",
    "a list is read in pages, and a session that is changed meanwhile moves to another page",
    class extends MemoryStorage {
      override async *list(query: ListQuery = {}) {
        const { limit = Number.POSITIVE_INFINITY, ...rest } = query;
        let from = 0;
        while (from < limit) {
          const all: SessionRecord[] = [];
          for await (const record of super.list(rest)) all.push(record);
          const page = all.slice(from, Math.min(from + 20, limit));
          if (page.length === 0) return;
          yield* page;
          from += page.length;
        }
      }
    },
  ),
  broken(
    "S12",
    "a list is in the order of the keys",
    class extends MemoryStorage {
      override async *list(query?: ListQuery) {
        const all: SessionRecord[] = [];
        for await (const record of super.list(query)) all.push(record);
        yield* all.sort((a, b) => (a.key < b.key ? -1 : 1));
      }
    },
  ),
  ...(["agentId", "activeSince", "limit"] as const).map((part) =>
    broken(
      "S12",
      `a list pays no heed to ${part}`,
      class extends MemoryStorage {
        override list(query: ListQuery = {}) {
          return super.list({ ...query, [part]: undefined });
        }
      },
    ),
  ),
  broken(
    "S12",
    "a list never ends",
    class extends MemoryStorage {
      override async *list(query?: ListQuery) {
        for (;;) {
          yield* super.list(query);
          await betweenSteps();
        }
      }
    },
    { silent: true },
  ),
  broken(
    "S13",
    "a delete leaves the transcript",
    class extends MemoryStorage {
      readonly #left = new Map<string, TranscriptEntry[]>();
      override async delete(key: SessionKey) {
        const record = await super.read(key);
        const left: TranscriptEntry[] = [];
        for await (const entry of super.entries(record?.uuid ?? "")) left.push(entry);
        if (record) this.#left.set(record.uuid, left);
        return super.delete(key);
      }
      override async *entries(...[uuid, range]: Parameters<MemoryStorage["entries"]>) {
        yield* this.#left.get(uuid) ?? super.entries(uuid, range);
      }
    },
  ),
  broken(
    "S13",
    "a delete is always done",
    class extends MemoryStorage {
      override async delete(key: SessionKey) {
        await super.delete(key);
        return true;
      }
    },
  ),
  broken(
    "S13",
    "a session made after a delete goes on with the record of the one before",
    class extends MemoryStorage {
      readonly #before = new Map<SessionKey, SessionRecord>();
      override async delete(key: SessionKey) {
        const record = await super.read(key);
        if (record) this.#before.set(key, record);
        return super.delete(key);
      }
      override async update(...[key, updater, options]: Update) {
        return super.update(key, (current) => updater(current ?? this.#before.get(key)), options);
      }
    },
  ),
  broken(
    "S16",
    "a delete removes first the transcript, then the record",
    class extends MemoryStorage {
      readonly #gone = new Set<string>();
      override async delete(key: SessionKey) {
        const record = await super.read(key);
        if (record === undefined) return false;
        this.#gone.add(record.uuid);
        await betweenSteps();
        const now = await super.read(key);
        return now?.uuid === record.uuid ? super.delete(key) : true;
      }
      override async *entries(...[uuid, range]: Parameters<MemoryStorage["entries"]>) {
        const items = super.entries(uuid, range);
        if (!this.#gone.has(uuid)) yield* items;
      }
    },
  ),
  broken(
    "S16",
    "a delete looks for the session first and removes whatever is there then, but not its transcript",
    class extends MemoryStorage {
      readonly #hidden = new Set<SessionKey>();
      override async delete(key: SessionKey) {
        const found = await super.read(key);
        for (let n = 0; n < 4; n += 1) await Promise.resolve();
        const now = await super.read(key);
        if (found === undefined || now === undefined) return false;
        if (found.uuid === now.uuid) return super.delete(key);
        this.#hidden.add(key);
        return true;
      }
      override async read(key: SessionKey) {
        return this.#hidden.has(key) ? undefined : super.read(key);
      }
    },
  ),
];
