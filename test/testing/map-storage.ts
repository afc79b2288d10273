import { randomUUID } from "node:crypto";
import {
  type Claim,
  Claims,
  ClosedError,
  decideChange,
  type EntryRange,
  type ListQuery,
  type SessionKey,
  type SessionRecord,
  type SessionStorage,
  StorageError,
  selectEntries,
  selectRecords,
  type TranscriptEntry,
  type Updater,
} from "openclaw-sessions";

/** Sessions in two Maps, as JSON text: what a table of records and a table of entries would hold. */
export class MapStorage implements SessionStorage {
  readonly #records = new Map<SessionKey, string>();
  readonly #entries = new Map<string, string[]>();
  readonly #claims = new Claims(randomUUID);
  #closed = false;

  async read(key: SessionKey): Promise<SessionRecord | undefined> {
    return this.#find(key);
  }

  async *list(query?: ListQuery): AsyncIterable<SessionRecord> {
    this.#assertOpen();
    yield* selectRecords([...this.#records.values()].map(parse<SessionRecord>), query);
  }

  // Nothing is awaited between reading and writing, so nothing comes between: in a database, one transaction.
  async update(key: SessionKey, updater: Updater, { claim }: { claim?: Claim | undefined } = {}) {
    const current = this.#find(key);
    if (claim) this.#claims.check(claim, key);
    const change = decideChange(key, updater, current);
    if (change === undefined) return current;
    const { uuid } = change.record;
    if (!current && this.#entries.has(uuid)) throw new StorageError("This uuid is another session's.", { key });
    this.#records.set(key, JSON.stringify(change.record));
    this.#entries.set(uuid, [
      ...(this.#entries.get(uuid) ?? []),
      ...change.append.map((entry) => JSON.stringify(entry)),
    ]);
    return this.#find(key);
  }

  async *entries(uuid: string, range?: EntryRange): AsyncIterable<TranscriptEntry> {
    this.#assertOpen();
    const texts = this.#entries.get(uuid);
    if (texts !== undefined) yield* selectEntries(texts.map(parse<TranscriptEntry>), range);
  }

  async claim(key: SessionKey, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Claim> {
    return this.#claims.acquire(key, signal);
  }

  async delete(key: SessionKey): Promise<boolean> {
    const record = this.#find(key);
    if (record === undefined) return false;
    this.#entries.delete(record.uuid);
    return this.#records.delete(key);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#claims.close();
  }

  #find(key: SessionKey): SessionRecord | undefined {
    this.#assertOpen();
    const text = this.#records.get(key);
    return text === undefined ? undefined : parse<SessionRecord>(text);
  }

  #assertOpen(): void {
    if (this.#closed) throw new ClosedError("The storage has been closed.");
  }
}

function parse<T>(text: string): T {
  return JSON.parse(text);
}
