import { randomUUID } from "node:crypto";
import fs, { open } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { basename } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { builders } from "../../../src/testing.js";
import { append, collect, contents, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { headerLine, putFile } from "./store-files.js";

const alice = dm("alice");

// Every byte read from a file goes through FileHandle.read; its class can be had from a handle alone.
let bytesRead = 0;

beforeEach(async () => {
  bytesRead = 0;
  const handle = await open(import.meta.filename);
  const prototype = Object.getPrototypeOf(handle) as { read: (...args: unknown[]) => Promise<{ bytesRead: number }> };
  await handle.close();
  const read = prototype.read;
  vi.spyOn(prototype, "read").mockImplementation(async function (this: unknown, ...args: unknown[]) {
    const result = await read.apply(this, args);
    bytesRead += result.bytesRead;
    return result;
  });
});

afterEach(() => {
  vi.restoreAllMocks();
  syncBuiltinESMExports();
});

/** Notes the files that are opened from now on, by their names. */
function opens(): () => string[] {
  const spy = vi.spyOn(fs, "open");
  syncBuiltinESMExports();
  return () => spy.mock.calls.map(([path]) => basename(String(path)));
}

const isTranscript = (name: string) => /^[0-9a-f-]{36}\.jsonl$/.test(name);

/** A transcript of at least five megabytes with `lines` messages. */
function longTranscript(lines: number) {
  const dir = tempDir();
  const uuid = randomUUID();
  const text = "x".repeat(Math.ceil(5_000_000 / lines));
  const messages = Array.from({ length: lines }, (_, n) =>
    JSON.stringify({ role: "user", content: `${n} ${text}`, timestamp: "2026-03-18T10:00:00.000Z", id: `m${n}` }),
  );
  putFile(dir, `${uuid}.jsonl`, `${headerLine(alice, uuid)}\n${messages.join("\n")}\n`);
  return { dir, uuid, lines };
}

test("G24 the last few entries of a long transcript are read from its end", async () => {
  const { dir, uuid, lines } = longTranscript(10_000);
  const storage = openJsonl(dir);
  await storage.read(alice);
  expect(bytesRead).toBeGreaterThan(5_000_000);
  bytesRead = 0;
  const ids = (await collect(storage.entries(uuid, { last: 3 }))).map(({ id }) => id);
  expect(ids).toEqual([`m${lines - 3}`, `m${lines - 2}`, `m${lines - 1}`]);
  expect(bytesRead).toBeLessThan(300_000);
});

test("G24 a window that began near the end of a long transcript is read from there", async () => {
  const { dir, uuid } = longTranscript(1000);
  const storage = openJsonl(dir);
  const b = builders();
  await append(storage, alice, b.clear());
  await append(storage, alice, b.user("after"));
  bytesRead = 0;
  expect(contents(await collect(storage.entries(uuid, { fromWindow: true })))).toEqual(["after"]);
  expect(bytesRead).toBeLessThan(2000);
});

test("G24 an append to a long transcript, and the read after it, read no more than they need", async () => {
  const { dir } = longTranscript(1000);
  const storage = openJsonl(dir);
  await storage.read(alice);
  bytesRead = 0;
  expect(await append(storage, alice, builders().user("new"))).toMatchObject({ messageCount: 1001 });
  expect(await storage.read(alice)).toMatchObject({ messageCount: 1001 });
  expect(bytesRead).toBeLessThan(2000);
});

test("G24 a second storage on an indexed store reads no transcript to list it", async () => {
  const { dir } = longTranscript(1000);
  const first = openJsonl(dir);
  for (let n = 0; n < 50; n += 1) await say(first, dm(`p${n}`), 2);
  await first.close();
  const opened = opens();
  const storage = openJsonl(dir);
  expect(await collect(storage.list({ limit: 10 }))).toHaveLength(10);
  expect(opened()).toContain("sessions.json");
  expect(opened().filter(isTranscript)).toEqual([]);
  // What it does open is seen.
  await storage.read(dm("p7"));
  expect(opened().filter(isTranscript)).toHaveLength(1);
});

test("S8 a line longer than a block, and lines that end where a block does, are read whole from either end", async () => {
  const storage = openJsonl(tempDir());
  const b = builders();
  const empty = JSON.stringify(b.user("", { id: randomUUID() })).length + 1;
  const sizes = [1, 65_535, 65_536, 65_537, 200_000, 131_072 - 1, 10].map((size) => Math.max(0, size - empty));
  const entries = sizes.map((size, n) => b.user(`${n}${"y".repeat(size)}`, { id: randomUUID() }));
  let uuid = "";
  for (const entry of entries) ({ uuid } = await append(storage, alice, entry));
  expect(await collect(storage.entries(uuid))).toEqual(entries);
  for (let last = 0; last <= entries.length; last += 1)
    expect(await collect(storage.entries(uuid, { last }))).toEqual(entries.slice(entries.length - last));
});
