import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { dm } from "../storage/sessions.js";
import { openJsonl, tempDir } from "../storage/storage-kinds.js";
import { children } from "./children.js";
import { type Acked, faultsOf, finalOf } from "./history.js";
import { now } from "./orders.js";

const ROUNDS = 100;
const SOON_MS = 4;

const start = children();

test("S5 S13 two processes that begin one key in the same instant agree on one transcript, which has what both said", async () => {
  const dir = tempDir();
  const both = await Promise.all([start(dir), start(dir)]);
  const happened: Acked[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const at = now() + SOON_MS;
    const key = dm(`round${round}`);
    const results = await Promise.all(
      both.map((child, n) => child.tell({ do: "append", key, writer: `${n}:${round}`, count: 2, entries: n + 1, at })),
    );
    const acked = results.flatMap((result) => result as Acked[]);
    expect(new Set(acked.map(({ uuid }) => uuid)).size, `round ${round}`).toBe(1);
    happened.push(...acked);
  }
  const { sessions, faults } = await finalOf(openJsonl(dir));
  expect([...faults, ...faultsOf(happened, sessions)]).toEqual([]);
  expect(sessions.map(({ entries }) => entries.length)).toEqual(Array.from({ length: ROUNDS }, () => 6));
  const transcripts = readdirSync(join(dir, "agents/main/sessions")).filter((name) => name.endsWith(".jsonl"));
  expect(transcripts.sort()).toEqual(sessions.map(({ record }) => `${record.uuid}.jsonl`).sort());
});
