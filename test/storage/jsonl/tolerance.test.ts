import { randomUUID } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import { expect, onTestFinished, test, vi } from "vitest";
import type { StorageReport, TranscriptEntry } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { append, collect, contents, dm, freshRecord } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { collectReports, headerLine, putFile, transcriptPath } from "./store-files.js";

const alice = dm("alice");

/** A store with one transcript as given, of which nothing but the file is known. */
function storeWith(lines: (string | Buffer)[], end = "\n") {
  const dir = tempDir();
  const uuid = randomUUID();
  const parts = [Buffer.from(headerLine(alice, uuid)), ...lines.map((line) => Buffer.from(line))];
  const bytes = Buffer.concat(parts.flatMap((part, n) => (n === 0 ? [part] : [Buffer.from("\n"), part])));
  putFile(dir, `${uuid}.jsonl`, Buffer.concat([bytes, Buffer.from(end)]));
  const { reports, onReport } = collectReports();
  const storage = openJsonl(dir, { onReport });
  const skipped = () =>
    reports.filter((report): report is StorageReport & { kind: "line-skipped" } => report.kind === "line-skipped");
  return { dir, uuid, storage, skipped, path: transcriptPath(dir, uuid) };
}

function line(content: string, more: object = {}): string {
  return JSON.stringify({ role: "user", content, timestamp: "2026-03-18T10:00:00.000Z", id: `id-${content}`, ...more });
}

test.each<[string, (string | Buffer)[], string[], number[]]>([
  ["CR LF line ends", [`${line("1")}\r`, `${line("2")}\r`, `${line("3")}\r`], ["1", "2", "3"], []],
  ["blank lines", ["", line("1"), "", "\r", line("2"), ""], ["1", "2"], []],
  ["spaces and tabs around a line", [`  ${line("1")}\t `, line("2")], ["1", "2"], []],
  ["a byte order mark within the file", [`\ufeff${line("1")}`, line("2")], ["1", "2"], []],
  ["NULs before a line", [`${"\0".repeat(4096)}${line("1")}`, line("2")], ["1", "2"], []],
  ["NULs after a line", [`${line("1")}${"\0".repeat(4096)}`, line("2")], ["1", "2"], []],
  [
    "a million NULs within a line",
    [line("1"), `{"role"${"\0".repeat(1_000_000)}${line("x")}`, line("2")],
    ["1", "2"],
    [3],
  ],
  ["a line of NULs", [line("1"), "\0".repeat(5000), line("2")], ["1", "2"], [3]],
  ["a torn line in the middle", [line("1"), line("2").slice(0, 40), line("3")], ["1", "3"], [3]],
  ["several bad lines", ["x", line("1"), "{", "}{", line("2"), "nul"], ["1", "2"], [2, 4, 5, 7]],
  ["JSON that is no entry", ["5", '"text"', "null", "[]", "{}", "true", line("1")], ["1"], [2, 3, 4, 5, 6, 7]],
  [
    "a message without words or with a wrong role",
    ['{"role":"user"}', line("x", { role: 7 }), line("1")],
    ["1"],
    [2, 3],
  ],
  ["a line twice", [line("1"), line("1"), line("2")], ["1", "1", "2"], []],
  [
    "a record of another session",
    [line("1"), JSON.stringify({ type: "record", record: freshRecord(dm("eve")) })],
    ["1"],
    [],
  ],
  [
    "a record that is none",
    [line("1"), '{"type":"record","record":5}', '{"type":"record"}', line("2")],
    ["1", "2"],
    [3, 4],
  ],
  ["a header in the middle", [line("1"), headerLine(dm("eve"), randomUUID()), line("2")], ["1", "2"], []],
  ["a header that is none", [line("1"), '{"type":"session"}', line("2")], ["1", "2"], [3]],
])("G11 %s: the other lines are read, each bad one is reported with its number", async (_, lines, expected, bad) => {
  const { uuid, storage, skipped, path } = storeWith(lines);
  const before = readFileSync(path);
  const record = await storage.read(alice);
  expect(record).toMatchObject({ key: alice, uuid, messageCount: expected.length });
  expect(contents(await collect(storage.entries(uuid)))).toEqual(expected);
  expect(contents(await collect(storage.entries(uuid, { last: 2 })))).toEqual(expected.slice(-2));
  expect(skipped().map((report) => report.line)).toEqual(bad);
  for (const report of skipped()) {
    expect(report.uuid).toBe(uuid);
    expect(before.subarray(0, report.offset).toString().split("\n")).toHaveLength(report.line);
  }
  await append(storage, alice, builders().user("new"));
  expect(contents(await collect(storage.entries(uuid)))).toEqual([...expected, "new"]);
  expect(readFileSync(path).subarray(0, before.length).equals(before)).toBe(true);
});

