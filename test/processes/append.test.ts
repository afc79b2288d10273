import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isMessageEntry } from "../../src/core.js";
import { collect, dm } from "../storage/sessions.js";
import { openJsonl, tempDir } from "../storage/storage-kinds.js";
import { children } from "./children.js";
import { faultsOf, finalOf, type Happened } from "./history.js";

const start = children();
const key = dm("1");

async function appendTogether(durability: "off" | "always") {
  const dir = tempDir();
  const writers = await Promise.all(
    ["a", "b", "c", "d"].map(async (name) => ({ name, child: await start(dir, durability) })),
  );
  const results = await Promise.all(
    writers.map(({ name, child }) =>
      child.tell({ do: "append", key, writer: name, count: 250, entries: name === "d" ? 2 : 1 }),
    ),
  );
  return { dir, happened: results.flatMap((result) => result as Happened[]) };
}

test.each(["off", "always"] as const)(
  "G4 S5 four processes that append to one session at durability %s lose and repeat nothing",
  async (durability) => {
    const { dir, happened } = await appendTogether(durability);
    const { sessions, faults } = await finalOf(openJsonl(dir));
    expect([...faults, ...faultsOf(happened, sessions)]).toEqual([]);
    expect(sessions.map(({ record, entries }) => [record.messageCount, entries.length])).toEqual([[1250, 1250]]);
    const text = readFileSync(join(dir, "agents/main/sessions", `${sessions[0]?.record.uuid}.jsonl`), "utf8");
    expect(text.endsWith("\n")).toBe(true);
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
    // What two decided at once is there twice, and counts once. It must stay rare.
    expect(lines.length - 1 - 1250).toBeLessThan(1250 / 4);
  },
);

test("G4 two processes that append 500 lines each to one session through a manager leave 1000 valid lines", async () => {
  const dir = tempDir();
  const [one, two] = await Promise.all([start(dir), start(dir)]);
  await Promise.all(
    [one, two].map((child, n) => child.tell({ do: "session-append", key, writer: String(n), count: 500 })),
  );
  const storage = openJsonl(dir);
  const record = await storage.read(key);
  const messages = (await collect(storage.entries(record?.uuid ?? ""))).filter(isMessageEntry);
  for (const writer of ["0", "1"]) {
    const said = messages.map(({ content }) => String(content)).filter((text) => text.startsWith(writer));
    expect(said).toEqual(Array.from({ length: 500 }, (_, n) => `${writer} ${n}`));
  }
  expect(record?.messageCount).toBe(1000);
});
