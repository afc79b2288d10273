import { linkSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { collect, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { sessionsDir } from "./store-files.js";

const journal = (dir: string, name = "") => join(sessionsDir(dir), "sessions.journal", name);

async function keysOf(storage: ReturnType<typeof openJsonl>): Promise<string[]> {
  return (await collect(storage.list())).map(({ key }) => key).sort();
}

test("G10 a journal that has other names too, as in a snapshot made of links, is still followed to where it goes on", async () => {
  const dir = tempDir();
  const watching = openJsonl(dir);
  await say(watching, dm("first"), 1);
  expect(await keysOf(watching)).toEqual([dm("first")]);
  const links = tempDir();
  for (const name of readdirSync(journal(dir)))
    if (/^\d+\.jsonl$/.test(name)) linkSync(journal(dir, name), join(links, name));
  const begun = ["a", "b", "c"].map((peer) => dm(peer));
  for (const key of begun) {
    const other = openJsonl(dir);
    await say(other, key, 1);
    await other.close();
  }
  expect(await keysOf(watching)).toEqual([...begun, dm("first")].sort());
});

test("G10 a journal whose last file is closed goes on, and everyone who meets it sees everything", async () => {
  const dir = tempDir();
  mkdirSync(journal(dir), { recursive: true });
  writeFileSync(journal(dir, "000000007.jsonl"), '{"boot":"x","id":"last"}\n{"closed":true,"next":"gone"}\n');
  const storages = [openJsonl(dir), openJsonl(dir), openJsonl(dir)];
  await Promise.all(storages.map((storage, n) => say(storage, dm(String(n)), 2)));
  const keys = storages.map((_, n) => dm(String(n))).sort();
  for (const storage of storages) expect(await keysOf(storage)).toEqual(keys);
  expect(await keysOf(openJsonl(dir, { readOnly: true }))).toEqual(keys);
});

test("a journal that cannot go on is an error that says so, and no endless loop", async () => {
  const dir = tempDir();
  mkdirSync(journal(dir), { recursive: true });
  writeFileSync(journal(dir, "999999999.jsonl"), '{"boot":"x","id":"last"}\n{"closed":true,"next":"gone"}\n');
  await expect(say(openJsonl(dir), dm("1"), 1)).rejects.toMatchObject({ code: "STORAGE_BUSY" });
});
