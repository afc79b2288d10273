import type { TranscriptEntry } from "../core/entry.js";
import { isEntryOf, isMessageEntry, type MessageEntry } from "../core/entry.js";
import type { SessionKey } from "../core/key.js";
import { readEntry } from "../core/read-entry.js";
import { initialRecord, type SessionRecord } from "../core/record.js";
import { windowBeginsAt } from "../core/window.js";
import { SessionNotFoundError } from "../errors.js";
import { appendingUpdater } from "../storage/appending.js";
import type { Claim, SessionStorage } from "../storage/storage.js";
import type { Events } from "./events.js";
import type { Clock } from "./hooks.js";
import { only } from "./iterate.js";

/** An entry to be written: its id is given by the ledger and its time is now, unless it says otherwise. */
export type NewEntry<E extends TranscriptEntry = TranscriptEntry> = E extends TranscriptEntry
  ? Omit<E, "id" | "timestamp"> & { id?: string | undefined; timestamp?: string | undefined }
  : never;

/** Where ids and times come from. */
export interface Sources {
  clock: Clock;
  /** A monotonic ULID for an entry. */
  newEntryId(): string;
  /** A random UUID for a transcript. */
  newUuid(): string;
}

/** What an append did. `appended` is empty when the decision was to write nothing. */
export interface Appended {
  record: SessionRecord;
  appended: TranscriptEntry[];
}

/** Writes entries so that a session's record is always the projection of its transcript. */
export class Ledger {
  readonly storage: SessionStorage;
  readonly #sources: Sources;
  readonly #events: Events;
  readonly #known = new Set<string>();
  /** How far from the end the windows of sessions began. */
  readonly #reaches = new Map<string, number>();
  /** Most entries are written in the same millisecond as another. */
  #latest: { now: number | undefined; text: string } = { now: undefined, text: "" };

  constructor(storage: SessionStorage, sources: Sources, events: Events) {
    this.storage = storage;
    this.#sources = sources;
    this.#events = events;
  }

  /** An id for an entry that another entry of the same update names. */
  newEntryId(): string {
    return this.#sources.newEntryId();
  }

  /** The id of a sub-agent: short enough to be copied by a model, and not to be guessed. */
  newSubagentId(): string {
    return this.#sources.newUuid().replaceAll("-", "").slice(0, 16);
  }

  /** The record of an existing session. */
  async read(key: SessionKey): Promise<SessionRecord | undefined> {
    const record = await this.storage.read(key);
    if (record !== undefined) this.#meet(record, "session.loaded");
    return record;
  }

  /** The record of a session, made now when there is none. */
  async open(key: SessionKey): Promise<SessionRecord> {
    return (await this.read(key)) ?? (await this.append(key, () => [])).record;
  }

