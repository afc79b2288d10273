import { randomUUID } from "node:crypto";
import { formatSessionKey, initialRecord, project, type SessionKey, type SessionRecord } from "../../src/core.js";
import type { Change, SessionStorage, TranscriptEntry } from "../../src/index.js";
import { builders } from "../../src/testing.js";

export const CREATED = "2026-03-18T10:00:00.000Z";

/** The key of a DM session. */
export function dm(peerId: string, agentId = "main"): SessionKey {
  return formatSessionKey({ kind: "dm", agentId, channel: "telegram", peerId });
}

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
  ...entries: TranscriptEntry[]
): Promise<SessionRecord> {
  return (await storage.update(key, appending(key, entries))) as SessionRecord;
}

/** Appends `count` user messages, each with an update of its own. */
export async function say(storage: SessionStorage, key: SessionKey, count: number, name = ""): Promise<SessionRecord> {
  const b = builders();
  let record: SessionRecord | undefined;
  for (let n = 1; n <= count; n += 1) record = await append(storage, key, b.user(`${name}${n}`, { id: randomUUID() }));
  return record as SessionRecord;
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** What the messages among some entries say, in order. */
export function contents(entries: readonly TranscriptEntry[]): unknown[] {
  return entries.flatMap((entry) => ("role" in entry ? [entry.content] : []));
}
