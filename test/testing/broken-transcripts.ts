import { isMessageEntry, type SessionKey, type SessionRecord, type TranscriptEntry } from "../../src/core.js";
import { type EntryRange, MemoryStorage, type SessionStorage } from "../../src/index.js";
import { type BrokenStorage, betweenSteps, broken, isChange, miswriting, withTexts } from "./broken-storage.js";

type Cut = (all: TranscriptEntry[], range: EntryRange, right: () => Promise<TranscriptEntry[]>) => unknown;

/** A storage that cuts ranges out of its transcripts in a way of its own; `undefined` leaves it to the right way. */
function miscut(defect: string, cut: Cut): BrokenStorage {
  return broken(
    "S8",
    defect,
    class extends MemoryStorage {
      override async *entries(uuid: string, range: EntryRange = {}) {
        const collected = async (some: EntryRange) => {
          const all: TranscriptEntry[] = [];
          for await (const entry of super.entries(uuid, some)) all.push(entry);
          return all;
        };
        const right = () => collected(range);
        yield* ((await cut(await collected({}), range, right)) as TranscriptEntry[] | undefined) ?? (await right());
      }
    },
  );
}

function sortedFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedFields);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(fields.map(([name, field]) => [name, sortedFields(field)]));
}

/** A storage that spoils the texts of what it stores. */
function spoiling(defect: string, change: (text: string) => string): BrokenStorage {
  return miswriting("S14", defect, (decided) => ({
    record: decided.record,
    append: decided.append?.map((entry) =>
      isMessageEntry(entry) ? { ...entry, content: withTexts(entry.content, change) } : entry,
    ),
  }));
}

