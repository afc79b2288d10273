import { pbkdf2 } from "node:crypto";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { SessionStorage } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { append, collect, dm } from "../storage/sessions.js";
import { openJsonl, tempDir } from "../storage/storage-kinds.js";

/** Keeps every thread that writes files busy, so that a large write waits until this is over. */
function occupyThreads(): Promise<unknown> {
  return Promise.all(Array.from({ length: 4 }, () => promisify(pbkdf2)("a", "b", 400_000, 64, "sha512")));
}

/** What a list says meanwhile of the messages in the only session. */
async function countsUntil(done: Promise<unknown>, storage: SessionStorage): Promise<number[]> {
  const counts: number[] = [];
  let pending = true;
  const over = done.finally(() => {
    pending = false;
  });
  while (pending) {
    counts.push(...(await collect(storage.list())).map(({ messageCount }) => messageCount));
    await new Promise(setImmediate);
  }
  await over;
  return counts;
}

test("G11 S4 an update behind what a killed process left of a line, written in the same instant, is there once and whole", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const b = builders();
  const key = dm("1");
  const { uuid } = await append(storage, key, b.user("first"));
  const busy = occupyThreads();
  const writing = append(storage, key, b.user("x".repeat(40_000)), b.assistant("answer"), b.turn("e0002"));
  for (let turn = 0; turn < 3; turn += 1) await Promise.resolve();
  await new Promise(setImmediate);
  appendFileSync(join(dir, "agents/main/sessions", `${uuid}.jsonl`), '{"role":"user","content":"what another proc');
  const counting = countsUntil(writing, storage);
  await busy;
  const counts = await counting;
  const record = await writing;
  // Nor is a part of it ever seen, and so none gets into an index that is written meanwhile.
  expect(counts.filter((count) => count !== 1 && count !== 3)).toEqual([]);
  const ids = (await collect(openJsonl(dir).entries(uuid))).map(({ id }) => id);
  expect(ids).toEqual(["e0001", "e0002", "e0003", "e0004"]);
  expect(record.messageCount).toBe(3);
  expect(await openJsonl(dir).read(key)).toEqual(record);
});
