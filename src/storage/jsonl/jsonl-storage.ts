import { randomUUID } from "node:crypto";
import type { TranscriptEntry } from "../../core/entry.js";
import { cloneJson } from "../../core/json.js";
import { parseSessionKey, type SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { StorageError } from "../../errors.js";
import { Claims } from "../claims.js";
import { selectRecords } from "../list-query.js";
import { type OnReport, undisturbed } from "../report.js";
import type { Claim, EntryRange, ListQuery, SessionStorage, Updater } from "../storage.js";
import type { Durability } from "./durability.js";
import { closedFault, codeOf, storageFault } from "./fault.js";
import { AgentIndex } from "./index/agent-index.js";
import type { IndexEntry } from "./index/index-file.js";
import type { IndexHost } from "./index/index-host.js";
import { KeyedMutex } from "./keyed-mutex.js";
import { Layout } from "./layout.js";
import { ClaimLocks } from "./lock/claim-locks.js";
import { liveTokens, verdictOn } from "./lock/lock-verdict.js";
import { ownIdentity } from "./lock/process-identity.js";
import { SessionReader } from "./session/session-reader.js";
import { SessionWriter } from "./session/session-writer.js";
import { inRange } from "./transcript/entry-range.js";
import { flatten } from "./transcript/flatten.js";
import { HandlePool } from "./transcript/handle-pool.js";

const WRITES: ReadonlySet<string> = new Set(["update", "delete", "claim"]);
const DURABILITIES: ReadonlySet<unknown> = new Set<Durability>(["always", "batch", "off"]);

// Reopening costs twenty times an append. Node raises the process's limit as far as the system lets it; where that is less, the
// pool makes room.
const DEFAULT_OPEN_FILES = 1_000;

export interface JsonlStorageOptions {
  /** Where the store lives; made when first written to. Transcripts stand in `<dir>/agents/<agentId>/sessions/`. */
  dir: string;
  /** What an acknowledged message survives. Default `always`: also a power cut. */
  durability?: Durability | undefined;
  /** How many transcripts may be held open for appending, 1 or more; more sessions than that at once cost reopening. Default 1,000. */
  openFiles?: number | undefined;
  /** Leaves every file as it is, also an index that is missing or unreadable; a call that would write rejects. Default false. */
  readOnly?: boolean | undefined;
  /** Told what was met and dealt with: lines that could not be read, an index that was rebuilt. Default: nobody. */
  onReport?: OnReport | undefined;
}

/**
 * Keeps sessions as JSON lines: `<uuid>.jsonl` is the truth, `sessions.json` a cache of what it says.
 *
 * Any number of processes on one machine may use one directory at the same time: none waits for another to write, each sees
 * what the others wrote, and a session's turns run in one of them at a time.
 */
export class JsonlStorage implements SessionStorage {
  readonly #layout: Layout;
  readonly #options: { durability: Durability; readOnly: boolean; report: OnReport };
  readonly #token = randomUUID();
  readonly #pool: HandlePool;
  readonly #reader: SessionReader;
  readonly #writer: SessionWriter;
  readonly #indexes = new Map<string, Promise<AgentIndex>>();
  readonly #loaded = new Map<string, AgentIndex>();
  readonly #mutex = new KeyedMutex();
  readonly #claims = new Claims(randomUUID);
  readonly #locks = new ClaimLocks();
  readonly #running = new Set<Promise<unknown>>();
  #revs = 0;
  #closing: Promise<void> | undefined;

  constructor(options: JsonlStorageOptions) {
    const { dir, durability = "always", openFiles = DEFAULT_OPEN_FILES } = options;
    const { readOnly = false, onReport = () => undefined } = options;
    if (typeof dir !== "string" || dir === "")
      throw new TypeError("JsonlStorage needs dir, the directory of the store.");
    if (!DURABILITIES.has(durability)) throw new TypeError('durability must be "always", "batch" or "off".');
    if (!Number.isSafeInteger(openFiles) || openFiles < 1)
      throw new TypeError("openFiles must be a whole number, 1 or more.");
    const report = undisturbed(onReport);
    this.#layout = new Layout(dir);
    this.#options = { durability, readOnly, report };
    this.#pool = new HandlePool(openFiles);
    const prefix = this.#token.replaceAll("-", "").slice(0, 16);
    const newRev = () => `${prefix}.${(++this.#revs).toString(36)}`;
    this.#reader = new SessionReader(this.#pool, report);
    this.#writer = new SessionWriter({ pool: this.#pool, reader: this.#reader, durability, newRev });
    liveTokens().add(this.#token);
  }

  async read(key: SessionKey): Promise<SessionRecord | undefined> {
    return this.#guarded("read", key, () =>
      this.#with(key, async (index) => {
        const entry = await this.#mutex.run(key, () => this.#reader.latest(index, key));
        return entry && cloneJson(entry.record);
      }),
    );
  }

  async *list(query: ListQuery = {}): AsyncIterable<SessionRecord> {
    const records = await this.#guarded("list", undefined, async () => {
      const agentIds = query.agentId === undefined ? await this.#layout.agentIds() : [query.agentId];
      const indexes = await Promise.all(agentIds.map((agentId) => this.#indexOf(agentId)));
      await Promise.all(indexes.map((index) => index.refresh()));
      return selectRecords(recordsOf(indexes), { ...query, agentId: undefined });
    });
    for (const record of records) yield cloneJson(record);
  }

  update(
    key: SessionKey,
    updater: Updater,
    options: { claim?: Claim | undefined } = {},
  ): Promise<SessionRecord | undefined> {
    return this.#guarded("update", key, () => this.#update(key, updater, options.claim));
  }

  entries(uuid: string, range: EntryRange = {}): AsyncIterable<TranscriptEntry> {
    return flatten(this.#entries(uuid, range));
  }

  async claim(key: SessionKey, options: { signal?: AbortSignal | undefined } = {}): Promise<Claim> {
    return this.#guarded("claim", key, async () => {
      const index = await this.#index(key);
      const uuid = async () => {
        await index.follow();
        return index.uuidOf(key);
      };
      return this.#claims.acquire(key, options.signal, (token, signal) =>
        this.#locks.take(index.layout, { key, token, uuid, signal }),
      );
    });
  }

  async delete(key: SessionKey): Promise<boolean> {
    return this.#guarded("delete", key, () =>
      this.#with(key, (index) => this.#mutex.run(key, () => this.#writer.remove(index, key))),
    );
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const failures: unknown[] = [];
    // What was still being written under a claim is written before others may have it.
    const settled = Promise.allSettled(this.#running);
    await this.#claims.close(settled).catch((error: unknown) => failures.push(error));
    for (const index of await Promise.allSettled(this.#indexes.values())) {
      // An index that could not be loaded has nothing to write; whoever asked for it got the error.
      if (index.status === "fulfilled") await index.value.close().catch((error: unknown) => failures.push(error));
    }
    await this.#pool.close().catch((error: unknown) => failures.push(error));
    liveTokens().delete(this.#token);
    if (failures.length > 0) throw storageFault(failures[0], "close");
  }

  async #update(key: SessionKey, updater: Updater, claim: Claim | undefined): Promise<SessionRecord | undefined> {
    const found = this.#index(key);
    // Nothing is waited for when the index is there: calls that are made one after the other stay in that order.
    const index = found instanceof AgentIndex ? found : await found;
    const mayWrite = () => {
      if (claim !== undefined) this.#claims.check(claim, key);
    };
    const { record, durable } = await this.#mutex.run(key, () => this.#writer.update(index, key, updater, mayWrite));
    if (durable !== undefined) await durable;
    if (claim !== undefined && record !== undefined) await this.#locks.show(claim.token, index.layout, record.uuid);
    return record && cloneJson(record);
  }

  async *#entries(uuid: string, range: EntryRange): AsyncGenerator<readonly TranscriptEntry[]> {
    const found = await this.#guarded("entries", undefined, () => this.#find(uuid));
    if (found === undefined) return;
    const { index, entry } = found;
    const transcript = index.transcript(uuid);
    try {
      if (range.last !== undefined && range.after === undefined && !range.fromWindow) {
        yield await transcript.last(range.last);
        return;
      }
      yield* inRange(transcript.from(range.fromWindow ? entry.windowStart : 0), range);
    } catch (error) {
      // Deleted since it was found.
      if (codeOf(error) === "ENOENT") return;
      throw storageFault(error, "entries", entry.record.key);
    }
  }

  // Without a detour when the index is there: calls that are made one after the other stay in that order.
  #with<T>(key: SessionKey, work: (index: AgentIndex) => Promise<T>): Promise<T> {
    const index = this.#index(key);
    return index instanceof AgentIndex ? work(index) : index.then(work);
  }

  #index(key: SessionKey): AgentIndex | Promise<AgentIndex> {
    // A key that is known need not be parsed again.
    for (const index of this.#loaded.values()) if (index.uuidOf(key) !== undefined) return index;
    const { agentId } = parseSessionKey(key);
    return this.#loaded.get(agentId) ?? this.#indexOf(agentId);
  }

  #indexOf(agentId: string): Promise<AgentIndex> {
    const existing = this.#indexes.get(agentId);
    if (existing !== undefined) return existing;
    const loading = this.#load(agentId);
    this.#indexes.set(agentId, loading);
    loading.then(
      (index) => this.#loaded.set(agentId, index),
      // A load that failed is tried again by the next call, once its cause is gone.
      () => this.#indexes.delete(agentId),
    );
    return loading;
  }

  async #load(agentId: string): Promise<AgentIndex> {
    const identity = await ownIdentity();
    const host: IndexHost = {
      ...this.#options,
      token: this.#token,
      identity: { ...identity, token: this.#token },
      boot: identity.boot,
      pool: this.#pool,
      refresh: async (key) => {
        const index = await this.#indexOf(agentId);
        await this.#mutex.run(key, () => this.#reader.latest(index, key));
      },
      isDead: async (owner, dir) => {
        const holder = typeof owner === "object" && owner !== null ? { ...owner } : undefined;
        return (await verdictOn(holder, identity, dir)) === "dead";
      },
    };
    return AgentIndex.load(this.#layout.agent(agentId), host);
  }

  async #find(uuid: string): Promise<{ index: AgentIndex; entry: IndexEntry } | undefined> {
    // Looked for twice: the first look can find the index in an untruth and mend it.
    for (const _look of ["first", "second"]) {
      const place = this.#placeOf(uuid) ?? (await this.#search(uuid));
      if (place === undefined) return undefined;
      const { index, key } = place;
      const entry = await this.#mutex.run(key, () => this.#reader.latest(index, key));
      if (entry?.record.uuid === uuid) return { index, entry };
    }
    return undefined;
  }

  #placeOf(uuid: string): { index: AgentIndex; key: SessionKey } | undefined {
    for (const index of this.#loaded.values()) {
      const key = index.keyOf(uuid);
      if (key !== undefined) return { index, key };
    }
    return undefined;
  }

  async #search(uuid: string): Promise<{ index: AgentIndex; key: SessionKey } | undefined> {
    for (const agentId of await this.#layout.agentIds()) {
      const index = await this.#indexOf(agentId);
      await index.follow();
      const key = index.keyOf(uuid);
      if (key !== undefined) return { index, key };
    }
    return undefined;
  }

  async #guarded<T>(operation: string, key: SessionKey | undefined, work: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw closedFault(operation, key);
    if (this.#options.readOnly && WRITES.has(operation)) {
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

function* recordsOf(indexes: readonly AgentIndex[]): Generator<SessionRecord> {
  for (const index of indexes) for (const entry of index.entries.values()) yield entry.record;
}
