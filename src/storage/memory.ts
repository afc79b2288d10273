import { isEntryOf, type TranscriptEntry } from "../core/entry.js";
import { copyJson } from "../core/json.js";
import type { SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import { ClaimLostError, ClosedError, StorageError } from "../errors.js";
import { decide } from "./change.js";
import { Claims } from "./claims.js";
import { selectRecords } from "./list-query.js";
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
    return record === undefined ? undefined : copyJson(record);
  }

  async *list(query?: ListQuery): AsyncIterable<SessionRecord> {
    this.#assertOpen("list");
    for (const record of selectRecords(this.#records.values(), query)) yield copyJson(record);
  }

  async update(
    key: SessionKey,
    updater: Updater,
    options: { claim?: Claim | undefined } = {},
  ): Promise<SessionRecord | undefined> {
    this.#assertOpen("update", key);
    if (options.claim !== undefined && !this.#claims.holds(options.claim, key)) {
      throw new ClaimLostError("The claim on this session is no longer held, so nothing was written.", {
        operation: "storage.update",
        key,
      });
    }
    const current = this.#records.get(key);
    const change = decide(key, updater, current);
    if (change === undefined) return current === undefined ? undefined : copyJson(current);
    const transcript = this.#transcripts.get(change.record.uuid) ?? [];
    if (current === undefined && this.#transcripts.has(change.record.uuid)) {
      throw new StorageError("This uuid names another session's transcript.", { operation: "storage.update", key });
    }
    this.#transcripts.set(change.record.uuid, transcript);
    transcript.push(...change.append);
    this.#records.set(key, change.record);
    return copyJson(change.record);
  }

  async *entries(uuid: string, range: EntryRange = {}): AsyncIterable<TranscriptEntry> {
    this.#assertOpen("entries");
    let wanted = this.#transcripts.get(uuid)?.slice();
    if (wanted === undefined) return;
    if (range.fromWindow)
      wanted = wanted.slice(
        Math.max(
          0,
          wanted.findLastIndex((entry) => isEntryOf(entry, "clear")),
        ),
      );
    if (range.after !== undefined) {
      const at = wanted.findIndex((entry) => entry.id === range.after);
      if (at < 0) throw new StorageError("No entry has the id given as `after`.", { operation: "storage.entries" });
      wanted = wanted.slice(at + 1);
    }
    if (range.last !== undefined) wanted = wanted.slice(Math.max(0, wanted.length - range.last));
    for (const entry of wanted) yield copyJson(entry);
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
    this.#claims.close();
  }

  #assertOpen(operation: string, key?: SessionKey): void {
    if (this.#closed) throw new ClosedError("The storage has been closed.", { operation: `storage.${operation}`, key });
  }
}