  /**
   * Appends what `decide` returns; `undefined` writes nothing. `decide` sees the record as it is at that moment and may run
   * more than once. The session is made when there is none, as one that `ancestors` have spawned.
   * @throws SessionNotFoundError when there is none and it `mustExist`.
   */
  async append(
    key: SessionKey,
    decide: (record: SessionRecord) => readonly NewEntry[] | undefined,
    options: {
      claim?: Claim | undefined;
      ancestors?: readonly SessionKey[] | undefined;
      mustExist?: boolean | undefined;
    } = {},
  ): Promise<Appended> {
    const { claim, ancestors = [], mustExist = false } = options;
    let appended: TranscriptEntry[] = [];
    let created = false;
    let unchanged: SessionRecord | undefined;
    const written = await this.storage.update(
      key,
      appendingUpdater((current) => {
        if (current === undefined && mustExist) throw removed(key);
        const record =
          current ?? initialRecord({ key, uuid: this.#sources.newUuid(), created: this.#now(), ancestors });
        const entries = decide(record);
        created = current === undefined;
        appended = (entries ?? []).map((entry) => this.#complete(entry));
        unchanged = record;
        if (entries === undefined) return undefined;
        // A new session is written even without entries; an existing one only when there is something to say.
        if (!created && appended.length === 0) return undefined;
        return { before: record, append: appended };
      }),
      { claim },
    );
    const record = (written ?? unchanged) as SessionRecord;
    if (written !== undefined) this.#meet(record, created ? "session.created" : "session.loaded");
    return { record, appended };
  }

  /** What is in force, without reading what stands before it: from the last clear on, or what the last compaction kept. */
  async window(record: SessionRecord): Promise<TranscriptEntry[]> {
    const { uuid, compactions } = record;
    if (compactions === 0) return this.sinceClear(record);
    const window = await this.lookBack(uuid, this.#reaches.get(uuid) ?? FIRST_REACH, async (entries, isWhole) => {
      const tail = await allOf(entries);
      const begin = windowBeginsAt(tail);
      return begin === undefined && !isWhole() ? undefined : tail.slice(begin ?? 0);
    });
    if (window === undefined) return [];
    // Next time it will be a little longer, and is found at once.
    if (this.#reaches.size >= MAX_REACHES) this.#reaches.clear();
    this.#reaches.set(uuid, Math.max(FIRST_REACH, Math.ceil(window.length * 1.25)));
    return window;
  }

  /** What was in force when this clear put it out of the window. */
  async windowBefore({ uuid }: SessionRecord, clear: string): Promise<TranscriptEntry[]> {
    const window = await this.lookBack(uuid, FIRST_REACH, async (entries, isWhole) => {
      const tail = await allOf(entries);
      const at = tail.findIndex(({ id }) => id === clear);
      const earlier = tail.slice(0, Math.max(0, at));
      const begin = windowBeginsAt(earlier);
      return begin === undefined && !isWhole() ? undefined : earlier.slice(begin ?? 0);
    });
    return window ?? [];
  }

  /** All entries from the last clear on, also those that a compaction has taken out of the window. */
  sinceClear({ uuid }: SessionRecord): Promise<TranscriptEntry[]> {
    return allOf(this.storage.entries(uuid, { fromWindow: true }));
  }

  /** The entries from the one with this id on, read from the end. `undefined` when there is none. */
  from({ uuid }: SessionRecord, id: string): Promise<TranscriptEntry[] | undefined> {
    return this.lookBack(uuid, 64, async (entries) => {
      let found: TranscriptEntry[] | undefined;
      for await (const entry of entries) {
        if (entry.id === id) found ??= [];
        found?.push(entry);
      }
      return found;
    });
  }

  /**
   * Reads a transcript from its end, four times as far each time, until `look` has found what it looks for. `isWhole` says behind the
   * last entry whether there are no earlier ones.
   */
  async lookBack<T>(
    uuid: string,
    first: number,
    look: (entries: AsyncIterable<TranscriptEntry>, isWhole: () => boolean) => Promise<T | undefined>,
  ): Promise<T | undefined> {
    for (let reach = first; ; reach *= 4) {
      let count = 0;
      const counted = only(this.storage.entries(uuid, { last: reach }), (_entry): _entry is TranscriptEntry => {
        count += 1;
        return true;
      });
      const isWhole = () => count < reach;
      const found = await look(counted, isWhole);
      if (found !== undefined || isWhole()) return found;
    }
  }

  /** The messages of a session in order; unless cleared ones are wanted, those since the last clear. */
  messages(
    record: SessionRecord,
    range: { last?: number | undefined; after?: string | undefined; includeCleared?: boolean | undefined },
  ): AsyncIterable<MessageEntry> {
    const { last, after, includeCleared = false } = range;
    if (last !== undefined && after === undefined) return this.#lastMessages(record, last, includeCleared);
    const found = includeCleared ? this.#allMessages(record, after) : this.#messagesInForce(record, after);
    return last === undefined ? found : tailOf(found, last);
  }

  #allMessages(record: SessionRecord, after: string | undefined): AsyncIterable<MessageEntry> {
    return only(this.storage.entries(record.uuid, { after }), isMessageEntry);
  }

  #messagesInForce(record: SessionRecord, after: string | undefined): AsyncIterable<MessageEntry> {
    let inForce = record.lastClear === null;
    const window = this.storage.entries(record.uuid, { fromWindow: true });
    const messages = only(window, (entry): entry is MessageEntry => {
      if (isEntryOf(entry, "clear")) inForce ||= entry.id === record.lastClear;
      return inForce && isMessageEntry(entry) && !entry.cleared;
    });
    return after === undefined ? messages : behind(messages, after);
  }

  async *#lastMessages({ uuid }: SessionRecord, last: number, includeCleared: boolean): AsyncGenerator<MessageEntry> {
    const found = await this.lookBack(uuid, last + 16, async (entries, isWhole) => {
      let messages: MessageEntry[] = [];
      let isCleared = false;
      for await (const entry of entries) {
        if (!includeCleared && isEntryOf(entry, "clear")) {
          isCleared = true;
          messages = [];
        } else if (isMessageEntry(entry) && (includeCleared || !entry.cleared)) messages.push(entry);
      }
      return messages.length >= last || isCleared || isWhole() ? messages : undefined;
    });
    if (last > 0) yield* (found ?? []).slice(-last);
  }

