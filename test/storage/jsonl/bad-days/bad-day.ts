import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import {
  type Claim,
  JsonlStorage,
  type JsonlStorageOptions,
  type SessionKey,
  type StorageReport,
} from "../../../../src/index.js";
import { builders } from "../../../../src/testing.js";
import { appending, collect } from "../../sessions.js";
import { indexPath } from "../store-files.js";
import { expectTyped } from "./failures.js";

const HANGS_AFTER_MS = 5_000;

type Answer<T> = { value: T } | { error: unknown };

interface Said {
  id: string;
  acknowledged: boolean;
  /** Those of one update stand there together or not at all. */
  update: number;
}

/** What a storage was asked while the disk was unwell, what it acknowledged, and what must be found of that afterwards. */
export class BadDay {
  readonly dir: string;
  readonly storage: JsonlStorage;
  readonly reports: StorageReport[] = [];
  /** Calls that were rejected. */
  readonly errors: unknown[] = [];
  closed = false;
  readonly #said = new Map<SessionKey, Said[]>();
  readonly #maybeGone = new Set<SessionKey>();
  readonly #indexBefore: string;
  #updates = 0;

  constructor(dir: string, options: Omit<JsonlStorageOptions, "dir" | "onReport">) {
    this.dir = dir;
    this.#indexBefore = readIndex(dir);
    this.storage = new JsonlStorage({ dir, ...options, onReport: (report) => void this.reports.push(report) });
  }

  /** Entries that are in the store already. */
  knows(key: SessionKey, ids: readonly string[]): void {
    this.#updates += 1;
    const said = ids.map((id) => ({ id, acknowledged: true, update: this.#updates }));
    this.#said.set(key, [...(this.#said.get(key) ?? []), ...said]);
  }

  get keys(): SessionKey[] {
    return [...this.#said.keys()];
  }

  /** One update that appends so many messages. */
  async append(
    key: SessionKey,
    { count = 1, text = "hello", claim = undefined as Claim | undefined, by = this.storage } = {},
  ): Promise<boolean> {
    this.#updates += 1;
    const update = this.#updates;
    const b = builders(Date.UTC(2026, 2, 18, 12) + update * 60_000);
    const entries = Array.from({ length: count }, (_, n) => b.user(text, { id: `u${update}.${n}` }));
    const said = this.#said.get(key) ?? [];
    this.#said.set(key, said);
    const mine = entries.map(({ id }): Said => ({ id, acknowledged: false, update }));
    said.push(...mine);
    const answer = await this.ask(by.update(key, appending(key, entries), claim === undefined ? {} : { claim }));
    const acknowledged = "value" in answer;
    for (const each of mine) each.acknowledged = acknowledged;
    return acknowledged;
  }

  async remove(key: SessionKey): Promise<void> {
    const answer = await this.ask(this.storage.delete(key));
    if ("value" in answer) this.#said.set(key, []);
    else this.#maybeGone.add(key);
  }

  async read(key: SessionKey): Promise<string | undefined> {
    const answer = await this.ask(this.storage.read(key));
    return "value" in answer ? answer.value?.uuid : undefined;
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.ask(this.storage.close());
  }

  /** Waits for the answer of a call: a value, or an error of the library, and soon. */
  async ask<T>(call: Promise<T>): Promise<Answer<T>> {
    try {
      return { value: await soon(call) };
    } catch (error) {
      expectTyped(error);
      this.errors.push(error);
      return { error };
    }
  }

  /** The cause is gone: the same storage works, and leaves nothing open. */
  async recover(): Promise<void> {
    if (!this.closed) {
      for (const key of this.keys) {
        if (!(await this.append(key))) throw this.errors.at(-1);
      }
      const listed = await soon(collect(this.storage.list()));
      expect(listed.map(({ key }) => key).sort()).toEqual([...this.keys].sort());
      // It still tells that a file could not be closed before.
      await this.ask(this.storage.close());
    }
    expect(openBelow(this.dir)).toEqual([]);
  }

  /** What a storage finds that knows nothing of all this: whatever was acknowledged, once and in order. */
  async expectKept(): Promise<void> {
    const index = readIndex(this.dir);
    if (index !== this.#indexBefore) JSON.parse(index);
    const storage = new JsonlStorage({ dir: this.dir, durability: "off" });
    try {
      for (const key of this.keys) await this.#expectKept(storage, key);
      expect(await collect(storage.list())).toHaveLength(await this.#present(storage));
      for (const key of this.keys) await (await soon(storage.claim(key))).release();
    } finally {
      await storage.close();
    }
    expect(openBelow(this.dir)).toEqual([]);
  }

  async #expectKept(storage: JsonlStorage, key: SessionKey): Promise<void> {
    const record = await storage.read(key);
    const entries = record === undefined ? [] : await collect(storage.entries(record.uuid));
    const found = entries.map(({ id }) => id);
    expect(record?.messageCount ?? 0).toBe(found.length);
    const said = this.#said.get(key) ?? [];
    expect(found).toEqual(said.filter(({ id }) => found.includes(id)).map(({ id }) => id));
    const isThere = (update: number) => said.some((each) => each.update === update && found.includes(each.id));
    for (const { id, update } of said) expect([id, found.includes(id)]).toEqual([id, isThere(update)]);
    const lost = said.filter(({ id, acknowledged }) => acknowledged && !found.includes(id));
    // A deletion that was not acknowledged has taken all that was there before, or nothing.
    if (!this.#maybeGone.has(key)) expect(lost).toEqual([]);
  }

  async #present(storage: JsonlStorage): Promise<number> {
    const records = await Promise.all(this.keys.map((key) => storage.read(key)));
    return records.filter((record) => record !== undefined).length;
  }
}

function readIndex(dir: string): string {
  return existsSync(indexPath(dir)) ? readFileSync(indexPath(dir), "utf8") : "{}";
}

/** What this process has open below a directory, where that can be seen. */
export function openBelow(dir: string): string[] {
  if (!existsSync("/proc/self/fd")) return [];
  return readdirSync("/proc/self/fd")
    .map((fd) => targetOf(join("/proc/self/fd", fd)))
    .filter((path) => path.startsWith(dir));
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    // Closed since it was listed, such as what listed it.
    return "";
  }
}

/** Waits for something that must not take long. */
export async function soon<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("Nothing was heard of it.")), HANGS_AFTER_MS);
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}
