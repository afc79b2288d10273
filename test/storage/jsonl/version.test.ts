import { randomUUID } from "node:crypto";
import { appendFileSync, readFileSync, rmSync } from "node:fs";
import { expect, test } from "vitest";
import { SessionManager, UnsupportedVersionError } from "../../../src/index.js";
import { builders, scriptedProvider } from "../../../src/testing.js";
import { append, collect, contents, dm } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { headerLine, indexPath, putFile, transcriptPath } from "./store-files.js";

const alice = dm("alice");

function line(content: string): string {
  return JSON.stringify({ role: "user", content, timestamp: "2026-03-18T10:00:00.000Z", id: `id-${content}` });
}

/** A transcript as a later version of this library might write it. */
function newerStore(before = "") {
  const dir = tempDir();
  const uuid = randomUUID();
  const header = headerLine(alice, uuid, { version: 2, novelty: { a: [1] } });
  const novel = '{"type":"novelty","id":"n1","timestamp":"2026-03-18T10:00:00.000Z","changes":"everything"}';
  putFile(dir, `${uuid}.jsonl`, `${before}${header}\n${line("1")}\n${novel}\n${line("2")}\n`);
  return { dir, uuid, path: transcriptPath(dir, uuid) };
}

test.each([
  ["", ""],
  ["behind lines that cannot be read ", "\0\0\0\ngarbage\n"],
])("a transcript with a newer version in its header %s is read but not written to", async (_, before) => {
  const { dir, uuid, path } = newerStore(before);
  const bytes = readFileSync(path);
  const storage = openJsonl(dir);
  expect(await storage.read(alice)).toMatchObject({ uuid, messageCount: 2 });
  expect(contents(await collect(storage.entries(uuid)))).toEqual(["1", "2"]);
  expect(contents(await collect(storage.entries(uuid, { last: 1 })))).toEqual(["2"]);
  expect(await collect(storage.list())).toHaveLength(1);
  for (const instance of [storage, openJsonl(dir)]) {
    const error: unknown = await append(instance, alice, builders().user("3")).catch((cause: unknown) => cause);
    expect(error).toBeInstanceOf(UnsupportedVersionError);
    expect(error).toMatchObject({ code: "UNSUPPORTED_VERSION", key: alice });
    expect(await instance.update(alice, () => undefined)).toMatchObject({ messageCount: 2 });
    expect(await instance.read(alice)).toMatchObject({ messageCount: 2 });
    await instance.close();
  }
  expect(readFileSync(path).equals(bytes)).toBe(true);
});

test("what the newer version appends meanwhile is read", async () => {
  const { dir, uuid, path } = newerStore();
  const storage = openJsonl(dir);
  expect(await storage.read(alice)).toMatchObject({ messageCount: 2 });
  appendFileSync(path, `${line("3")}\n`);
  expect(await storage.read(alice)).toMatchObject({ messageCount: 3 });
  expect(contents(await collect(storage.entries(uuid)))).toEqual(["1", "2", "3"]);
  await expect(append(storage, alice, builders().user("4"))).rejects.toMatchObject({ code: "UNSUPPORTED_VERSION" });
});

test("other sessions of the same store are written to as ever", async () => {
  const { dir } = newerStore();
  const storage = openJsonl(dir);
  expect(await append(storage, dm("bob"), builders().user("1"))).toMatchObject({ messageCount: 1 });
  rmSync(indexPath(dir), { force: true });
  expect(await collect(openJsonl(dir).list())).toHaveLength(2);
});

test("a message for such a session is refused with the typed error, and the model is not called", async () => {
  const { dir, path } = newerStore();
  const bytes = readFileSync(path);
  const provider = scriptedProvider(["never"]);
  const manager = new SessionManager({ dir, provider, durability: "off" });
  await expect(manager.handle(builders().dm("alice", "hello"))).rejects.toMatchObject({ code: "UNSUPPORTED_VERSION" });
  expect(provider.requests).toEqual([]);
  await manager.close();
  expect(readFileSync(path).equals(bytes)).toBe(true);
});
