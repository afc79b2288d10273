import { existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { deadPid, hasProc, LEASE, lockPlace } from "./lock-place.js";
import { virtualLockClock } from "./virtual-lock-clock.js";

const place = lockPlace();

afterEach(() => void vi.useRealTimers());

async function takenAtItsLease(path?: string) {
  const { at, lock } = await place.acquire({ path });
  expect(at).toBeGreaterThanOrEqual(LEASE);
  expect(at).toBeLessThan(LEASE + 1000);
  expect(lock.isHeld()).toBe(true);
  await lock.release();
}

test("S19 a silent holder of whom nothing can be known keeps its lock for the lease and no longer", async () => {
  const mine = await place.mine();
  const dead = deadPid();
  const holders: unknown[] = [
    { ...mine, host: "elsewhere", boot: "other", pid: dead },
    { ...mine, host: "elsewhere", boot: null, pidns: null, start: null, pid: dead },
    { pid: dead, createdAt: 1_700_000_000_000 },
    { host: mine.host, pid: process.pid, token: "older" },
    { ...mine, pid: 0 },
    { ...mine, pid: -1 },
    { ...mine, pid: -dead },
    { ...mine, pid: 1.5 },
    { ...mine, pid: 2 ** 40 },
    { ...mine, pid: "1" },
    [],
    null,
  ];
  if (hasProc) holders.push({ ...mine, pidns: "pid:[1]", pid: dead }, { ...mine, pid: process.ppid, start: null });
  await Promise.all(
    holders.map(async (holder, index) => {
      const path = join(place.dir, `${index}.lock`);
      place.plant(JSON.stringify(holder), path);
      await takenAtItsLease(path);
    }),
  );
  expect(place.scratchFiles()).toEqual([]);
}, 60_000);

test.each(["", "not JSON", '{"host":', "\u0000".repeat(200), "x".repeat(1 << 20)])(
  "S19 a file that says nothing keeps others out for the lease (%#)",
  async (text) => {
    place.plant(text);
    await takenAtItsLease();
  },
);

test("S19 a directory in the place of the lock, empty or not, keeps others out for the lease", async () => {
  mkdirSync(place.path);
  await takenAtItsLease();
  mkdirSync(place.path);
  writeFileSync(join(place.path, "inside"), "");
  await takenAtItsLease();
});

test("a link in the place of the lock goes after the lease, and what it leads to stays", async () => {
  const target = join(place.dir, "target");
  writeFileSync(target, '{"released":true}');
  symlinkSync(target, place.path);
  await takenAtItsLease();
  expect(readFileSync(target, "utf8")).toBe('{"released":true}');
});

test("S19 the time of day plays no part: files from the past and from the future wait the same lease", async () => {
  const times = [0, Date.now() / 1000 - 3600, Date.now() / 1000 + 3600];
  await Promise.all(
    times.map(async (seconds) => {
      const path = join(place.dir, `${seconds}.lock`);
      place.plant({ host: "elsewhere", pid: 1 }, path);
      utimesSync(path, seconds, seconds);
      await takenAtItsLease(path);
    }),
  );
});

/** A holder that beats by the clock given, and looks to others as if it ran where they cannot see it. */
async function holderElsewhere(clock = virtualLockClock()) {
  const { lock } = await place.acquire({ clock });
  place.plant(await place.mine({ pidns: "pid:[1]", pid: 1, token: lock.token }));
  return { lock, clock };
}

test("S19 a holder that beats is not stolen from, for ten leases", async () => {
  const { lock, clock } = await holderElsewhere();
  expect(await place.waitFor({ until: 10 * LEASE, clock })).toBe("gave up");
  expect(lock.isHeld()).toBe(true);
}, 60_000);

test.each([-3600_000, 3600_000])(
  "S19 a clock that jumps by %i ms takes no lock from a holder that beats",
  async (by) => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const { lock, clock } = await holderElsewhere();
    const before = lstatSync(place.path).mtimeMs;
    clock.at(15_000, () => vi.setSystemTime(Date.now() + by));
    expect(await place.waitFor({ until: 3 * LEASE, clock })).toBe("gave up");
    expect(lock.isHeld()).toBe(true);
    expect(lstatSync(place.path).mtimeMs).toBeGreaterThan(before);
  },
);

test("S19 one who slept cannot tell that the holder did not: the sleep is no part of the lease", async () => {
  place.plant({ host: "elsewhere", pid: 1 });
  const clock = virtualLockClock();
  let slept = false;
  const sleeper = {
    ...clock,
    async wait(milliseconds: number, signal: AbortSignal | undefined) {
      await clock.wait(slept ? milliseconds : 3_600_000, signal);
      slept = true;
    },
  };
  expect((await place.acquire({ clock: sleeper })).at).toBeGreaterThan(3_600_000 + LEASE - 2000);
});

test("S20 one who was taken for dead notices it, and leaves the next holder's lock alone", async () => {
  const { lock } = await holderElsewhere();
  expect(lock.lost.aborted).toBe(false);
  const next = await place.acquire();
  expect(next.at).toBeGreaterThanOrEqual(LEASE);
  expect(lock.isHeld()).toBe(false);
  expect(lock.lost.aborted).toBe(true);
  await lock.release();
  expect(place.contentOf()).toMatchObject({ token: next.lock.token });
  expect(next.lock.isHeld()).toBe(true);
});

test("one that was silent for long gives its lock up as a dead one's is taken", async () => {
  const clock = virtualLockClock();
  const silent = { ...clock, every: () => () => undefined };
  const { lock } = await place.acquire({ clock: silent });
  await clock.wait(50_000, undefined);
  await lock.release();
  expect(existsSync(place.path)).toBe(false);
  expect(place.scratchFiles()).toEqual([]);
});
