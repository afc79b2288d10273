import { initialRecord, MemoryStorage, project, type SessionKey, type TranscriptEntry } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";

/** A session as a test wants to find it. */
export interface Inhabitant {
  key: string;
  /** Who spawned it, nearest first. */
  ancestors?: readonly string[];
  /** What was said in it, by a person. Default: one message that names the key. */
  entries?: readonly TranscriptEntry[];
  /** Sub-agents of it that are at work. */
  live?: readonly string[];
}

let made = 0;

/** A storage with these sessions in it, made without any tool. */
export async function populated(inhabitants: readonly Inhabitant[], storage = new MemoryStorage()) {
  const { user } = builders();
  for (const { key, ancestors = [], entries = [user(wordsOf(key))], live = [] } of inhabitants) {
    const spawns = live.map((child): TranscriptEntry => {
      made += 1;
      const run = `run-${made}`;
      return {
        type: "spawn",
        id: `spawn-${made}`,
        timestamp: "2026-03-18T10:00:00.000Z",
        child: child as SessionKey,
        run,
        mode: "start",
      };
    });
    made += 1;
    const uuid = `00000000-0000-4000-8000-${String(made).padStart(12, "0")}`;
    await storage.update(key as SessionKey, () => {
      const append = [...entries, ...spawns];
      const created = "2026-03-18T10:00:00.000Z";
      const record = initialRecord({ key: key as SessionKey, uuid, created, ancestors: ancestors as SessionKey[] });
      return { record: project(record, append), append };
    });
  }
  return storage;
}

/** What is said in a session, and nowhere else. */
export const wordsOf = (key: string) => `Words of <${key}>.`;
