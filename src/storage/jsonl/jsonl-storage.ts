import { randomUUID } from "node:crypto";
import { unlink } from "node:fs/promises";
import { isDeepStrictEqual } from "node:util";
import { TRANSCRIPT_VERSION, type TranscriptEntry } from "../../core/entry.js";
import { copyJson } from "../../core/json.js";
import { parseSessionKey, type SessionKey } from "../../core/key.js";
import { initialRecord, project, type SessionRecord } from "../../core/record.js";
import { ClaimLostError, StorageError, UnsupportedVersionError } from "../../errors.js";
import { type CheckedChange, decide } from "../change.js";
import { Claims } from "../claims.js";
import { selectRecords } from "../list-query.js";
import { type OnReport, undisturbed } from "../report.js";
import type { Claim, EntryRange, ListQuery, SessionStorage, Updater } from "../storage.js";
import { AgentIndex } from "./agent-index.js";
import { inRange } from "./entry-range.js";
import { closedFault, codeOf, storageFault } from "./fault.js";
import type { IndexEntry } from "./index-file.js";
import { KeyedMutex } from "./keyed-mutex.js";
import { isUuid, Layout, makePrivateDir } from "./layout.js";
import { showLock } from "./lock-file.js";
import { afterUpdate, catchUp, fromTranscript } from "./projection.js";
import type { Durability } from "./transcript.js";
import { encodeUpdate, headerOf } from "./updates.js";

const WRITES: ReadonlySet<string> = new Set(["update", "delete", "claim"]);

export interface JsonlStorageOptions {
  /** Where the store lives; made when first written to. Transcripts stand in `<dir>/agents/<agentId>/sessions/`. */
  dir: string;
  /** What an acknowledged message survives. Default `always`: also a power cut. */
  durability?: Durability | undefined;
  /** Leaves every file as it is, also an index that is missing or unreadable; a call that would write rejects. Default false. */
  readOnly?: boolean | undefined;
  /** Told what was met and dealt with: lines that could not be read, an index that was rebuilt. Default: nobody. */
  onReport?: OnReport | undefined;
}

/**
 * Keeps sessions as JSON lines: `<uuid>.jsonl` is the truth, `sessions.json` a cache of what it says.
 *
 * For one process at a time; a second one may read, list and clear beside it.
 */
