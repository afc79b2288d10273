import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { copyFileSync, rmSync } from "node:fs";
import { expect, test } from "vitest";
import { builders } from "../../../src/testing.js";
import { append, collect, contents, dm, freshRecord, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { collectReports, fileNames, indexPath, putFile, readIndexFile, transcriptPath } from "./store-files.js";
import { listed, storeOf } from "./stores.js";

const alice = dm("alice");
const bob = dm("bob");

/** Two people's sessions, and an index that gives each the other's transcript. */
async function swappedStore() {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const ofAlice = await say(storage, alice, 2, "alice's ");
  const ofBob = await say(storage, bob, 3, "bob's ");
  await storage.close();
  const index = readIndexFile(dir);
  putFile(dir, "sessions.json", JSON.stringify({ [alice]: index[bob], [bob]: index[alice] }));
  return { dir, ofAlice, ofBob };
}

test("G2 G10 an index that gives a person another's transcript is not believed by read", async () => {
  const { dir, ofAlice, ofBob } = await swappedStore();
  const { reports, onReport } = collectReports();
  const storage = openJsonl(dir, { onReport });
  expect(await Promise.all([storage.read(alice), storage.read(bob)])).toEqual([ofAlice, ofBob]);
  expect(await collect(storage.list())).toEqual(expect.arrayContaining([ofAlice, ofBob]));
  expect(reports).toContainEqual(expect.objectContaining({ kind: "index-rebuilt", sessions: 2 }));
  await storage.close();
  expect(await listed(dir)).toEqual([ofAlice, ofBob]);
});

test("G2 G10 an index that gives a person another's transcript is not believed by update", async () => {
  const { dir, ofAlice } = await swappedStore();
  const storage = openJsonl(dir);
  const seen: (string | undefined)[] = [];
  const entry = builders().user("alice's 3");
  await storage.update(alice, (current = freshRecord(alice)) => {
    seen.push(current.uuid);
    return { record: { ...current, messageCount: current.messageCount + 1 }, append: [entry] };
  });
  expect(seen.at(-1)).toBe(ofAlice.uuid);
  expect(contents(await collect(storage.entries(ofAlice.uuid)))).toEqual(["alice's 1", "alice's 2", "alice's 3"]);
});

test("G2 G10 an index that gives a person another's transcript is not believed by entries or delete", async () => {
  const { dir, ofAlice, ofBob } = await swappedStore();
  const storage = openJsonl(dir);
  expect(contents(await collect(storage.entries(ofAlice.uuid)))).toEqual(["alice's 1", "alice's 2"]);
  const other = await swappedStore();
  const deleting = openJsonl(other.dir);
  await deleting.delete(alice);
  expect(await deleting.read(bob)).toEqual(other.ofBob);
  expect(contents(await collect(deleting.entries(other.ofBob.uuid)))).toHaveLength(3);
  expect(ofBob.messageCount).toBe(3);
});

test("G2 G10 an index that gives a person a copy of another's transcript is not believed", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const ofAlice = await say(storage, alice, 2, "alice's ");
  await storage.close();
  const copy = randomUUID();
  copyFileSync(transcriptPath(dir, ofAlice.uuid), transcriptPath(dir, copy));
  const index = readIndexFile(dir);
  putFile(dir, "sessions.json", JSON.stringify({ ...index, [bob]: { ...index[alice], uuid: copy } }));
  const again = openJsonl(dir);
  expect(await again.read(bob)).toBeUndefined();
  expect(await collect(again.entries(copy))).toEqual([]);
  expect((await append(again, bob, builders().user("bob's 1"))).messageCount).toBe(1);
  expect(await again.read(alice)).toEqual(ofAlice);
});

