import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { OwnerLock } from "../../../../src/storage/jsonl/lock/owner-lock.js";
import { lockChildren } from "./lock-children.js";
import { deadPid, hasProc, lockPlace, startOf } from "./lock-place.js";

const place = lockPlace();
const children = lockChildren();

test("G9 the lock of a killed process is free within a second", async () => {
  const child = await children.start();
  await child.tell({ do: "acquire", path: place.path, scratch: place.scratch });
  const waiting = OwnerLock.acquire(place.path, { scratch: place.scratch, token: "next" });
  const killed = child.kill();
  const from = performance.now();
  const lock = await waiting;
  expect(performance.now() - from).toBeLessThan(1000);
  expect(place.contentOf()).toMatchObject({ token: "next", pid: process.pid });
  expect(lock.isHeld()).toBe(true);
  await killed;
  await lock.release();
  expect(place.scratchFiles()).toEqual([]);
});

test("G9 a lock that this process left, known by its token, is reclaimed at once", async () => {
  place.plant(await place.mine());
  expect((await place.acquire()).at).toBe(0);
});

test.runIf(hasProc)("G9 a lock of an earlier process with the number of this one is reclaimed at once", async () => {
  const mine = await place.mine();
  place.plant({ ...mine, start: Number(mine.start) - 1 });
  expect((await place.acquire()).at).toBe(0);
});

test.runIf(hasProc)("S19 a lock whose process number went to another process is free at once", async () => {
  const child = await children.start();
  place.plant(await place.mine({ pid: child.pid, start: startOf(child.pid) - 1 }));
  expect((await place.acquire()).at).toBe(0);
});

test.runIf(hasProc)("S19 a process that ended without its parent taking notice is dead", async () => {
  // A shell would take notice. What it has become by then does not.
  const script = "exec 3<&0; head -c 1 <&3 >/dev/null & echo $!; exec sleep 60";
  const parent = spawn("sh", ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  try {
    const [pid] = (await once(parent.stdout, "data")).map(Number) as [number];
    while (readFileSync(`/proc/${parent.pid}/comm`, "latin1") !== "sleep\n");
    parent.stdin.end(".");
    await once(parent.stdin, "finish");
    while (!readFileSync(`/proc/${pid}/stat`, "latin1").includes(") Z "));
    place.plant(await place.mine({ pid, start: startOf(pid) }));
    expect((await place.acquire()).at).toBe(0);
  } finally {
    parent.kill("SIGKILL");
  }
});

test.runIf(hasProc)("S19 the lock of a host that was started anew is free at once on a disk of its own", async () => {
  place.plant(await place.mine({ boot: "00000000-0000-4000-8000-000000000000", pid: 1 }));
  expect((await place.acquire()).at).toBe(0);
});

test("S19 older formats whose process is gone are free at once", async () => {
  const { host, boot } = await place.mine();
  const pid = deadPid();
  for (const holder of [
    { host, pid, token: "t" },
    { host, pid },
    { host, boot, pid, token: "t" },
  ]) {
    place.plant(holder as never);
    const { lock, at } = await place.acquire();
    expect(at).toBe(0);
    await lock.release();
  }
});

test("S19 a lock that its holder disowned is free at once, wherever that is", async () => {
  place.plant({ host: "elsewhere", pid: 1, released: true });
  expect((await place.acquire()).at).toBe(0);
});
