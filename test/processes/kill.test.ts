import { existsSync, readFileSync, renameSync, rmSync, watch, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, onTestFinished, test, vi } from "vitest";
import type { SessionKey } from "../../src/core.js";
import { JsonlStorage } from "../../src/index.js";
import { dm } from "../storage/sessions.js";
import { openJsonl, tempDir } from "../storage/storage-kinds.js";
import { type Child, children } from "./children.js";
import { faultsOf, finalOf, type Happened } from "./history.js";
import type { Reported } from "./orders.js";
import { Random } from "./random.js";

const KILLS = 200;
const SLOTS = 4;
const CORRUPT = "not an index: put here by the test";

const start = children();

interface Slot {
  own: SessionKey;
  child: Child;
}

test("G4 G5 G9 G10 G11 S9 S19 nothing is lost, repeated or held when processes under load are killed 200 times", async () => {
  const seed = Number(process.env.SESSIONS_SEED ?? Date.now() % 1_000_000);
  const random = new Random(seed);
  const dir = tempDir();
  const files = join(dir, "agents/main/sessions");
  const index = join(files, "sessions.json");
  const happened: Happened[] = [];
  const faults: string[] = [];
  const onReported = (reported: Reported) => {
    if (reported.kind === "failed") faults.push(reported.what);
    else if (reported.kind !== "holds") happened.push(reported);
  };
  let writers = 0;
  const startWriter = async (own: SessionKey): Promise<Slot> => {
    const number = ++writers;
    const child = await start(dir, random.of(["off", "off", "batch", "always"] as const), onReported);
    const load = { writer: `w${number}`, seed: seed + number * 10, lanes: 3, own, pause: 8 };
    await child.tell({ do: "load", load });
    return { own, child };
  };
  const watcher = openJsonl(dir);
  const slowestClaims: number[] = [];
  const replace = async (slots: (Slot | undefined)[], at: number) => {
    const slot = slots[at];
    if (slot === undefined) return;
    const { own, child } = slot;
    slots[at] = undefined;
    await child.kill();
    kills += 1;
    const died = performance.now();
    const claim = await watcher.claim(own);
    slowestClaims.push(performance.now() - died);
    await claim.release();
    slots[at] = await startWriter(own);
  };

  let kills = 0;
  const slots: (Slot | undefined)[] = await Promise.all(
    Array.from({ length: SLOTS }, (_, n) => startWriter(dm(`own${n}`))),
  );
  let reads = 0;
  const reading = setInterval(() => {
    const text = existsSync(index) ? readIfThere(index) : undefined;
    if (text === undefined || text === CORRUPT) return;
    reads += 1;
    if (!isJson(text)) faults.push(`sessions.json could not be read: ${text.length} bytes`);
  }, 5);
  onTestFinished(() => clearInterval(reading));
  let replacing: Promise<unknown> = Promise.resolve();
  let duringWrites = 0;
  const journal = join(files, "sessions.journal");
  // The writers have been told to begin; the first of them makes it.
  await vi.waitFor(() => expect(existsSync(journal)).toBe(true), { timeout: 10_000 });
  const watching = watch(journal, (_, name) => {
    if (!name?.startsWith("sessions.json.") || random.below(2) > 0) return;
    // Which of them writes it cannot be seen from here.
    duringWrites += 1;
    replacing = Promise.all([replacing, ...slots.map((_, at) => replace(slots, at))]);
  });
  onTestFinished(() => watching.close());
  for (let round = 0; kills < KILLS; round += 1) {
    if (round % 8 === 3) rmSync(index, { force: true });
    // The lock on writing the index can have two holders, and what was killed holds it for seconds: nothing may rest on it.
    if (round % 8 === 1) rmSync(join(journal, "index.lock"), { recursive: true, force: true });
    if (round % 8 === 6) corrupt(dir, index);
    await pause(random.between(20, 120));
    replacing = Promise.all([replacing, replace(slots, random.below(SLOTS))]);
  }
  watching.close();
  await replacing;
  await Promise.all(slots.map((slot) => slot?.child.tell({ do: "stop" })));
  await Promise.all(slots.map((slot) => slot?.child.tell({ do: "close" })));
  clearInterval(reading);
  await watcher.close();

  const reopened = openJsonl(dir);
  const { sessions, faults: disagreements } = await finalOf(reopened);
  faults.push(...disagreements, ...faultsOf(happened, sessions));
  expect(reads).toBeGreaterThan(0);
  expect(duringWrites).toBeGreaterThan(0);
  expect(faults.slice(0, 10), `seed ${seed}`).toEqual([]);
  expect(Math.max(...slowestClaims), `seed ${seed}`).toBeLessThan(1_000);
  await reopened.close();
  rmSync(index, { force: true });
  // A writer that was killed keeps others from writing the index for some seconds.
  await vi.waitFor(
    async () => {
      await readNothing(dir);
      expect(existsSync(index)).toBe(true);
    },
    { timeout: 10_000, interval: 250 },
  );
  const { sessions: after } = await finalOf(openJsonl(dir));
  const written = JSON.parse(readFileSync(index, "utf8")) as Record<string, { uuid: string; messageCount: number }>;
  const facts = Object.entries(written).map(([key, { uuid, messageCount }]) => [key, uuid, messageCount]);
  expect(facts.sort()).toEqual(after.map(({ record }) => [record.key, record.uuid, record.messageCount]).sort());
  expect(facts.length).toBe(sessions.length);
  rmSync(index);
  rmSync(journal, { recursive: true });
  expect((await finalOf(openJsonl(dir))).sessions).toEqual(after);
}, 120_000);

/** Opens a store and closes it, which writes an index that is missing. */
async function readNothing(dir: string): Promise<void> {
  const storage = new JsonlStorage({ dir, durability: "off" });
  for await (const _ of storage.list({ limit: 0 }));
  await storage.close();
}

function corrupt(dir: string, index: string): void {
  const beside = join(dir, "corrupt");
  writeFileSync(beside, CORRUPT);
  renameSync(beside, index);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // The test says how long it was.
    return false;
  }
}
