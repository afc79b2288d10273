import type { TranscriptEntry } from "../core/entry.js";
import { cloneJson } from "../core/json.js";
import type { SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import { ClosedError, StorageError } from "../errors.js";
import { decideChange } from "./change.js";
import { Claims } from "./claims.js";
import { selectRecords } from "./list-query.js";
import { selectEntries } from "./select-entries.js";
import type { Claim, EntryRange, ListQuery, SessionStorage, Updater } from "./storage.js";

/** Keeps sessions in this process's memory: for tests, and for bots whose conversations may end with the process. */
export class MemoryStorage implements SessionStorage {
  readonly #records = new Map<SessionKey, SessionRecord>();
  readonly #transcripts = new Map<string, TranscriptEntry[]>();
  readonly #claims: Claims;
  #tokens = 0;
  #closed = false;

  constructor() {
    this.#claims = new Claims(() => `memory-${++this.#tokens}`);
  }

  async read(key: SessionKey): Promise<SessionRecord | undefined> {
    this.#assertOpen("read", key);
    const record = this.#records.get(key);
    return record === undefined ? undefined : cloneJson(record);
  }

  async *list(query?: ListQuery): AsyncIterable<SessionRecord> {
    this.#assertOpen("list");
    for (const record of selectRecords(this.#records.values(), query)) yield cloneJson(record);
  }

  async update(
    key: SessionKey,
    updater: Updater,
    options: { claim?: Claim | undefined } = {},
  ): Promise<SessionRecord | undefined> {
    this.#assertOpen("update", key);
    if (options.claim !== undefined) this.#claims.check(options.claim, key);
    const current = this.#records.get(key);
    const change = decideChange(key, updater, current);
    if (change === undefined) return current === undefined ? undefined : cloneJson(current);
    const transcript = this.#transcripts.get(change.record.uuid) ?? [];
    if (current === undefined && this.#transcripts.has(change.record.uuid)) {
      throw new StorageError("This uuid names another session's transcript.", { operation: "storage.update", key });
    }
    this.#transcripts.set(change.record.uuid, transcript);
    transcript.push(...change.append);
    this.#records.set(key, change.record);
    return cloneJson(change.record);
  }

  async *entries(uuid: string, range?: EntryRange): AsyncIterable<TranscriptEntry> {
    this.#assertOpen("entries");
    const transcript = this.#transcripts.get(uuid);
    // A transcript that is not there has no entries, whatever the range asks for.
    if (transcript === undefined) return;
    for (const entry of selectEntries(transcript, range)) yield cloneJson(entry);
  }

  async claim(key: SessionKey, options: { signal?: AbortSignal | undefined } = {}): Promise<Claim> {
    this.#assertOpen("claim", key);
    return this.#claims.acquire(key, options.signal);
  }

  async delete(key: SessionKey): Promise<boolean> {
    this.#assertOpen("delete", key);
    const record = this.#records.get(key);
    if (record === undefined) return false;
    this.#transcripts.delete(record.uuid);
    return this.#records.delete(key);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#claims.close();
  }

  #assertOpen(operation: string, key?: SessionKey): void {
    if (this.#closed) throw new ClosedError("The storage has been closed.", { operation: `storage.${operation}`, key });
  }
}
