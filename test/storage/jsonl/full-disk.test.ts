import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { builders } from "../../../src/testing.js";
import { append, collect, contents, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { hasFileSizeLimit, storageInChild } from "./child.js";
import type { Step } from "./child-program.js";
import { collectReports, fileNames, indexPath } from "./store-files.js";

const alice = dm("alice");
const inChild = storageInChild();

// A limit on the size of files stands for a full disk: a write beyond it is cut short, and the next one fails.
describe.runIf(hasFileSizeLimit)("a disk that takes no more", () => {
  test.each([
    ["one long line", ["z".repeat(20_000)]],
    ["several lines", ["z".repeat(1000), "z".repeat(3000), "z".repeat(9000)]],
  ])(
    "an update of %s that does not fit rejects, earlier ones are whole, and one that fits is taken",
    async (_, texts) => {
      const dir = tempDir();
      const small = (n: number): Step => ({ do: "append", peer: "alice", texts: [`${n} ${"x".repeat(990)}`] });
      const count: Step = { do: "count", peer: "alice" };
      const big: Step = { do: "append", peer: "alice", texts };
      const { results } = await inChild(
        { dir, steps: [small(1), small(2), small(3), big, count, small(4), big, count, { do: "close" }] },
        { fileSizeLimitKiB: 8 },
      );
      const refused = { code: "STORAGE", name: "StorageError" };
      const [, , third, first, afterFirst, fourth, second, afterSecond] = results;
      expect(third).toEqual({ value: 3 });
      expect(first).toMatchObject(refused);
      expect(afterFirst).toEqual({ value: 3 });
      expect(fourth).toEqual({ value: 4 });
      expect(second).toMatchObject(refused);
      expect(afterSecond).toEqual({ value: 4 });
      const { reports, onReport } = collectReports();
      const storage = openJsonl(dir, { onReport });
      // The disk has space again.
      const record = await append(storage, alice, ...texts.map((text) => builders().user(text)));
      expect(record.messageCount).toBe(4 + texts.length);
      const found = contents(await collect(storage.entries(record.uuid))).map((content) => String(content).slice(0, 1));
      expect(found.join("")).toBe(`1234${"z".repeat(texts.length)}`);
      expect(reports).toEqual([]);
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
