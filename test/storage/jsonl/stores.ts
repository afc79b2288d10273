import { readFileSync } from "node:fs";
import type { SessionRecord } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { append, collect, dm } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { indexPath } from "./store-files.js";

/** What a storage opened for it lists, in the order of the keys. */
export async function listed(dir: string, options: Parameters<typeof openJsonl>[1] = {}): Promise<SessionRecord[]> {
  const storage = openJsonl(dir, options);
  const records = await collect(storage.list());
  await storage.close();
  return records.sort((a, b) => (a.key < b.key ? -1 : 1));
}

/** A store of some sessions with messages, settings and clears, closed. */
export async function storeOf(sessions: number): Promise<{ dir: string; records: SessionRecord[]; index: Buffer }> {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const b = builders();
  for (let n = 0; n < sessions; n += 1) {
    const key = dm(`p${n}`);
    await append(storage, key, b.user(`hello ${n}`, { messageId: `${n}`, address: `telegram:default:dm:p${n}` }));
    if (n % 3 === 0)
      await append(storage, key, b.state({ modelOverride: `model ${n}`, extra: { n } }), b.assistant("x"));
    if (n % 5 === 0) await append(storage, key, b.clear());
  }
  const records = (await collect(storage.list())).sort((a, b) => (a.key < b.key ? -1 : 1));
  await storage.close();
  return { dir, records, index: readFileSync(indexPath(dir)) };
}
