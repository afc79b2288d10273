import { randomUUID } from "node:crypto";
import { copyFileSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { SessionRecord } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { append, collect, contents, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import {
  collectReports,
  fileNames,
  indexPath,
  putFile,
  readIndexFile,
  sessionsDir,
  transcriptPath,
} from "./store-files.js";
import { listed, storeOf } from "./stores.js";

test("G10 an index of a hundred sessions, cut or replaced by anything, is set aside whole, and the list is the same", async () => {
  const { dir, records, index } = await storeOf(100);
  expect(records).toHaveLength(100);
  const broken: Buffer[] = [
    "",
    "{",
    "[]",
    "null",
    "5",
    '"x"',
    "garbage",
    "\0".repeat(index.length),
    "// {}",
    "{} {}",
  ].map((text) => Buffer.from(text));
  for (let k = 1; k < index.length - 2; k += 1201) broken.push(index.subarray(0, k));
  broken.push(index.subarray(0, index.length - 2));
  for (const content of broken) {
    writeFileSync(indexPath(dir), content);
    const { reports, onReport } = collectReports();
    expect(await listed(dir, { onReport })).toEqual(records);
    const aside = fileNames(dir).filter((name) => name.startsWith("sessions.json.corrupt-"));
    expect(aside).toHaveLength(1);
    const path = join(sessionsDir(dir), aside[0] ?? "");
    expect(readFileSync(path).equals(content)).toBe(true);
    expect(reports).toEqual([{ kind: "index-rebuilt", setAside: path, sessions: 100 }]);
    expect(Object.keys(readIndexFile(dir))).toHaveLength(100);
    unlinkSync(path);
  }
});

test("G10 an index cut at every seventh byte costs no session anything, also where it cannot be set aside", async () => {
  const { dir, records, index } = await storeOf(3);
  for (let k = 0; k < index.length; k += 7) {
    writeFileSync(indexPath(dir), index.subarray(0, k));
    expect(await listed(dir, { readOnly: true })).toEqual(records);
    expect(readFileSync(indexPath(dir)).equals(index.subarray(0, k))).toBe(true);
  }
});

test("G10 a rebuilt index is the one there was", async () => {
  const { dir, index } = await storeOf(10);
  unlinkSync(indexPath(dir));
  const { reports, onReport } = collectReports();
  const storage = openJsonl(dir, { onReport });
  expect(await collect(storage.list())).toHaveLength(10);
  await storage.close();
  expect(reports).toEqual([{ kind: "index-rebuilt", setAside: undefined, sessions: 10 }]);
  expect(readIndexFile(dir)).toEqual(JSON.parse(index.toString()));
});

test("G10 the index is one object for any reader of JSON, and has a line for each session", async () => {
  const { records, index } = await storeOf(10);
  const lines = index.toString().split("\n");
  expect(lines).toHaveLength(records.length + 3);
  expect([lines[0], ...lines.slice(-2)]).toEqual(["{", "}", ""]);
  const keys = lines.slice(1, -2).map((line) => Object.keys(JSON.parse(`{${line.replace(/,$/, "")}}`) as object));
  expect(keys.flat().sort()).toEqual(records.map(({ key }) => key).sort());
  expect(Object.keys(JSON.parse(index.toString()) as object)).toHaveLength(10);
});

test("G10 an older index is caught up from the transcripts", async () => {
  const { dir, index } = await storeOf(10);
  const b = builders();
  const storage = openJsonl(dir);
  await append(storage, dm("p1"), b.user("later"), b.state({ modelOverride: "later" }));
  await append(storage, dm("p2"), b.clear());
  await storage.delete(dm("p3"));
  await append(storage, dm("new"), b.user("new"));
  await storage.delete(dm("p4"));
  await append(storage, dm("p4"), b.user("begun anew"));
  const records = (await collect(storage.list())).sort((x, y) => (x.key < y.key ? -1 : 1));
  await storage.close();
  // As if the process had died before it wrote the index.
  writeFileSync(indexPath(dir), index);
  const { reports, onReport } = collectReports();
  expect(await listed(dir, { onReport, readOnly: true })).toEqual(records);
  const again = openJsonl(dir);
  for (const record of records) expect(await again.read(record.key)).toEqual(record);
  expect(contents(await collect(again.entries((await again.read(dm("p4")))?.uuid ?? "")))).toEqual(["begun anew"]);
  // What was deleted since cannot be told from what someone took away.
  expect(reports.map(({ kind }) => kind)).toEqual(["transcript-missing", "transcript-missing"]);
});

test("G10 an entry that lacks facts, or has them in a wrong form, is filled from its transcript", async () => {
  const { dir, records } = await storeOf(6);
  const index = readIndexFile(dir);
  const [first, second, third, fourth, fifth] = Object.values(index);
  Object.assign(first ?? {}, { messageCount: "many" });
  Object.assign(second ?? {}, { bytes: -1 });
  Object.assign(third ?? {}, { state: null });
  Object.assign(fourth ?? {}, { recentMessages: {}, lastActive: 5 });
  for (const name of Object.keys(fifth ?? {})) if (name !== "uuid") delete fifth?.[name];
  putFile(dir, "sessions.json", JSON.stringify(index));
  expect(await listed(dir)).toEqual(records);
});

test("G10 G27 index entries that name no transcript of ours are refused and reported, and build no path", async () => {
  const { dir, records } = await storeOf(2);
  const index = readIndexFile(dir);
  const victim = join(dir, "victim.jsonl");
  writeFileSync(victim, '{"role":"user","content":"secret","timestamp":""}\n');
  const [entry = {}] = Object.values(index);
  const hostile = {
    [dm("e1")]: { ...entry, uuid: "../../etc/passwd" },
    [dm("e2")]: { ...entry, uuid: "../../../victim" },
    [dm("e3")]: { ...entry, uuid: join(dir, "victim") },
    [dm("e4")]: { ...entry, uuid: "" },
    [dm("e5")]: { ...entry, uuid: "F8282125-D96C-45A0-84CB-EB5FB6843D0A" },
    [dm("e6")]: { ...entry, uuid: `${randomUUID()}\n` },
    [dm("e7")]: "text",
    [dm("e8")]: null,
    "no key": entry,
    [dm("e9", "coder")]: entry,
  };
  putFile(dir, "sessions.json", JSON.stringify({ ...index, ...hostile, ["__proto__"]: entry }));
  const { reports, onReport } = collectReports();
  const storage = openJsonl(dir, { onReport });
  expect(await collect(storage.list())).toHaveLength(2);
  expect(reports).toEqual([{ kind: "index-entries-refused", count: Object.keys(hostile).length + 1 }]);
  for (const key of Object.keys(hostile).filter((name) => name.startsWith("agent:main:")))
    expect(await storage.read(key as SessionRecord["key"])).toBeUndefined();
  for (const uuid of ["../../etc/passwd", "../../../victim", join(dir, "victim")])
    expect(await collect(storage.entries(uuid))).toEqual([]);
  await append(storage, dm("e2"), builders().user("ordinary"));
  await storage.close();
  expect(readFileSync(victim, "utf8")).toContain("secret");
  expect((await listed(dir)).map(({ key }) => key)).toEqual([dm("e2"), ...records.map(({ key }) => key)]);
});

test("G10 a transcript that is shorter than the index says, as after a restore, counts as it is", async () => {
  const { dir, records } = await storeOf(2);
  const [record] = records;
  const path = transcriptPath(dir, record?.uuid ?? "");
  const lines = readFileSync(path, "utf8").split("\n");
  expect(record?.messageCount).toBe(0);
  writeFileSync(path, `${lines.slice(0, 2).join("\n")}\n`);
  expect(await listed(dir)).toMatchObject([{ uuid: record?.uuid, messageCount: 1 }, { messageCount: 1 }]);
});

test("G10 an index entry whose transcript is gone is forgotten", async () => {
  const { dir, records } = await storeOf(3);
  unlinkSync(transcriptPath(dir, records[1]?.uuid ?? ""));
  expect(await listed(dir)).toEqual([records[0], records[2]]);
  expect(Object.keys(readIndexFile(dir))).toHaveLength(3);
  const storage = openJsonl(dir);
  expect(await storage.read(dm("p1"))).toBeUndefined();
  expect((await append(storage, dm("p1"), builders().user("anew"))).messageCount).toBe(1);
});

test("G10 two transcripts of one key: the index's choice stands, the other is reported and left alone", async () => {
  const { dir, records } = await storeOf(1);
  const original = readFileSync(transcriptPath(dir, records[0]?.uuid ?? ""), "utf8");
  const rival = randomUUID();
  putFile(dir, `${rival}.jsonl`, original.replaceAll(records[0]?.uuid ?? "", rival).replaceAll("hello", "rival"));
  const { reports, onReport } = collectReports();
  expect(await listed(dir, { onReport })).toEqual(records);
  expect(reports).toEqual([{ kind: "transcript-unclaimed", uuid: rival }]);
  expect(fileNames(dir)).toContain(`${rival}.jsonl`);
});

test("G10 a transcript copied to another name, or into another agent's directory, is nobody's session", async () => {
  const { dir, records } = await storeOf(1);
  const [record] = records;
  const uuid = record?.uuid ?? "";
  const copy = randomUUID();
  const coder = openJsonl(dir);
  await say(coder, dm("x", "coder"), 1);
  await coder.close();
  copyFileSync(transcriptPath(dir, uuid), transcriptPath(dir, copy));
  copyFileSync(transcriptPath(dir, uuid), transcriptPath(dir, uuid, "coder"));
  const { reports, onReport } = collectReports();
  const storage = openJsonl(dir, { onReport, readOnly: true });
  expect((await collect(storage.list())).map(({ key }) => key).sort()).toEqual([dm("x", "coder"), record?.key].sort());
  expect(reports).toEqual(
    expect.arrayContaining([
      { kind: "transcript-unclaimed", uuid: copy },
      { kind: "transcript-unclaimed", uuid },
    ]),
  );
  expect(await storage.read(dm("p0"))).toEqual(record);
});

test("G10 other files in the directory, and its own leftovers, are left alone", async () => {
  const { dir, records } = await storeOf(2);
  const others = [
    "notes.txt",
    "sessions.json.bak",
    "x.jsonl",
    `${randomUUID()}.jsonl.lock`,
    `${randomUUID()}.jsonl.bak`,
  ];
  for (const name of others) putFile(dir, name, "whatever");
  putFile(dir, "sessions.json", "broken");
  expect(await listed(dir)).toEqual(records);
  expect(readdirSync(sessionsDir(dir))).toEqual(expect.arrayContaining(others));
});

test("a store moved to another place is the same store", async () => {
  const { dir, records } = await storeOf(3);
  const elsewhere = join(tempDir(), "moved");
  renameSync(dir, elsewhere);
  expect(await listed(elsewhere)).toEqual(records);
});
