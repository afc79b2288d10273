import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SessionManager } from "../../../src/index.js";
import { builders, scriptedProvider } from "../../../src/testing.js";
import { append, collect, contents, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { fileNames, indexPath, putFile, transcriptPath } from "./store-files.js";

const alice = dm("alice");

// A second instance stands for a second process, such as the command line beside a running host.

test("S9 what a second instance appends is in the first one's next read, entries and update", async () => {
  const dir = tempDir();
  const host = openJsonl(dir);
  const other = openJsonl(dir);
  const b = builders();
  const { uuid } = await append(host, alice, b.user("1"));
  await append(other, alice, b.user("2"), b.state({ modelOverride: "m" }));
  expect(await host.read(alice)).toMatchObject({ messageCount: 2, state: { modelOverride: "m" } });
  await append(other, alice, b.user("3"));
  expect(contents(await collect(host.entries(uuid)))).toEqual(["1", "2", "3"]);
  await append(other, alice, b.user("4"));
  const seen: unknown[] = [];
  await host.update(alice, (current) => {
    seen.push(current?.messageCount);
    return undefined;
  });
  expect(seen.at(-1)).toBe(4);
  expect(await append(host, alice, b.user("5"))).toEqual(await other.read(alice));
});

test("S9 a session that a second instance begins is in the first one's next read, list and update", async () => {
  const dir = tempDir();
  const host = openJsonl(dir);
  const other = openJsonl(dir);
  expect(await host.read(alice)).toBeUndefined();
  expect(await collect(host.list())).toEqual([]);
  const begun = await say(other, alice, 1);
  expect(await host.read(alice)).toEqual(begun);
  await say(other, dm("bob"), 2);
  expect((await collect(host.list())).map(({ key }) => key).sort()).toEqual([alice, dm("bob")]);
  await say(other, dm("carol"), 1);
  expect(await append(host, dm("carol"), builders().user("2"))).toMatchObject({ messageCount: 2 });
  expect(contents(await collect(host.entries(begun.uuid)))).toEqual(["1"]);
});

test("S9 a session that a second instance deletes and begins anew is the new one for the first", async () => {
  const dir = tempDir();
  const host = openJsonl(dir);
  const other = openJsonl(dir);
  await say(host, alice, 3);
  await other.delete(alice);
  const anew = await say(other, alice, 1);
  expect(await append(host, alice, builders().user("2"))).toMatchObject({ uuid: anew.uuid, messageCount: 2 });
});

test("S9 a session looked at while its first lines are being written is found once they are whole", async () => {
  const source = tempDir();
  const record = await say(openJsonl(source), alice, 2);
  const bytes = readFileSync(transcriptPath(source, record.uuid));
  const dir = tempDir();
  await say(openJsonl(dir), dm("bob"), 1);
  for (const written of [0, 40, 100]) {
    putFile(dir, `${record.uuid}.jsonl`, bytes.subarray(0, written));
    expect((await collect(openJsonl(dir).list())).map(({ key }) => key)).toEqual([dm("bob")]);
  }
  putFile(dir, `${record.uuid}.jsonl`, bytes);
  const host = openJsonl(dir);
  expect(await host.read(alice)).toEqual(record);
  expect(await append(host, alice, builders().user("3"))).toMatchObject({ uuid: record.uuid, messageCount: 3 });
});

test("S9 a transcript put there by hand is found by the next storage, and through it by those that are open", async () => {
  const source = tempDir();
  const record = await say(openJsonl(source), alice, 2);
  const dir = tempDir();
  const host = openJsonl(dir);
  await say(host, dm("bob"), 1);
  putFile(dir, `${record.uuid}.jsonl`, readFileSync(transcriptPath(source, record.uuid)));
  expect(await openJsonl(dir).read(alice)).toEqual(record);
  expect(await host.read(alice)).toEqual(record);
  expect((await collect(host.list())).map(({ key }) => key).sort()).toEqual([alice, dm("bob")]);
});

test("S9 a clear by a second instance empties the first one's window", async () => {
  const dir = tempDir();
  const host = openJsonl(dir);
  const b = builders();
  const { uuid } = await append(host, alice, b.user("1"), b.assistant("2"));
  const clear = b.clear();
  await append(openJsonl(dir), alice, clear);
  expect(await collect(host.entries(uuid, { fromWindow: true }))).toEqual([clear]);
  expect(await host.read(alice)).toMatchObject({ messageCount: 0, lastClear: clear.id });
});

test("S13 a delete by a second instance is a deletion for the first", async () => {
  const dir = tempDir();
  const host = openJsonl(dir);
  const record = await say(host, alice, 2);
  expect(await openJsonl(dir).delete(alice)).toBe(true);
  expect(await host.read(alice)).toBeUndefined();
  expect(await collect(host.entries(record.uuid))).toEqual([]);
  expect(await host.delete(alice)).toBe(false);
  expect((await say(host, alice, 1)).uuid).not.toBe(record.uuid);
});

test("S5 two instances that append to one session in turn and at once lose nothing", async () => {
  const dir = tempDir();
  const host = openJsonl(dir);
  const other = openJsonl(dir);
  await say(host, alice, 1);
  const b = builders();
  const appends = Array.from({ length: 40 }, (_, n) => {
    const pair = [b.user(`${n} question`), b.assistant(`${n} answer`)];
    return append(n % 2 === 0 ? host : other, alice, ...pair);
  });
  const [{ uuid } = { uuid: "" }] = await Promise.all(appends);
  const texts = contents(await collect(openJsonl(dir).entries(uuid)))
    .slice(1)
    .map(String);
  expect(texts).toHaveLength(80);
  expect(new Set(texts).size).toBe(80);
  for (let n = 0; n < 80; n += 2) expect(texts[n + 1]).toBe(texts[n]?.replace("question", "answer"));
  expect(await host.read(alice)).toMatchObject({ messageCount: 81 });
  expect(await other.read(alice)).toMatchObject({ messageCount: 81 });
});

test("a message that another tool appends by hand, also while a turn runs, is read and kept", async () => {
  const dir = tempDir();
  const line = '{"role":"user","content":"by hand","timestamp":"2026-03-18T10:00:00Z"}\n';
  const provider = scriptedProvider(async () => {
    appendFileSync(transcriptPath(dir, (await manager.get(alice))?.uuid ?? ""), line);
    return "answer";
  });
  const manager = new SessionManager({ dir, provider, durability: "off" });
  const b = builders();
  const { key } = await manager.handle(b.dm("alice", "hello"));
  const session = await manager.open(key);
  expect(contents(await collect(session.history()))).toEqual(["hello", "by hand", "answer"]);
  expect((await session.status()).messageCount).toBe(3);
  await manager.close();
});

test("G10 two instances that both write the index leave one that serves", async () => {
  const dir = tempDir();
  const host = openJsonl(dir);
  await say(host, alice, 1);
  const other = openJsonl(dir);
  await other.read(alice);
  await say(host, dm("bob"), 2);
  await append(other, alice, builders().clear());
  await host.close();
  await other.close();
  const found = openJsonl(dir);
  expect(await found.read(alice)).toMatchObject({ messageCount: 0 });
  expect(await found.read(dm("bob"))).toMatchObject({ messageCount: 2 });
  expect((await collect(found.list())).map(({ key }) => key).sort()).toEqual([alice, dm("bob")]);
});

test("an instance that only reads writes nothing", async () => {
  const dir = tempDir();
  const host = openJsonl(dir);
  const record = await say(host, alice, 2);
  await host.close();
  const index = readFileSync(indexPath(dir));
  appendFileSync(transcriptPath(dir, record.uuid), "garbage\n");
  const reader = openJsonl(dir);
  await reader.read(alice);
  await collect(reader.list());
  await collect(reader.entries(record.uuid));
  await reader.close();
  expect(readFileSync(indexPath(dir)).equals(index)).toBe(true);
});

test.each([
  ["is missing", undefined],
  ["cannot be read", "{"],
])(
  "with readOnly a store whose index %s is read, nothing is written, and whatever would write rejects",
  async (_, index) => {
    const dir = tempDir();
    const host = openJsonl(dir);
    const record = await say(host, alice, 2);
    await host.close();
    if (index === undefined) rmSync(indexPath(dir));
    else writeFileSync(indexPath(dir), index);
    const before = fileNames(dir);
    const reader = openJsonl(dir, { readOnly: true });
    expect(await collect(reader.list())).toEqual([record]);
    for (const call of [() => append(reader, alice), () => reader.delete(alice), () => reader.claim(alice)])
      await expect(call()).rejects.toMatchObject({ code: "STORAGE" });
    await reader.close();
    expect(fileNames(dir)).toEqual(before);
    if (index !== undefined) expect(readFileSync(indexPath(dir), "utf8")).toBe(index);
  },
);
