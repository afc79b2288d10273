import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { JsonlStorage, type SessionRecord, type TranscriptEntry } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { append, collect, dm } from "../storage/sessions.js";
import { tempDir } from "../storage/storage-kinds.js";
import { finalOf } from "./history.js";

/** What a storage says of a directory, and that it agrees with itself. */
async function contentOf(
  dir: string,
  readOnly = false,
): Promise<{ record: SessionRecord; entries: TranscriptEntry[] }[]> {
  const storage = new JsonlStorage({ dir, durability: "off", readOnly });
  try {
    const { sessions, faults } = await finalOf(storage);
    expect(faults).toEqual([]);
    return sessions.sort((a, b) => (a.record.key < b.record.key ? -1 : 1));
  } finally {
    await storage.close();
  }
}

const filesOf = (dir: string) => join(dir, "agents/main/sessions");

/** A store with a few sessions whose writer has died: its index is old, and its journal says what has come since. */
async function storeOfADeadWriter(): Promise<{ dir: string; journal: string }> {
  const dir = tempDir();
  const b = builders();
  const first = new JsonlStorage({ dir, durability: "off" });
  await append(first, dm("a"), b.user("one"));
  await append(first, dm("b"), b.user("two"), b.assistant("three"));
  await first.close();
  const second = new JsonlStorage({ dir, durability: "off" });
  await append(second, dm("a"), b.user("four"));
  await append(second, dm("c"), b.user("five"));
  await second.delete(dm("b"));
  await append(second, dm("b"), b.user("six"));
  const copy = tempDir();
  cpSync(dir, copy, { recursive: true });
  await second.close();
  const journals = readdirSync(join(filesOf(copy), "sessions.journal")).filter((name) => /^\d+\.jsonl$/.test(name));
  return { dir: copy, journal: join(filesOf(copy), "sessions.journal", journals.at(-1) ?? "") };
}

test("G10 a journal cut at any byte, or gone, costs no session and no message", async () => {
  const { dir, journal } = await storeOfADeadWriter();
  const files = filesOf(dir);
  const whole = tempDir();
  cpSync(dir, whole, { recursive: true });
  const expected = await contentOf(dir, true);
  expect(expected.map(({ record }) => record.messageCount)).toEqual([2, 1, 1]);
  const bytes = readFileSync(journal);
  for (let length = -1; length <= bytes.length; length += 1) {
    rmSync(files, { recursive: true });
    cpSync(filesOf(whole), files, { recursive: true });
    if (length < 0) rmSync(journal);
    else truncateSync(journal, length);
    expect(await contentOf(dir), `cut at ${length}`).toEqual(expected);
  }
}, 30_000);

test("G10 an index that is gone or cut at any byte, with the journal gone too, costs no session and no message", async () => {
  const { dir } = await storeOfADeadWriter();
  const files = filesOf(dir);
  const expected = await contentOf(dir, true);
  const index = readFileSync(join(files, "sessions.json"));
  for (let length = -1; length < index.length; length += 7) {
    rmSync(join(files, "sessions.journal"), { recursive: true, force: true });
    rmSync(join(files, "sessions.json"), { force: true });
    if (length >= 0) writeFileSync(join(files, "sessions.json"), index.subarray(0, length));
    expect(await contentOf(dir), `cut at ${length}`).toEqual(expected);
  }
}, 30_000);

interface Written {
  text: Buffer;
  uuid: string;
  key: ReturnType<typeof dm>;
  /** Where each update ends, and what there is then. */
  updates: { end: number; ids: string[]; record: SessionRecord }[];
}

/** A transcript with updates of every kind. */
async function write(): Promise<Written> {
  const b = builders();
  const dir = tempDir();
  const storage = new JsonlStorage({ dir, durability: "off" });
  const key = dm("cut");
  const updates: Written["updates"] = [];
  const ids: string[] = [];
  let path = "";
  for (const entries of [
    [b.user("é \u2028 first")],
    [b.user("question", { turn: true }), b.state({ extra: { a: 1 } })],
    [b.assistant("answer"), b.turn("e0002"), b.user("")],
    [b.clear(), b.user("after", { messageId: "m1", address: "telegram:default:dm:cut" })],
  ]) {
    const record = await append(storage, key, ...entries);
    ids.push(...entries.map(({ id }) => id));
    path = join(filesOf(dir), `${record.uuid}.jsonl`);
    updates.push({ end: readFileSync(path).length, ids: [...ids], record });
  }
  const { uuid } = updates[0]?.record ?? {};
  await storage.close();
  return { text: readFileSync(path), uuid: uuid ?? "", key, updates };
}

// A line is whole without its newline for whoever reads it, and for whoever appends next.
const isWithin = (end: number, length: number) => end - 1 <= length;

test("G10 G11 S4 a transcript cut at any byte has all updates before the cut, whole, and can be written to", async () => {
  const { text, uuid, key, updates } = await write();
  const cutAt = async (dir: string, length: number) => {
    const files = filesOf(dir);
    rmSync(files, { recursive: true, force: true });
    mkdirSync(files, { recursive: true });
    writeFileSync(join(files, `${uuid}.jsonl`), text.subarray(0, length));
    const before = updates.findLast(({ end }) => isWithin(end, length));
    const storage = new JsonlStorage({ dir, durability: "off" });
    expect(await storage.read(key), `cut at ${length}`).toEqual(before?.record);
    if (before !== undefined) expect(await idsIn(storage, uuid), `cut at ${length}`).toEqual(before.ids);
    const after = await append(storage, key, builders().user("more", { id: "more" }));
    const ids = [...(before?.ids ?? []), "more"];
    expect(await idsIn(storage, after.uuid), `cut at ${length}, written to`).toEqual(ids);
    await storage.close();
    if (length % REOPEN_EVERY > 0) return;
    const again = await contentOf(dir);
    expect(
      again.map(({ entries }) => entries.map(({ id }) => id)),
      `cut at ${length}, opened again`,
    ).toEqual([ids]);
  };
  // Most of the time is spent waiting for the disk.
  await Promise.all(
    Array.from({ length: AT_ONCE }, async (_, first) => {
      const dir = tempDir();
      for (let length = first; length <= text.length; length += AT_ONCE) await cutAt(dir, length);
    }),
  );
}, 60_000);

const AT_ONCE = 8;
const REOPEN_EVERY = 41;

async function idsIn(storage: JsonlStorage, uuid: string): Promise<string[]> {
  return (await collect(storage.entries(uuid))).map(({ id }) => id);
}
