import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { SessionRecord } from "../../../src/index.js";
import { collect, contents, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { hasFileSizeLimit, storageInChild } from "./child.js";
import type { Step } from "./child-program.js";
import { collectReports, fileNames, indexPath, sessionsDir } from "./store-files.js";

const alice = dm("alice");
const inChild = storageInChild();

/** What stands in the only transcript of alice's. */
function transcriptBytes(dir: string): Buffer {
  const isAlices = (bytes: Buffer) => bytes.includes(`"key":"${alice}"`);
  const transcripts = fileNames(dir).filter((name) => name.endsWith(".jsonl"));
  return transcripts.map((name) => readFileSync(join(sessionsDir(dir), name))).find(isAlices) as Buffer;
}

// A limit on the size of files stands for a full disk: a write beyond it is cut short, and the next one fails.
describe.runIf(hasFileSizeLimit)("a disk that takes no more", () => {
  test.each([
    ["one long line", ["z".repeat(20_000)]],
    ["several lines", ["z".repeat(1000), "z".repeat(3000), "z".repeat(9000)]],
  ])(
    "an update of %s that does not fit rejects, earlier ones are whole, and the session goes on when there is room again",
    async (_, texts) => {
      const dir = tempDir();
      const small = (n: number): Step => ({ do: "append", peer: "alice", texts: [`${n} ${"x".repeat(990)}`] });
      const count: Step = { do: "count", peer: "alice" };
      const big: Step = { do: "append", peer: "alice", texts };
      const other: Step = { do: "append", peer: "bob", texts: ["hello"] };
      const full = await inChild(
        { dir, steps: [small(1), small(2), small(3), big, count, big, small(4), count, other, { do: "close" }] },
        { fileSizeLimitKiB: 8 },
      );
      const refused = { code: "STORAGE", name: "StorageError" };
      const [, , third, first, afterFirst, second, fourth, afterSecond, beside] = full.results;
      expect(third).toEqual({ value: 3 });
      expect(first).toMatchObject(refused);
      expect(afterFirst).toEqual({ value: 3 });
      expect(second).toMatchObject(refused);
      // What was written of the first one that did not fit has taken all the room there was.
      expect(fourth).toMatchObject(refused);
      expect(afterSecond).toEqual({ value: 3 });
      expect(beside).toEqual({ value: 1 });
      const bytes = transcriptBytes(dir);
      // The disk has space again.
      const { results, reports } = await inChild({ dir, steps: [count, small(4), big, count, { do: "close" }] });
      expect(results).toEqual([
        { value: 3 },
        { value: 4 },
        { value: 4 + texts.length },
        { value: 4 + texts.length },
        {},
      ]);
      const now = transcriptBytes(dir);
      expect(now.subarray(0, bytes.length).equals(bytes)).toBe(true);
      expect(reports.filter(({ kind }) => kind === "line-skipped").length).toBeLessThanOrEqual(texts.length);
      for (const rebuilt of [false, true]) {
        if (rebuilt) rmSync(indexPath(dir));
        const collected = collectReports();
        const storage = openJsonl(dir, { ...collected, readOnly: true });
        const { uuid } = (await storage.read(alice)) as SessionRecord;
        const found = contents(await collect(storage.entries(uuid))).map((content) => String(content).slice(0, 1));
        expect(found.join("")).toBe(`1234${"z".repeat(texts.length)}`);
        // Who reads everything meets the torn piece, and the lines of its update that were whole: none counts.
        const skipped = collected.reports.filter(({ kind }) => kind === "line-skipped");
        expect(skipped).toHaveLength(rebuilt ? texts.length : 0);
      }
    },
  );

  test("a session whose first message does not fit is not begun, and another one is", async () => {
    const dir = tempDir();
    const { results } = await inChild(
      {
        dir,
        steps: [
          { do: "append", peer: "alice", texts: ["z".repeat(20_000)] },
          { do: "count", peer: "alice" },
          { do: "append", peer: "alice", texts: ["fits"] },
          { do: "close" },
        ],
      },
      { fileSizeLimitKiB: 8 },
    );
    expect(results).toMatchObject([{ code: "STORAGE" }, { value: 0 }, { value: 1 }, {}]);
    expect(fileNames(dir).filter((name) => name.endsWith(".jsonl"))).toHaveLength(1);
    expect(await openJsonl(dir).read(alice)).toMatchObject({ messageCount: 1 });
  });

  test("G10 an index that does not fit is not put in place of the good one; nothing is lost and nothing left behind", async () => {
    const dir = tempDir();
    const first = openJsonl(dir);
    await say(first, alice, 1);
    await first.close();
    const before = readFileSync(indexPath(dir));
    const steps = Array.from({ length: 30 }, (_, n): Step => ({ do: "append", peer: `p${n}`, texts: ["hello"] }));
    const { results, reports } = await inChild(
      { dir, steps: [...steps, { do: "list" }, { do: "close" }] },
      { fileSizeLimitKiB: 8 },
    );
    expect(results.at(-2)).toEqual({ value: 31 });
    expect(reports).toContainEqual({ kind: "index-not-written" });
    const names = fileNames(dir).filter((name) => name.startsWith("sessions.json"));
    expect(names).toEqual(["sessions.json"]);
    const after = JSON.parse(readFileSync(indexPath(dir), "utf8")) as object;
    expect(Object.keys(after).length).toBeGreaterThanOrEqual(Object.keys(JSON.parse(before.toString())).length);
    expect(await collect(openJsonl(dir).list())).toHaveLength(31);
  });
});
