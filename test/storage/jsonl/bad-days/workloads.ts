import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { JsonlStorage, type SessionKey } from "../../../../src/index.js";
import { encodeRecords, ownerLine } from "../../../../src/storage/jsonl/commit/commit-record.js";
import { builders } from "../../../../src/testing.js";
import { append, collect, dm } from "../../sessions.js";
import { indexPath, readIndexFile, sessionsDir, transcriptPath } from "../store-files.js";
import type { BadDay } from "./bad-day.js";
import type { FailingDisk } from "./failing-disk.js";

const alice = dm("alice");
const bob = dm("bob");

/** What a store has before a workload. */
export type Known = Map<SessionKey, string[]>;

export interface Workload {
  name: string;
  /** Makes the store it begins with. */
  prepare(dir: string): Promise<Known>;
  run(day: BadDay, disk: FailingDisk): Promise<void>;
}

async function storeOf(dir: string, peers: readonly SessionKey[] = [alice, bob]): Promise<Known> {
  const storage = new JsonlStorage({ dir, durability: "off" });
  const known: Known = new Map();
  for (const [n, key] of peers.entries()) {
    const b = builders();
    const ids = ["a", "b", "c"].map((id) => `${n}${id}`);
    for (const id of ids) await append(storage, key, b.user("before", { id }));
    known.set(key, ids);
  }
  await storage.close();
  return known;
}

function uuidOf(dir: string, key: SessionKey): string {
  return readIndexFile(dir)[key]?.uuid as string;
}

// As a power cut leaves it: the last line of a transcript is gone, and a log of a dead process has it.
async function storeAfterPowerCut(dir: string): Promise<Known> {
  const known = await storeOf(dir);
  for (const key of known.keys()) {
    const uuid = uuidOf(dir, key);
    const bytes = readFileSync(transcriptPath(dir, uuid));
    const at = bytes.lastIndexOf("\n", bytes.length - 2) + 1;
    truncateSync(transcriptPath(dir, uuid), at);
    const log = Buffer.concat([
      ownerLine({ released: true }),
      encodeRecords([{ uuid, at, bytes: bytes.subarray(at) }]),
    ]);
    writeFileSync(join(sessionsDir(dir), "sessions.journal", `commits-${randomUUID()}-1.log`), log);
  }
  return known;
}

// As a process leaves it that died while it held a claim.
async function storeWithDeadClaim(dir: string): Promise<Known> {
  const known = await storeOf(dir);
  const holder = new JsonlStorage({ dir, durability: "off" });
  await holder.claim(alice);
  const claims = join(sessionsDir(dir), "sessions.journal", "claims");
  const locks = readdirSync(claims).map((name) => join(claims, name));
  locks.push(`${transcriptPath(dir, uuidOf(dir, alice))}.lock`);
  const contents = locks.map((path) => readFileSync(path, "utf8"));
  await holder.close();
  for (const [n, path] of locks.entries()) {
    writeFileSync(
      path,
      JSON.stringify({ ...(JSON.parse(contents[n] ?? "") as object), start: 1, token: randomUUID() }),
    );
  }
  return known;
}

async function storeWithoutIndex(dir: string, left: string | undefined): Promise<Known> {
  const known = await storeOf(dir);
  if (left === undefined) rmSync(indexPath(dir));
  else writeFileSync(indexPath(dir), left);
  return known;
}

async function claimed(day: BadDay, key: SessionKey): Promise<void> {
  const answer = await day.ask(day.storage.claim(key));
  if ("error" in answer) return;
  await day.append(key, { claim: answer.value });
  await day.ask(answer.value.release());
}

async function openAndRead(day: BadDay): Promise<void> {
  const uuid = await day.read(alice);
  await day.ask(collect(day.storage.list()));
  if (uuid === undefined) return;
  await day.ask(collect(day.storage.entries(uuid)));
  await day.ask(collect(day.storage.entries(uuid, { last: 2 })));
}

export const WORKLOADS: readonly Workload[] = [
  { name: "open a store and read", prepare: storeOf, run: openAndRead },
  {
    name: "append to a session that is there",
    prepare: storeOf,
    async run(day) {
      await day.append(alice);
      await day.append(alice, { count: 3 });
      await day.append(alice, { text: "x".repeat(40_000) });
      await day.append(alice);
    },
  },
  {
    name: "create a session",
    prepare: async () => new Map(),
    async run(day) {
      await day.append(alice);
      await day.append(alice, { count: 2 });
      await day.read(alice);
    },
  },
  {
    name: "delete a session",
    prepare: storeOf,
    async run(day) {
      await day.append(bob);
      await day.remove(alice);
      await day.read(alice);
    },
  },
  {
    name: "list while another storage writes",
    prepare: storeOf,
    async run(day, disk) {
      await day.read(alice);
      await disk.beside(async () => {
        const other = new JsonlStorage({ dir: day.dir, durability: "off" });
        await day.append(alice, { by: other });
        await day.append(dm("carol"), { by: other });
        await other.close();
      });
      await day.ask(collect(day.storage.list()));
      await day.append(alice);
    },
  },
  {
    name: "claim, update and release",
    prepare: storeOf,
    async run(day) {
      await claimed(day, alice);
      await claimed(day, dm("new"));
    },
  },
  {
    name: "take over a claim of a dead process",
    prepare: storeWithDeadClaim,
    run: (day) => claimed(day, alice),
  },
  {
    name: "write the index on close",
    prepare: storeOf,
    async run(day) {
      await day.append(alice);
      await day.append(bob);
      await day.close();
    },
  },
  {
    name: "many sessions at once",
    prepare: (dir) => storeOf(dir, PEERS),
    async run(day) {
      await Promise.all(PEERS.map((key) => day.append(key)));
      await Promise.all(PEERS.map((key) => day.append(key)));
      await day.close();
    },
  },
  {
    name: "rebuild a missing index",
    prepare: (dir) => storeWithoutIndex(dir, undefined),
    run: openAndRead,
  },
  {
    name: "rebuild an unreadable index",
    prepare: (dir) => storeWithoutIndex(dir, '{"agent'),
    async run(day) {
      await openAndRead(day);
      await day.close();
    },
  },
  { name: "open after a power cut", prepare: storeAfterPowerCut, run: openAndRead },
];

const PEERS = Array.from({ length: 8 }, (_, n) => dm(`p${n}`));