  #meet(record: SessionRecord, event: "session.created" | "session.loaded"): void {
    if (this.#known.has(record.uuid)) return;
    // Forgetting them costs an event that was told before.
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.add(record.uuid);
    this.#events.emit(event, { key: record.key, uuid: record.uuid });
  }

  #complete(entry: NewEntry): TranscriptEntry {
    const { id = this.newEntryId(), timestamp = this.#now() } = entry;
    const { role, content, type } = entry as Record<string, unknown>;
    // The key order of a line is the spec's: what was said first, then when, then the bookkeeping.
    const complete: Record<string, unknown> =
      type === undefined ? { role, content, timestamp, id } : { type, timestamp, id };
    for (const name of Object.keys(entry))
      if (!Object.hasOwn(complete, name)) complete[name] = (entry as Record<string, unknown>)[name];
    // A line that could not be read back would be lost to everyone but a person with an editor.
    if (readEntry(complete, id) === undefined) throw new TypeError("An entry does not have the shape of its type.");
    return complete as unknown as TranscriptEntry;
  }

  #now(): string {
    const now = this.#sources.clock.now();
    if (now !== this.#latest.now) this.#latest = { now, text: new Date(now).toISOString() };
    return this.#latest.text;
  }
}

function removed(key: SessionKey): SessionNotFoundError {
  return new SessionNotFoundError("The session has been removed, so nothing was stored.", { operation: "append", key });
}

// Many windows are not longer, and more is read in about the time that asking takes.
const FIRST_REACH = 256;

const MAX_REACHES = 10_000;

const MAX_KNOWN = 100_000;

async function allOf(found: AsyncIterable<TranscriptEntry>): Promise<TranscriptEntry[]> {
  const entries: TranscriptEntry[] = [];
  for await (const entry of found) entries.push(entry);
  return entries;
}

async function* tailOf(messages: AsyncIterable<MessageEntry>, count: number): AsyncGenerator<MessageEntry> {
  const tail: MessageEntry[] = [];
  for await (const message of messages) {
    tail.push(message);
    if (tail.length > count) tail.shift();
  }
  yield* tail;
}

// An `after` that a clear has put out of force has everything in force behind it.
async function* behind(messages: AsyncIterable<MessageEntry>, after: string): AsyncGenerator<MessageEntry> {
  let held: MessageEntry[] = [];
  for await (const message of messages) {
    if (message.id === after) held = [];
    else held.push(message);
  }
  yield* held;
}
