import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dm } from "../storage/sessions.js";
import { openJsonl, tempDir } from "../storage/storage-kinds.js";
import { children } from "./children.js";
import { faultsOf, finalOf, type Happened } from "./history.js";
import { now } from "./orders.js";

const ROUNDS = 60;
const SOON_MS = 4;

const start = children();

test("S13 S16 a delete among the updates of other processes takes a whole session or none, and nothing said after it", async () => {
  const dir = tempDir();
  const writers = await Promise.all([start(dir), start(dir)]);
  const deleters = await Promise.all([start(dir), start(dir)]);
  const happened: Happened[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const key = dm(`round${round % 10}`);
    const at = now() + SOON_MS;
    const results = await Promise.all([
      ...writers.map((child, n) =>
        child.tell({ do: "append", key, writer: `${n}:${key}`, from: round * 20, count: 20, entries: 2, at }),
      ),
      ...deleters.map((child, n) => child.tell({ do: "delete", key, at: at + 1 + (round % 5) * (n + 1) })),
    ]);
    happened.push(...results.flatMap((result) => result as Happened[]));
  }
  const { sessions, faults } = await finalOf(openJsonl(dir));
  expect([...faults, ...faultsOf(happened, sessions)]).toEqual([]);
  const uuids = new Set(happened.flatMap((one) => (one.kind === "update" ? [one.uuid] : [])));
  expect(uuids.size).toBeGreaterThan(ROUNDS / 2);
  const transcripts = readdirSync(join(dir, "agents/main/sessions")).filter((name) => name.endsWith(".jsonl"));
  expect(transcripts.sort()).toEqual(sessions.map(({ record }) => `${record.uuid}.jsonl`).sort());
});