test("G11 a byte order mark before the header", async () => {
  const dir = tempDir();
  const uuid = randomUUID();
  putFile(dir, `${uuid}.jsonl`, `\ufeff${headerLine(alice, uuid)}\r\n${line("1")}\r\n`);
  expect(await openJsonl(dir).read(alice)).toMatchObject({ uuid, messageCount: 1 });
});

test("G11 lines that cannot be read before the header do not hide whose session it is", async () => {
  const dir = tempDir();
  const uuid = randomUUID();
  putFile(dir, `${uuid}.jsonl`, `\0\0\0\ngarbage\n${headerLine(alice, uuid)}\n${line("1")}\n`);
  const storage = openJsonl(dir);
  expect(await storage.read(alice)).toMatchObject({ uuid, messageCount: 1 });
  await append(storage, alice, builders().user("2"));
  expect(contents(await collect(openJsonl(dir).entries(uuid)))).toEqual(["1", "2"]);
});

test("G11 U+2028, U+2029 and U+0085 unescaped inside a message end no line", async () => {
  const { uuid, storage, skipped } = storeWith([line("a\u2028b\u2029c\u0085d"), line("2")]);
  expect(contents(await collect(storage.entries(uuid)))).toEqual(["a\u2028b\u2029c\u0085d", "2"]);
  expect(skipped()).toEqual([]);
});

test("G11 bytes that are no UTF-8 read as replacement characters and stay in the file as they are", async () => {
  const bytes = Buffer.from(line("broken X here"));
  bytes[bytes.indexOf("X")] = 0xff;
  const { uuid, storage, path } = storeWith([bytes, line("2")]);
  const before = readFileSync(path);
  expect(contents(await collect(storage.entries(uuid)))).toEqual(["broken \ufffd here", "2"]);
  await append(storage, alice, builders().user("3"));
  expect(readFileSync(path).subarray(0, before.length).equals(before)).toBe(true);
});

test("G11 a last line without its newline, as other tools leave it, is read, and stays when another is appended", async () => {
  const { uuid, storage, skipped, dir } = storeWith([line("1"), line("2")], "");
  expect(await storage.read(alice)).toMatchObject({ messageCount: 2 });
  expect(contents(await collect(storage.entries(uuid)))).toEqual(["1", "2"]);
  expect(contents(await collect(storage.entries(uuid, { last: 1 })))).toEqual(["2"]);
  expect(await append(storage, alice, builders().user("3"))).toMatchObject({ messageCount: 3 });
  expect(contents(await collect(openJsonl(dir).entries(uuid)))).toEqual(["1", "2", "3"]);
  expect(skipped()).toEqual([]);
});

test("G11 a last line that is still being written is neither read nor reported, and counts once it is whole", async () => {
  const { uuid, storage, skipped, path } = storeWith([line("1")]);
  expect(await storage.read(alice)).toMatchObject({ messageCount: 1 });
  const written = line("2");
  appendFileSync(path, written.slice(0, 30));
  expect(await storage.read(alice)).toMatchObject({ messageCount: 1 });
  expect(contents(await collect(storage.entries(uuid)))).toEqual(["1"]);
  appendFileSync(path, `${written.slice(30)}\n`);
  expect(await storage.read(alice)).toMatchObject({ messageCount: 2 });
  expect(contents(await collect(storage.entries(uuid)))).toEqual(["1", "2"]);
  expect(skipped()).toEqual([]);
});

test("G11 a bad line that appears while the storage is open is reported with its number in the file", async () => {
  const { storage, skipped, path, uuid } = storeWith([line("1"), line("2")]);
  await storage.read(alice);
  appendFileSync(path, `${line("3")}\ngarbage\n${line("4")}\n`);
  expect(await storage.read(alice)).toMatchObject({ messageCount: 4 });
  expect(skipped()).toMatchObject([{ uuid, line: 5 }]);
  await storage.read(alice);
  expect(skipped()).toHaveLength(1);
});