test("G10 sessions go on, none lost and none doubled, while an index caught in an untruth is rebuilt", async () => {
  for (let round = 0; round < 10; round += 1) {
    const { dir } = await storeOf(40);
    const index = readIndexFile(dir);
    putFile(
      dir,
      "sessions.json",
      JSON.stringify({ ...index, [dm("p0")]: index[dm("p1")], [dm("p1")]: index[dm("p0")] }),
    );
    const storage = openJsonl(dir);
    await collect(storage.list());
    const b = builders();
    const ids = Array.from({ length: 40 }, (_, n) => n);
    await Promise.all([
      storage.read(dm("p0")),
      storage.read(dm("p1")),
      ...ids.slice(2).map(async (n) => {
        if (n % 5 === 3) await storage.delete(dm(`p${n}`));
        if (n % 10 === 3) return;
        for (let step = 0; step < 1 + (n % 4); step += 1) {
          const record = await append(storage, dm(`p${n}`), b.user("meanwhile"));
          if (n % 10 !== 8) expect(record.uuid).toBe(index[record.key]?.uuid);
        }
      }),
      ...ids.map((n) => append(storage, dm(`new${n}`), b.user("new"))),
    ]);
    const records = (await collect(storage.list())).sort((x, y) => (x.key < y.key ? -1 : 1));
    expect(records).toHaveLength(76);
    for (const record of records) expect(await storage.read(record.key)).toEqual(record);
    await storage.close();
    expect(fileNames(dir).filter((name) => name.endsWith(".jsonl"))).toHaveLength(76);
    expect(await listed(dir, { readOnly: true })).toEqual(records);
    rmSync(dir, { recursive: true });
  }
});

test("G10 one transcript under two keys is its header's, and the other key begins anew", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const ofAlice = await say(storage, alice, 2, "alice's ");
  await storage.close();
  const index = readIndexFile(dir);
  putFile(dir, "sessions.json", JSON.stringify({ ...index, [bob]: index[alice] }));
  const again = openJsonl(dir);
  expect(await collect(again.list())).toEqual([ofAlice]);
  expect(await again.read(alice)).toEqual(ofAlice);
  expect(await again.read(bob)).toBeUndefined();
});

test("G10 a window that would begin behind the end of its transcript is not believed", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const { uuid } = await say(storage, alice, 2, "alice's ");
  await storage.close();
  const index = readIndexFile(dir);
  putFile(dir, "sessions.json", JSON.stringify({ [alice]: { ...index[alice], windowStart: 1e9 } }));
  expect(contents(await collect(openJsonl(dir).entries(uuid, { fromWindow: true })))).toEqual([
    "alice's 1",
    "alice's 2",
  ]);
});

test("a transcript that the index knows and the disk does not is reported", async () => {
  const dir = tempDir();
  const host = collectReports();
  const storage = openJsonl(dir, host);
  const ofAlice = await say(storage, alice, 1, "alice's ");
  const ofBob = await say(storage, bob, 1, "bob's ");
  rmSync(transcriptPath(dir, ofAlice.uuid));
  expect(await storage.read(alice)).toBeUndefined();
  expect(host.reports).toEqual([{ kind: "transcript-missing", uuid: ofAlice.uuid }]);
  await storage.close();
  rmSync(transcriptPath(dir, ofBob.uuid));
  const later = collectReports();
  expect(await collect(openJsonl(dir, later).list())).toEqual([]);
  expect(later.reports).toContainEqual({ kind: "transcript-missing", uuid: ofBob.uuid });
});

test("G10 a pipe in the place of the index neither hangs nor is lost, and the index is made again", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const ofAlice = await say(storage, alice, 2, "alice's ");
  await storage.close();
  rmSync(indexPath(dir));
  execFileSync("mkfifo", [indexPath(dir)]);
  const again = openJsonl(dir);
  expect(await collect(again.list())).toEqual([ofAlice]);
  await again.close();
  expect(Object.keys(readIndexFile(dir))).toEqual([alice]);
  expect(fileNames(dir).filter((name) => name.startsWith("sessions.json.corrupt-"))).toHaveLength(1);
});

test("G2 G10 a plain transcript under two keys is shown to neither person", async () => {
  const dir = tempDir();
  const uuid = randomUUID();
  const { created } = freshRecord(alice);
  const facts = { uuid, created, lastActive: created, messageCount: 1 };
  putFile(dir, `${uuid}.jsonl`, `${JSON.stringify({ role: "user", content: "secret", timestamp: created })}\n`);
  putFile(dir, "sessions.json", JSON.stringify({ [alice]: facts, [bob]: facts }));
  const { reports, onReport } = collectReports();
  const storage = openJsonl(dir, { onReport });
  expect(await Promise.all([storage.read(alice), storage.read(bob)])).toEqual([undefined, undefined]);
  expect(reports).toEqual(
    expect.arrayContaining([
      { kind: "index-entries-refused", count: 2 },
      { kind: "transcript-unclaimed", uuid },
    ]),
  );
});
