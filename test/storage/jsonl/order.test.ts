import { readFileSync, rmSync } from "node:fs";
import { expect, test } from "vitest";
import type { TranscriptEntry } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { append, collect, contents, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { collectReports, indexPath, putFile, transcriptPath } from "./store-files.js";

const alice = dm("alice");

/** A line of a transcript with what names it and the one it was decided on. */
interface Framed {
  content?: string;
  _rev?: string;
  _on?: string;
}

/** The lines of a transcript with the messages 1, 2, 3 and 4, each an update of its own. */
async function fourUpdates() {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const { uuid } = await say(storage, alice, 4);
  await storage.close();
  const lines = readFileSync(transcriptPath(dir, uuid), "utf8").trimEnd().split("\n");
  return { dir, uuid, lines };
}

/** What a storage makes of a transcript with these lines, from whatever end it reads it. */
async function readings(dir: string, uuid: string, lines: readonly string[], said: readonly string[]): Promise<void> {
  rmSync(indexPath(dir), { force: true });
  putFile(dir, `${uuid}.jsonl`, `${lines.join("\n")}\n`);
  const { reports, onReport } = collectReports();
  const reader = openJsonl(dir, { readOnly: true, onReport });
  expect(contents(await collect(reader.entries(uuid)))).toEqual(said);
  for (let last = 0; last <= said.length + 1; last += 1)
    expect(contents(await collect(reader.entries(uuid, { last })))).toEqual(last === 0 ? [] : said.slice(-last));
  expect(await reader.read(alice)).toMatchObject({ uuid, messageCount: said.length });
  expect(reports.filter(({ kind }) => kind === "line-skipped")).toEqual([]);
  await reader.close();
}

test("S5 each update names the one it was decided on, and no reader is shown those names", async () => {
  const { dir, uuid, lines } = await fourUpdates();
  const framed = lines.map((line) => JSON.parse(line) as Framed);
  const named = framed.filter((line) => line._rev !== undefined);
  expect(named).toHaveLength(4);
  expect(new Set(named.map((line) => line._rev)).size).toBe(4);
  expect(named.map((line) => line._on)).toEqual([undefined, ...named.slice(0, -1).map((line) => line._rev)]);
  const entries: TranscriptEntry[] = await collect(openJsonl(dir).entries(uuid));
  for (const name of entries.flatMap((entry) => Object.keys(entry))) expect(name).not.toMatch(/^_/);
});

test("S5 of two updates that two processes decided on the same one, the first counts, wherever reading begins", async () => {
  const { dir, uuid, lines } = await fourUpdates();
  const third = lines.at(-2) ?? "";
  const late = third.replace('"content":"3"', '"content":"late"').replace(/"_rev":"[^"]+"/, '"_rev":"other.1"');
  expect(JSON.parse(late)).toMatchObject({ content: "late", _rev: "other.1", _on: JSON.parse(third)._on as string });
  const said = ["1", "2", "3", "4"];
  await readings(dir, uuid, [...lines.slice(0, -1), late, ...lines.slice(-1)], said);
  await readings(dir, uuid, [...lines, late], said);
});

test("S5 an update that someone copied to the end of its file counts once", async () => {
  const { dir, uuid, lines } = await fourUpdates();
  for (const copied of lines.slice(2)) await readings(dir, uuid, [...lines, copied], ["1", "2", "3", "4"]);
});

test("G11 a line put in, copied or moved by hand takes nothing else with it", async () => {
  const { dir, uuid, lines } = await fourUpdates();
  const [header = "", first = "", second = "", third = "", fourth = ""] = lines;
  const byHand = JSON.stringify({ role: "user", content: "by hand", timestamp: "2026-03-18T10:00:09.000Z" });
  await readings(dir, uuid, [header, first, second, byHand, third, fourth], ["1", "2", "by hand", "3", "4"]);
  await readings(dir, uuid, [header, first, second, first, third, fourth], ["1", "2", "3", "4"]);
  await readings(dir, uuid, [header, first, third, second, fourth], ["1", "3", "2", "4"]);
});

test("G4 G11 what is appended after a line was moved by hand is not taken for a late update", async () => {
  for (const torn of [false, true]) {
    const { dir, uuid, lines } = await fourUpdates();
    const [header = "", first = "", second = "", third = "", fourth = ""] = lines;
    rmSync(indexPath(dir));
    const left = [header, first, ...(torn ? [second.slice(0, 20)] : []), third, fourth, second];
    putFile(dir, `${uuid}.jsonl`, `${left.join("\n")}\n`);
    const storage = openJsonl(dir);
    for (const text of ["5", "6"]) await append(storage, alice, builders().user(text, { id: `later${text}` }));
    const said = ["1", "3", "4", "2", "5", "6"];
    expect(contents(await collect(storage.entries(uuid)))).toEqual(said);
    expect(await storage.read(alice)).toMatchObject({ messageCount: said.length });
    await storage.close();
    rmSync(indexPath(dir));
    const again = openJsonl(dir);
    expect(contents(await collect(again.entries(uuid)))).toEqual(said);
    expect(await again.read(alice)).toMatchObject({ messageCount: said.length });
  }
});

test("G11 a copied line counts once, also where the line before it carries stray bytes", async () => {
  for (const [before, behind] of [
    ["\uFEFF", ""],
    ["\0\0\0", ""],
    ["", "\0"],
    ["", "\r"],
  ]) {
    const { dir, uuid, lines } = await fourUpdates();
    const [header = "", first = "", second = "", third = "", fourth = ""] = lines;
    const stray = `${before}${second}${behind}`;
    await readings(dir, uuid, [header, first, stray, third, third, fourth], ["1", "2", "3", "4"]);
  }
});

test("G4 whatever another tool calls its line, what is appended behind it can be read", async () => {
  for (const name of ['a"b', "a\nb", "a\\b", "\u2028", "x".repeat(300), "", "@", '"}']) {
    const { dir, uuid, lines } = await fourUpdates();
    const foreign = JSON.stringify({ role: "user", content: "foreign", _rev: name });
    putFile(dir, `${uuid}.jsonl`, `${[...lines, foreign].join("\n")}\n`);
    const storage = openJsonl(dir);
    for (const text of ["5", "6"]) await append(storage, alice, builders().user(text, { id: `later${text}` }));
    await storage.close();
    const { reports, onReport } = collectReports();
    const again = openJsonl(dir, { onReport });
    expect(contents(await collect(again.entries(uuid)))).toEqual(["1", "2", "3", "4", "foreign", "5", "6"]);
    expect(reports).toEqual([]);
  }
});

test("G11 an update whose predecessor is not there any more counts", async () => {
  const { dir, uuid, lines } = await fourUpdates();
  const without = (line: string) => lines.filter((each) => each !== line);
  await readings(dir, uuid, without(lines.at(-2) ?? ""), ["1", "2", "4"]);
  await readings(dir, uuid, without(lines.at(-3) ?? ""), ["1", "3", "4"]);
});

test("S9 a storage that was open goes on with the one that counts when it meets a void update", async () => {
  const { dir, uuid, lines } = await fourUpdates();
  const storage = openJsonl(dir);
  expect(await storage.read(alice)).toMatchObject({ messageCount: 4 });
  const fourth = lines.at(-1) ?? "";
  const late = fourth.replace('"content":"4"', '"content":"late"').replace(/"_rev":"[^"]+"/, '"_rev":"other.1"');
  putFile(dir, `${uuid}.jsonl`, `${[...lines, late].join("\n")}\n`);
  expect(await storage.read(alice)).toMatchObject({ messageCount: 4 });
  expect(await append(storage, alice, builders().user("5"))).toMatchObject({ messageCount: 5 });
  await storage.close();
  expect(contents(await collect(openJsonl(dir).entries(uuid)))).toEqual(["1", "2", "3", "4", "5"]);
});
