import { existsSync, linkSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { OwnerLock } from "../../../../src/storage/jsonl/lock/owner-lock.js";
import { LEASE, lockPlace } from "./lock-place.js";
import { virtualLockClock } from "./virtual-lock-clock.js";

const place = lockPlace();
const other = () => join(place.dir, "b.lock");

test("the file says who holds it, for its owner's eyes only, whatever the umask", async () => {
  const umask = process.umask(0o777);
  let lock: OwnerLock;
  try {
    lock = await OwnerLock.acquire(place.path, { scratch: place.scratch, token: "mine", key: "agent:main:main" });
  } finally {
    process.umask(umask);
  }
  const { since, ...holder } = place.contentOf();
  expect(holder).toEqual({ ...(await place.mine()), token: "mine", key: "agent:main:main" });
  expect(since).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
  expect(statSync(place.path).mode & 0o777).toBe(0o600);
  expect(place.scratchFiles()).toEqual([]);
  await lock.release();
  expect(existsSync(place.path)).toBe(false);
});

test("release twice is once", async () => {
  const first = await place.acquire();
  await Promise.all([first.lock.release(), first.lock.release()]);
  const next = await place.acquire();
  await first.lock.release();
  expect(first.lock.isHeld()).toBe(false);
  expect(next.lock.isHeld()).toBe(true);
});

test("S20 a lock file removed by hand is a lost lock", async () => {
  const { lock } = await place.acquire();
  expect(lock.isHeld()).toBe(true);
  unlinkSync(place.path);
  expect(lock.lost.aborted).toBe(false);
  expect(lock.isHeld()).toBe(false);
  expect(lock.lost.aborted).toBe(true);
});

test.each([
  ["removed", () => unlinkSync(place.path)],
  ["moved away", () => renameSync(place.path, other())],
  [
    "removed, with a copy that shares its content",
    () => {
      linkSync(place.path, other());
      unlinkSync(place.path);
    },
  ],
])("S20 a holder that does nothing notices by the clock that its file was %s", async (_, take) => {
  const clock = virtualLockClock();
  const { lock } = await place.acquire({ clock });
  take();
  const lost = new Promise((noticed) => lock.lost.addEventListener("abort", noticed));
  await clock.wait(10_000, undefined);
  await lost;
  expect(lock.isHeld()).toBe(false);
});

test("what another put in its place is left alone on release", async () => {
  const { lock } = await place.acquire();
  unlinkSync(place.path);
  writeFileSync(place.path, "of another");
  await lock.release();
  expect(existsSync(place.path)).toBe(true);
});

test("one holding has two names: both exclude, both are given up, and one that is lost loses all", async () => {
  const { lock } = await place.acquire();
  await lock.alsoAt(other());
  await lock.alsoAt(other());
  expect(await place.waitFor({ until: 1000, path: other() })).toBe("gave up");
  await lock.release();
  expect(existsSync(place.path) || existsSync(other())).toBe(false);

  const second = await place.acquire();
  await second.lock.alsoAt(other());
  unlinkSync(other());
  expect(second.lock.isHeld()).toBe(false);
  await second.lock.release();
  expect(existsSync(place.path)).toBe(false);
});

test("a second name waits for its holder and gives up by its signal, and the first stays", async () => {
  const clock = virtualLockClock();
  const { lock } = await place.acquire({ clock });
  await place.acquire({ path: other() });
  const giveUp = new AbortController();
  clock.at(500, () => giveUp.abort("enough"));
  await expect(lock.alsoAt(other(), giveUp.signal)).rejects.toBe("enough");
  expect(lock.isHeld()).toBe(true);
});

test("who gives up waiting gets the signal's reason and leaves nothing behind", async () => {
  const first = await place.acquire();
  const reason = new Error("enough");
  const already = AbortSignal.abort(reason);
  await expect(place.acquire({ signal: already })).rejects.toBe(reason);
  const giveUp = new AbortController();
  const waiting = OwnerLock.acquire(place.path, { scratch: place.scratch, token: "waiter", signal: giveUp.signal });
  giveUp.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  expect(place.scratchFiles()).toEqual([]);
  expect(first.lock.isHeld()).toBe(true);
});

test("what was given up, or never had, beats no more and its token means nothing", async () => {
  const clock = virtualLockClock();
  const { lock } = await place.acquire({ clock, token: "had" });
  const refused = place.acquire({ clock, token: "never-had", signal: AbortSignal.abort("no") });
  await expect(refused).rejects.toBe("no");
  expect(clock.beating()).toBe(1);
  await lock.release();
  expect(clock.beating()).toBe(0);
  for (const token of ["had", "never-had"]) {
    place.plant(await place.mine({ token }));
    const next = await place.acquire();
    expect(next.at).toBe(0);
    await next.lock.release();
  }
});

test("a place where no file can be made is refused with the fault of the system", async () => {
  const missing = join(place.dir, "missing", "a.lock");
  await expect(place.acquire({ path: missing })).rejects.toMatchObject({ code: "ENOENT", syscall: "link" });
  writeFileSync(other(), "");
  await expect(place.acquire({ path: join(other(), "a.lock") })).rejects.toMatchObject({ code: "ENOTDIR" });
  expect(place.scratchFiles()).toEqual([]);
  rmSync(place.scratch, { recursive: true });
  await expect(place.acquire()).rejects.toMatchObject({ code: "ENOENT" });
});

test("a token that is no name for a file is a mistake of the caller", async () => {
  await expect(place.acquire({ token: "../a" })).rejects.toThrow(TypeError);
});

test("S18 ten who want the same lock in one process hold it one after the other", async () => {
  let inside = 0;
  await Promise.all(
    Array.from({ length: 10 }, async () => {
      const { lock } = await place.acquire();
      expect(++inside).toBe(1);
      await new Promise(setImmediate);
      inside--;
      await lock.release();
    }),
  );
  expect(await place.waitFor({ until: LEASE })).toBe("taken");
});
