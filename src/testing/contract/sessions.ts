import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { TranscriptEntry } from "../../core/entry.js";
import { formatSessionKey, type SessionKey } from "../../core/key.js";
import { initialRecord, project, type SessionRecord } from "../../core/record.js";
import type { Change, Claim, SessionStorage } from "../../storage/storage.js";
import { builders } from "../builders.js";

const CREATED = "2026-03-18T10:00:00.000Z";

/** The key of a DM session. */
export function dm(peerId: string, agentId = "main"): SessionKey {
  return formatSessionKey({ kind: "dm", agentId, channel: "telegram", peerId });
}

export const alice = dm("alice");
export const bob = dm("bob");

/** A record nobody has spoken in, with a uuid of its own. */
export function freshRecord(key: SessionKey, uuid: string = randomUUID()): SessionRecord {
  return initialRecord({ key, uuid, created: CREATED });
}

/** The change that appends entries to a session, or begins it with them. */
export function appending(key: SessionKey, entries: readonly TranscriptEntry[]) {
  return (current: SessionRecord | undefined): Change => ({
    record: project(current ?? freshRecord(key), entries),
    append: entries,
  });
}

/** Appends entries with one update. */
export async function append(
  storage: SessionStorage,
  key: SessionKey,
  entries: readonly TranscriptEntry[],
  options: { claim?: Claim } = {},
): Promise<SessionRecord> {
  return present(await storage.update(key, appending(key, entries), options), "the record that update resolves to");
}

/** Says some texts, each in an update of its own. */
export async function say(storage: SessionStorage, key: SessionKey, ...texts: string[]): Promise<SessionRecord> {
  const b = builders();
  let record: SessionRecord | undefined;
  for (const text of texts) record = await append(storage, key, [b.user(text, { id: randomUUID() })]);
  return present(record, "a record");
}

/** The change that adds one to a number in the record, and writes no entry. */
export function increment(key: SessionKey) {
  return (current: SessionRecord = freshRecord(key)): Change => ({
    record: { ...current, state: { ...current.state, extra: { count: countOf(current) + 1 } } },
  });
}

export function countOf(record: SessionRecord | undefined): number {
  return Number(record?.state.extra.count ?? 0);
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** All that is stored under a uuid. */
export function everything(storage: SessionStorage, uuid: string): Promise<TranscriptEntry[]> {
  return collect(storage.entries(uuid));
}

/** What the messages among some entries say, in order. */
export function contents(entries: readonly TranscriptEntry[]): unknown[] {
  return entries.flatMap((entry) => ("role" in entry ? [entry.content] : []));
}

export function present<T>(value: T | undefined, what: string): T {
  assert.ok(value !== undefined, `there is ${what}`);
  return value;
}
