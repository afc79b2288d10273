import { existsSync, readdirSync, unlinkSync } from "node:fs";
import type * as FileSystem from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, test, vi } from "vitest";
import { LEASE, lockPlace } from "./lock-place.js";
import { virtualLockClock } from "./virtual-lock-clock.js";

type Call = "link" | "unlink" | "open" | "writeFile";

/** What a call fails with instead of being made, or what happens before it. */
const faults = vi.hoisted(() => new Map<string, (path: string) => unknown>());

vi.mock("node:fs/promises", async (original) => {
  const real = await original<typeof FileSystem>();
  const faulty =
    <A extends unknown[], R>(name: Call, call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      const fault = faults.get(name)?.(String(args[0]));
      if (fault !== undefined) throw Object.assign(new Error(String(fault)), { code: fault, syscall: name });
      return call(...args);
    };
  return {
    ...real,
    link: faulty("link", real.link),
    unlink: faulty("unlink", real.unlink),
    open: faulty("open", async (...args: Parameters<typeof real.open>) => {
      const file = await real.open(...args);
      file.writeFile = faulty("writeFile", file.writeFile.bind(file)) as typeof file.writeFile;
      return file;
    }),
  };
});

const place = lockPlace();
const fail = (call: Call, fault: (path: string) => unknown) => void faults.set(call, fault);
const once = (fault: (path: string) => unknown) => {
  let first = true;
  return (path: string) => {
    if (!first) return undefined;
    first = false;
    return fault(path);
  };
};

afterEach(() => faults.clear());

test.each(["EPERM", "ENOTSUP", "ENOSYS", "EOPNOTSUPP", "EMLINK", "EISDIR"])(
  "S18 where a file cannot have two names (%s), the lock is made in its place, and excludes as well",
  async (code) => {
    fail("link", () => code);
    const { lock } = await place.acquire({ token: "mine" });
    expect(place.contentOf()).toMatchObject({ token: "mine", pid: process.pid });
    expect(await place.waitFor({ until: 1000 })).toBe("gave up");
    expect(lock.isHeld()).toBe(true);
    await lock.release();
    expect(existsSync(place.path)).toBe(false);

    place.plant(await place.mine());
    expect((await place.acquire()).at).toBe(0);
    expect(place.scratchFiles()).toEqual([]);
  },
);

test.each(["EIO", "ENOSPC", "EROFS"])(
  "a fault while the lock is made (%s) is told, and leaves nothing",
  async (code) => {
    for (const call of ["link", "open", "writeFile"] as const) {
      fail(call, () => code);
      await expect(place.acquire()).rejects.toMatchObject({ code, syscall: call });
      faults.clear();
      expect(readdirSync(place.dir)).toEqual(["scratch"]);
      expect(place.scratchFiles()).toEqual([]);
    }
  },
);

test("a temporary file that cannot be removed gives the lock up, and the next one gets it", async () => {
  fail(
    "unlink",
    once(() => "EIO"),
  );
  await expect(place.acquire()).rejects.toMatchObject({ code: "EIO" });
  expect(existsSync(place.path)).toBe(false);
  expect((await place.acquire()).at).toBe(0);
});

test("a temporary file that was swept away in the middle is made again", async () => {
  fail(
    "link",
    once((path) => {
      unlinkSync(path);
    }),
  );
  const { lock } = await place.acquire();
  expect(lock.isHeld()).toBe(true);
});

test("a lock that cannot be removed on release is told, and is free at once all the same, for anyone", async () => {
  const { lock } = await place.acquire();
  fail("unlink", () => "EACCES");
  await expect(lock.release()).rejects.toMatchObject({ code: "EACCES" });
  faults.clear();
  expect(place.contentOf()).toMatchObject({ released: true });
  place.plant({ ...place.contentOf(), host: "elsewhere", boot: "other", pidns: "pid:[1]" });
  expect((await place.acquire()).at).toBe(0);
});

test("a fault while waiting is told: it says nothing about the lock", async () => {
  await place.acquire();
  fail("open", (path) => (path === place.path ? "EMFILE" : undefined));
  await expect(place.acquire()).rejects.toMatchObject({ code: "EMFILE" });
});

test("S19 a lock that may not be read keeps others out for the lease", async () => {
  place.plant(await place.mine());
  fail("open", (path) => (path === place.path ? "EACCES" : undefined));
  const { at } = await place.acquire();
  expect(at).toBeGreaterThanOrEqual(LEASE);
});

test("a breaker that fails half-way is in nobody's way", async () => {
  for (const code of ["EIO", "EACCES"]) {
    place.plant(await place.mine());
    fail("unlink", (path) => (path === place.path ? code : undefined));
    await expect(place.acquire()).rejects.toMatchObject({ code });
    fail("unlink", (path) => (path.endsWith(".break") ? code : undefined));
    await expect(place.acquire()).rejects.toMatchObject({ code });
    faults.clear();
    const { lock, at } = await place.acquire({ path: join(place.dir, "a.jsonl.lock") });
    expect(at).toBe(0);
    await lock.release();
    place.plant(await place.mine());
    await (await place.acquire()).lock.release();
    expect(place.scratchFiles()).toEqual([]);
  }
});

test("who gives up at the moment it gets the lock does not keep it", async () => {
  const giveUp = new AbortController();
  fail("link", () => giveUp.abort("late"));
  await expect(place.acquire({ signal: giveUp.signal })).rejects.toBe("late");
  expect(existsSync(place.path)).toBe(false);
  expect(place.scratchFiles()).toEqual([]);
});

test("S18 one that was silent for long removes its file only while nobody else can", async () => {
  const clock = virtualLockClock();
  const { lock } = await place.acquire({ clock: { ...clock, every: () => () => undefined } });
  await clock.wait(50_000, undefined);
  // Whoever takes it for dead needs the lock beside it, and comes at the worst moment when that is free.
  let taken = false;
  fail("unlink", (path) => {
    taken ||= path === place.path && !place.scratchFiles().some((name) => name.endsWith(".break"));
  });
  await lock.release();
  expect(existsSync(place.path)).toBe(false);
  expect(taken).toBe(false);
});