test("G11 a line gone bad before the last of its update costs the update no other line", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const b = builders();
  const { uuid } = await append(storage, alice, b.user("1"), b.user("2"), b.user("3"));
  await append(storage, alice, b.user("4"), b.user("5"), b.user("6"));
  await storage.close();
  const lines = readFileSync(transcriptPath(dir, uuid), "utf8").split("\n");
  for (const [spoilt, expected] of [
    [2, ["1", "3", "4", "5", "6"]],
    [4, ["1", "2", "3", "5", "6"]],
    [5, ["1", "2", "3", "4", "6"]],
  ] as const) {
    const spoil = (text: string, n: number) => (n === spoilt ? `#${text.slice(1)}` : text);
    putFile(dir, `${uuid}.jsonl`, lines.map(spoil).join("\n"));
    const { reports, onReport } = collectReports();
    const reader = openJsonl(dir, { readOnly: true, onReport });
    // The index covers the file and knows no better; what is read anew is reported.
    putFile(dir, "sessions.json", "");
    expect(contents(await collect(reader.entries(uuid)))).toEqual(expected);
    expect(await reader.read(alice)).toMatchObject({ messageCount: 5 });
    expect(reports).toContainEqual(expect.objectContaining({ kind: "line-skipped", line: spoilt + 1 }));
  }
});

test("unknown types, unknown fields and lines without id or time are kept and passed over", async () => {
  const unknown = {
    type: "custom:thing",
    id: "u1",
    timestamp: "2026-03-18T10:00:00.000Z",
    nested: { deep: [1, null] },
  };
  const odd = line("1", { mood: "odd", sender: { id: "7", verified: true } });
  const { uuid, storage, skipped } = storeWith([
    JSON.stringify(unknown),
    odd,
    '{"type":"note"}',
    '{"role":"user","content":"plain"}',
  ]);
  const entries = await collect(storage.entries(uuid));
  expect(entries).toMatchObject([unknown, JSON.parse(odd), { type: "note" }, { role: "user", content: "plain" }]);
  expect(new Set(entries.map(({ id }) => id)).size).toBe(4);
  expect(await collect(storage.entries(uuid))).toEqual(entries);
  expect(await collect(storage.entries(uuid, { after: (entries[2] as TranscriptEntry).id }))).toEqual(entries.slice(3));
  expect(await storage.read(alice)).toMatchObject({ messageCount: 2 });
  expect(skipped()).toEqual([]);
});

test.each([
  ["an array", "[".repeat(100_000) + "]".repeat(100_000)],
  ["an object", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`],
])("G11 %s nested a hundred thousand deep in a line of the file costs at most that line", async (_, deep) => {
  const start = '"timestamp":"2026-03-18T10:00:00.000Z","id":"deep"';
  const { uuid, storage } = storeWith([
    line("1"),
    `{"role":"user","content":"deep",${start},"providerData":${deep}}`,
    `{"type":"state",${start},"patch":{"extra":{"deep":${deep}}}}`,
    `{"type":"other",${start},"value":${deep}}`,
    deep,
    line("2"),
  ]);
  const found = contents(await collect(storage.entries(uuid)));
  expect(found.filter((content) => content !== "deep")).toEqual(["1", "2"]);
  await append(storage, alice, builders().user("3"));
  expect(contents(await collect(storage.entries(uuid, { last: 1 })))).toEqual(["3"]);
});

test("a report that throws disturbs nobody", async () => {
  const dir = tempDir();
  const uuid = randomUUID();
  putFile(dir, `${uuid}.jsonl`, `${headerLine(alice, uuid)}\nbad\n${line("1")}\n`);
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  onTestFinished(() => warn.mockRestore());
  const storage = openJsonl(dir, {
    onReport: () => {
      throw new Error("the host's own");
    },
  });
  expect(await storage.read(alice)).toMatchObject({ messageCount: 1 });
  await append(storage, alice, builders().user("2"));
  await storage.close();
  expect(warn).toHaveBeenCalledWith(expect.objectContaining({ message: "the host's own" }));
  expect(await openJsonl(dir).read(alice)).toMatchObject({ messageCount: 2 });
});