/** Storages that are wrong about transcripts, and about what is stored at all. */
export const brokenTranscripts: readonly BrokenStorage[] = [
  miscut("after includes the entry it names", async (all, range) => {
    const at = all.findIndex(({ id }) => id === range.after);
    return at < 0 || range.fromWindow || range.last !== undefined ? undefined : all.slice(at);
  }),
  miscut("last yields the first entries", (all, { last, after, fromWindow }) =>
    last === undefined || after !== undefined || fromWindow ? undefined : all.slice(0, last),
  ),
  miscut("last yields the entries backwards", async (_, { last }, right) =>
    last === undefined ? undefined : (await right()).reverse(),
  ),
  miscut("last: 0 yields everything", (all, { last, after }) => (last === 0 && after === undefined ? all : undefined)),
  miscut("after is looked for among the last alone", async (all, { last, after }) => {
    if (last === undefined || after === undefined || !all.some(({ id }) => id === after)) return undefined;
    const tail = last === 0 ? [] : all.slice(-last);
    const at = tail.findIndex(({ id }) => id === after);
    return at < 0 ? [] : tail.slice(at + 1);
  }),
  miscut("an after that is not there yields nothing", async (_, __, right) => right().catch(() => [])),
  miscut("an after that is not there yields everything", async (all, __, right) => right().catch(() => all)),
  miscut("an after may lie before the window", async (all, { after, last }, right) =>
    right().catch((error: unknown) => {
      const at = all.findIndex(({ id }) => id === after);
      if (at < 0) throw error;
      return all.slice(at + 1).slice(-(last ?? all.length));
    }),
  ),
  miscut("a window leaves out the clear it begins with", async (_, { fromWindow, after, last }, right) =>
    fromWindow && after === undefined && last === undefined ? (await right()).filter((e) => !isClear(e)) : undefined,
  ),
  miscut("fromWindow begins with the first clear", (all, { fromWindow, after, last }) => {
    const at = all.findIndex(isClear);
    return fromWindow && at >= 0 && after === undefined && last === undefined ? all.slice(at) : undefined;
  }),
  miscut("entries are in the order of their ids", async (_, __, right) =>
    (await right()).sort((a, b) => (a.id < b.id ? -1 : 1)),
  ),
  miscut("entries are in the order of their times", async (_, __, right) =>
    (await right()).sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1)),
  ),
  miscut("entries are given by the hundred, and those beyond are not", async (_, __, right) =>
    (await right()).slice(0, 100),
  ),
  miscut("an id that was there before replaces its entry", async (_, __, right) => [
    ...new Map((await right()).map((entry) => [`${"content" in entry ? entry.content : entry.id}`, entry])).values(),
  ]),
  miswriting("S8", "entries of a type nobody knows are dropped", (decided) => ({
    record: decided.record,
    append: decided.append?.filter((entry) => "role" in entry || entry.type === "clear" || entry.type === "state"),
  })),
  miswriting("S8", "fields of a message nobody knows are dropped", (decided) => ({
    record: decided.record,
    append: decided.append?.map((entry) => {
      const { mood, ...known } = entry as TranscriptEntry & { mood?: unknown };
      return known;
    }),
  })),
  miswriting("S8", "what is no entry is dropped", (decided) => ({
    record: decided.record,
    append: Array.isArray(decided.append)
      ? decided.append.filter((entry) => typeof entry === "object" && entry !== null)
      : decided.append,
  })),
  broken(
    "S8",
    "an entry whose id another session has is dropped",
    class extends MemoryStorage {
      readonly #ids = new Map<string, SessionKey>();
      override async update(...[key, updater, options]: Parameters<MemoryStorage["update"]>) {
        return super.update(
          key,
          (current) => {
            const decided = updater(current);
            if (!isChange(decided) || !Array.isArray(decided.append)) return decided;
            const append = decided.append.filter((entry) => {
              const owner = this.#ids.get(entry?.id) ?? key;
              this.#ids.set(entry?.id, owner);
              return owner === key;
            });
            return { ...decided, append };
          },
          options,
        );
      }
    },
  ),
  {
    breaks: "S9",
    defect: "each instance has sessions of its own",
    place: () => () => new MemoryStorage(),
  },
  {
    breaks: "S9",
    defect: "a second instance goes on giving the record it has once read",
    place: () => {
      const shared = new MemoryStorage();
      return () => stale(shared);
    },
  },
  broken(
    "S9",
    "an update is acknowledged before it is written",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Parameters<MemoryStorage["update"]>) {
        const decided = updater(await super.read(key));
        if (!isChange(decided)) return super.update(key, () => decided, options);
        void betweenSteps().then(() => super.update(key, () => decided, options).catch((error: unknown) => error));
        return decided.record;
      }
    },
  ),
  broken(
    "S11",
    "read gives the object it keeps",
    class extends MemoryStorage {
      readonly #given = new Map<string, SessionRecord>();
      override async read(key: SessionKey) {
        const record = await super.read(key);
        const version = JSON.stringify(record);
        const given = this.#given.get(version) ?? record;
        if (given !== undefined) this.#given.set(version, given);
        return given;
      }
    },
  ),
  broken(
    "S11",
    "entries gives the objects it keeps",
    class extends MemoryStorage {
      readonly #given = new Map<string, TranscriptEntry>();
      override async *entries(...[uuid, range]: Parameters<MemoryStorage["entries"]>) {
        for await (const entry of super.entries(uuid, range)) {
          const name = `${uuid} ${JSON.stringify(entry)}`;
          const given = this.#given.get(name) ?? entry;
          this.#given.set(name, given);
          yield given;
        }
      }
    },
  ),
  broken(
    "S11",
    "what is passed in is kept as it is",
    class extends MemoryStorage {
      readonly #kept = new Map<SessionKey, SessionRecord>();
      override async update(...[key, updater, options]: Parameters<MemoryStorage["update"]>) {
        let kept: SessionRecord | undefined;
        const record = await super.update(
          key,
          (current) => {
            const decided = updater(current);
            if (isChange(decided)) kept = decided.record;
            return decided;
          },
          options,
        );
        if (kept !== undefined) this.#kept.set(key, kept);
        return record;
      }
      override async read(key: SessionKey) {
        const record = await super.read(key);
        return record && structuredClone(this.#kept.get(key) ?? record);
      }
    },
  ),
  spoiling("lone surrogates are replaced", (text) => Buffer.from(text).toString()),
  spoiling("line breaks are made alike", (text) => text.replace(/\r\n?/g, "\n")),
  spoiling("U+2028 ends a line", (text) => text.replaceAll("\u2028", "\n")),
  spoiling("letters are composed", (text) => text.normalize("NFC")),
  spoiling("texts lose the space around them", (text) => text.trim()),
  spoiling("NUL ends a text", (text) => text.split("\0")[0] ?? ""),
  spoiling("a byte order mark is taken off", (text) => text.replace(/^\ufeff/, "")),
  spoiling("texts are cut at 64 KiB", (text) => text.slice(0, 65_536)),
  miswriting("S14", "an empty text is left out", (decided) => ({
    record: decided.record,
    append: decided.append?.filter((entry) => !("role" in entry) || entry.content !== ""),
  })),
  miswriting("S14", "the fields of what is stored are sorted", (decided) => ({
    record: decided.record,
    append: decided.append?.map((entry) => sortedFields(entry) as TranscriptEntry),
  })),
];

function isClear(entry: TranscriptEntry): boolean {
  return "type" in entry && entry.type === "clear";
}

function stale(shared: MemoryStorage): SessionStorage {
  const read = new Map<SessionKey, SessionRecord | undefined>();
  return {
    read: async (key) => {
      if (!read.has(key)) read.set(key, await shared.read(key));
      return read.get(key);
    },
    update: async (key, updater, options) => {
      const record = await shared.update(key, updater, options);
      read.set(key, record);
      return record;
    },
    delete: async (key) => {
      read.delete(key);
      return shared.delete(key);
    },
    list: (query) => shared.list(query),
    entries: (uuid, range) => shared.entries(uuid, range),
    claim: (key, options) => shared.claim(key, options),
    close: () => shared.close(),
  };
}
