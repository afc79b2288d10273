import { createHash, randomUUID } from "node:crypto";
import { existsSync, linkSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, test } from "vitest";
import { sweepScratch } from "../../../../src/storage/jsonl/lock/lock-takeover.js";
import { lockChildren } from "./lock-children.js";
import { deadPid, LEASE, lockPlace } from "./lock-place.js";

const place = lockPlace();
const children = lockChildren();

const digest = (path: string) => createHash("sha256").update(relative(place.scratch, path)).digest("hex").slice(0, 32);
/** The lock that one has to have who clears away the lock at a path. */
const guardOf = (path: string) => join(place.scratch, `${digest(path)}.break`);
const temporaryOf = (path: string, token: unknown) => join(place.scratch, `${String(token)}.${digest(path)}.tmp`);

test("S19 one who was killed while it cleared away a dead lock is in nobody's way", async () => {
  const dead = await place.mine();
  for (const depth of [1, 2, 3]) {
    place.plant(dead);
    let path = place.path;
    for (let level = 0; level < depth; level++) {
      path = guardOf(path);
      place.plant(await place.mine(), path);
    }
    const { lock, at } = await place.acquire();
    expect(at).toBe(0);
    await lock.release();
    expect(place.scratchFiles()).toEqual([]);
  }
});

test("S18 nobody takes a dead lock while another clears it away", async () => {
  place.plant(await place.mine());
  await place.acquire({ path: guardOf(place.path) });
  expect(await place.waitFor({ until: LEASE + 1000 })).toBe("gave up");
});

test("what one who was killed left half made goes with its lock", async () => {
  const dead = await place.mine();
  place.plant(dead);
  linkSync(place.path, temporaryOf(place.path, dead.token));
  const { lock } = await place.acquire();
  expect(lock.isHeld()).toBe(true);
  expect(place.scratchFiles()).toEqual([]);
});

test("a token that is a path leads nowhere", async () => {
  const victim = `${join(place.dir, "victim")}.${digest(place.path)}.tmp`;
  writeFileSync(victim, "");
  place.plant(await place.mine({ token: "../victim" }));
  await place.acquire();
  expect(existsSync(victim)).toBe(true);
});

test("sweeping removes what the dead left, and nothing else", async () => {
  const [dead, alive] = [await place.mine(), (await place.acquire()).lock.token];
  const child = await children.start();
  await child.tell({ do: "acquire", path: join(place.dir, "b.lock"), scratch: place.scratch });
  const elsewhere = { host: "elsewhere", pid: 1 };
  const plant = (name: string, text: string | object) =>
    writeFileSync(join(place.scratch, name), typeof text === "string" ? text : JSON.stringify(text));
  const end = `${digest(place.path)}.tmp`;
  const [old, young] = [randomUUID(), randomUUID()];
  plant(`${String(dead.token)}.${end}`, dead);
  plant(`${alive}.${end}`, await place.mine({ token: alive }));
  plant(`${randomUUID()}.${end}`, await place.mine({ pid: deadPid() }));
  plant(`${old}.${end}`, "");
  plant(`${young}.${end}`, "");
  plant(`elsewhere.${end}`, elsewhere);
  plant("notes.txt", dead);
  plant(`${digest("gone")}.break`, dead);
  plant(`${digest("unknown")}.break`, elsewhere);
  mkdirSync(join(place.scratch, `${randomUUID()}.grave`, "inside"), { recursive: true });
  const hoursAgo = Date.now() / 1000 - 7200;
  utimesSync(join(place.scratch, `${old}.${end}`), hoursAgo, hoursAgo);

  await sweepScratch(place.scratch);

  expect(readdirSync(place.scratch).sort()).toEqual(
    [`${alive}.${end}`, `${young}.${end}`, `elsewhere.${end}`, "notes.txt", `${digest("unknown")}.break`].sort(),
  );
  expect(existsSync(place.path)).toBe(true);
});