export class JsonlStorage implements SessionStorage {
  readonly #layout: Layout;
  readonly #durability: Durability;
  readonly #readOnly: boolean;
  readonly #report: OnReport;
  readonly #indexes = new Map<string, Promise<AgentIndex>>();
  readonly #keyOf = new Map<string, SessionKey>();
  readonly #verified = new Set<SessionKey>();
  readonly #mutex = new KeyedMutex();
  readonly #claims = new Claims(randomUUID);
  readonly #running = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(options: JsonlStorageOptions) {
    const { dir, durability = "always", readOnly = false, onReport = () => undefined } = options;
    if (typeof dir !== "string" || dir === "")
      throw new TypeError("JsonlStorage needs dir, the directory of the store.");
    if (durability !== "always" && durability !== "off") throw new TypeError('durability must be "always" or "off".');
    this.#layout = new Layout(dir);
    this.#durability = durability;
    this.#readOnly = readOnly;
    this.#report = undisturbed(onReport);
  }

  async read(key: SessionKey): Promise<SessionRecord | undefined> {
    return this.#guarded("read", key, async () => {
      const index = await this.#index(parseSessionKey(key).agentId);
      const entry = await this.#mutex.run(key, () => this.#current(index, key));
      return entry && copyJson(entry.record);
    });
  }

  async *list(query: ListQuery = {}): AsyncIterable<SessionRecord> {
    const records = await this.#guarded("list", undefined, async () => {
      const agentIds = query.agentId === undefined ? await this.#layout.agentIds() : [query.agentId];
      const indexes = await Promise.all(agentIds.map((agentId) => this.#index(agentId)));
      await Promise.all(indexes.map((index) => index.discover()));
      return selectRecords(
        indexes.flatMap((index) => Array.from(index.entries.values(), (entry) => entry.record)),
        query,
      );
    });
    for (const record of records) yield copyJson(record);
  }

  async update(
    key: SessionKey,
    updater: Updater,
    options: { claim?: Claim | undefined } = {},
  ): Promise<SessionRecord | undefined> {
    return this.#guarded("update", key, async () => {
      const index = await this.#index(parseSessionKey(key).agentId);
      return this.#mutex.run(key, async () => {
        const current = await this.#current(index, key);
        if (options.claim !== undefined && !this.#claims.holds(options.claim, key)) {
          throw new ClaimLostError("The claim on this session is no longer held, so nothing was written.", {
            operation: "storage.update",
            key,
          });
        }
        const change = decide(key, updater, current?.record);
        if (change === undefined) return current && copyJson(current.record);
        const entry = await this.#write(index, key, current, change);
        return copyJson(entry.record);
      });
    });
  }

  async *entries(uuid: string, range: EntryRange = {}): AsyncIterable<TranscriptEntry> {
    const found = await this.#guarded("entries", undefined, () => this.#find(uuid));
    if (found === undefined) return;
    const { index, entry } = found;
    const transcript = index.transcript(uuid);
    try {
      if (range.last !== undefined && range.after === undefined && !range.fromWindow) {
        yield* await transcript.last(range.last);
        return;
      }
      const start = range.fromWindow ? entry.windowStart : 0;
      yield* inRange(transcript.from(start), range);
    } catch (error) {
      // Deleted since it was found.
      if (codeOf(error) === "ENOENT") return;
      throw storageFault(error, "entries", entry.record.key);
    }
  }

  async claim(key: SessionKey, options: { signal?: AbortSignal | undefined } = {}): Promise<Claim> {
    return this.#guarded("claim", key, async () => {
      const index = await this.#index(parseSessionKey(key).agentId);
      return this.#claims.acquire(key, options.signal, (token) => {
        const uuid = index.entries.get(key)?.record.uuid;
        return uuid === undefined
          ? Promise.resolve(async () => undefined)
          : showLock(index.layout.lock(uuid), key, token);
      });
    });
  }

  async delete(key: SessionKey): Promise<boolean> {
    return this.#guarded("delete", key, async () => {
      const index = await this.#index(parseSessionKey(key).agentId);
      return this.#mutex.run(key, async () => {
        const entry = await this.#current(index, key);
        if (entry === undefined) return false;
        await unlink(index.layout.transcript(entry.record.uuid));
        this.#forget(index, key, entry);
        return true;
      });
    });
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#claims.close();
      await Promise.allSettled(this.#running);
      for (const index of await Promise.allSettled(this.#indexes.values())) {
        // An index that could not be loaded has nothing to write; whoever asked for it got the error.
        if (index.status === "fulfilled") await index.value.close();
      }
    })();
    return this.#closing;
  }

  /** The index entry of a key, brought up to what its transcript says now. */
  async #current(index: AgentIndex, key: SessionKey): Promise<IndexEntry | undefined> {
    if (!index.entries.has(key)) await index.discover();
    const entry = index.entries.get(key);
    if (entry === undefined) return undefined;
    const transcript = index.transcript(entry.record.uuid);
    const size = await transcript.size();
    if (size === undefined) {
      this.#report({ kind: "transcript-missing", uuid: entry.record.uuid });
      this.#forget(index, key, entry);
      // It may have been begun anew.
      return this.#current(index, key);
    }
    if (!this.#verified.has(key)) {
      const header = await transcript.header({ anywhere: !entry.headerless });
      if (header !== undefined && (header.key !== key || header.uuid !== entry.record.uuid)) {
        await index.rebuild();
        return this.#current(index, key);
      }
      if (header === undefined || header.version <= TRANSCRIPT_VERSION) this.#verified.add(key);
    }
    this.#keyOf.set(entry.record.uuid, key);
    if (size === entry.bytes) return entry;
    const next =
      size > entry.bytes
        ? await catchUp(entry, transcript, index.onSkipped)
        : await fromTranscript(transcript, entry.record.uuid, entry.record, index.onSkipped);
    if (next === undefined) {
      this.#forget(index, key, entry);
      return undefined;
    }
    // Only remembered: who merely reads must not write an index beside a running host.
    index.entries.set(key, next);
    return next;
  }

  async #write(
    index: AgentIndex,
    key: SessionKey,
    current: IndexEntry | undefined,
    { record, append }: CheckedChange,
  ): Promise<IndexEntry> {
    if (!isUuid(record.uuid))
      throw new TypeError("A record's uuid must be a lower-case UUID: it names the transcript file.");
    const transcript = index.transcript(record.uuid);
    if (current !== undefined && !this.#verified.has(key)) {
      throw new UnsupportedVersionError(
        "This transcript was written by a newer version; it is left as it is. Update openclaw-sessions to write to it.",
        { operation: "storage.update", key },
      );
    }
    const before: IndexEntry = current ?? { record: initialRecord(record), bytes: 0, windowStart: 0, skipped: 0 };
    const header = current === undefined || current.headerless ? headerOf(record) : undefined;
    const follows = isDeepStrictEqual(project(before.record, append), record);
    const bytes = encodeUpdate({
      header: append.length > 0 || !follows || current === undefined ? header : undefined,
      entries: append,
      record: follows ? undefined : record,
    });
    if (bytes.length === 0) return before;
    if (current === undefined) await makePrivateDir(index.layout.dir);
    const size = await transcript.append(bytes, { create: current === undefined });
    // Whatever else stands between what was known and what was written came from another process, or was torn.
    const next =
      size.before === before.bytes && size.after === size.before + bytes.length
        ? afterUpdate(before, { start: size.before, end: size.after, header, entries: append, record })
        : await catchUp(before, transcript, index.onSkipped);
    this.#verified.add(key);
    this.#keyOf.set(record.uuid, key);
    index.set(key, next);
    return next;
  }

  #forget(index: AgentIndex, key: SessionKey, entry: IndexEntry): void {
    if (index.entries.get(key) === entry) index.remove(key);
    this.#verified.delete(key);
    this.#keyOf.delete(entry.record.uuid);
  }

  #index(agentId: string): Promise<AgentIndex> {
    const existing = this.#indexes.get(agentId);
    if (existing !== undefined) return existing;
    const loading = AgentIndex.load(this.#layout.agent(agentId), this.#durability, this.#report, this.#readOnly);
    this.#indexes.set(agentId, loading);
    // A load that failed is tried again by the next call, once its cause is gone.
    loading.catch(() => this.#indexes.delete(agentId));
    return loading;
  }

  async #find(uuid: string): Promise<{ index: AgentIndex; entry: IndexEntry } | undefined> {
    // Looked for twice: the first look can find the index in an untruth and mend it.
    for (const _look of ["first", "second"]) {
      const key = this.#keyOf.get(uuid) ?? (await this.#searchKey(uuid));
      if (key === undefined) return undefined;
      const index = await this.#index(parseSessionKey(key).agentId);
      const entry = await this.#mutex.run(key, () => this.#current(index, key));
      if (entry?.record.uuid === uuid) return { index, entry };
    }
    return undefined;
  }

  async #searchKey(uuid: string): Promise<SessionKey | undefined> {
    for (const agentId of await this.#layout.agentIds()) {
      const entries = (await this.#index(agentId)).entries.values();
      for (const { record } of entries) if (record.uuid === uuid) return record.key;
    }
    return undefined;
  }

  async #guarded<T>(operation: string, key: SessionKey | undefined, work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw closedFault(operation, key);
    if (this.#readOnly && WRITES.has(operation)) {
      throw new StorageError("This storage was opened to be read only.", { operation: `storage.${operation}`, key });
    }
    const running = work();
    this.#running.add(running);
    try {
      return await running;
    } catch (error) {
      throw storageFault(error, operation, key);
    } finally {
      this.#running.delete(running);
    }
  }
}
