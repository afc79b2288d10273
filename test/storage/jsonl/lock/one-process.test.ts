import { once } from "node:events";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import type { OwnerLock } from "../../../../src/storage/jsonl/lock/owner-lock.js";
import { lockChildren } from "./lock-children.js";
import { hasProc, LEASE, lockPlace } from "./lock-place.js";
import { virtualLockClock } from "./virtual-lock-clock.js";

const place = lockPlace();
const children = lockChildren();

type Library = { OwnerLock: typeof OwnerLock };

test("G9 two builds of the library in one process know each other's locks", async () => {
  const esm = (await import(pathToFileURL(children.library("mjs")).href)) as Library;
  const cjs = createRequire(import.meta.url)(children.library("cjs")) as Library;
  expect(esm.OwnerLock).not.toBe(cjs.OwnerLock);
  for (const [one, two] of [
    [esm, cjs],
    [cjs, esm],
  ] as const) {
    const options = { scratch: place.scratch, token: "one" };
    const held = await one.OwnerLock.acquire(place.path, options);
    const clock = virtualLockClock();
    const giveUp = new AbortController();
    clock.at(100_000, () => giveUp.abort("gave up"));
    const waiting = two.OwnerLock.acquire(place.path, { ...options, token: "two", clock, signal: giveUp.signal });
    await expect(waiting).rejects.toBe("gave up");
    expect(held.isHeld()).toBe(true);
    await held.release();
  }
});

const HOLD_IN_WORKER = `
  const { parentPort, workerData } = require("node:worker_threads");
  const { OwnerLock } = require(workerData.library);
  OwnerLock.acquire(workerData.path, { scratch: workerData.scratch, token: "worker" })
    .then((lock) => {
      parentPort.on("message", (milliseconds) => {
        const end = performance.now() + milliseconds;
        while (performance.now() < end);
        parentPort.postMessage(lock.isHeld());
      });
      parentPort.postMessage("held");
    });
`;

async function holdInWorker(): Promise<Worker> {
  const workerData = { library: children.library("cjs"), path: place.path, scratch: place.scratch };
  const worker = new Worker(HOLD_IN_WORKER, { eval: true, workerData });
  expect(await once(worker, "message")).toEqual(["held"]);
  return worker;
}

test.runIf(hasProc)("S19 the lock of another thread of this process is not stolen while that lives", async () => {
  const worker = await holdInWorker();
  try {
    worker.postMessage(500);
    expect(await place.waitFor({ until: 100_000 })).toBe("gave up");
    expect(await once(worker, "message")).toEqual([true]);
  } finally {
    await worker.terminate();
  }
});

test.runIf(hasProc)("S19 the lock of a thread that ended is free at once, here and in other processes", async () => {
  await (await holdInWorker()).terminate();
  const { at, lock } = await place.acquire();
  expect(at).toBe(0);
  await lock.release();

  await (await holdInWorker()).terminate();
  const child = await children.start();
  expect(await child.tell({ do: "acquire", path: place.path, scratch: place.scratch, patience: 2000 })).toEqual(
    expect.any(String),
  );
});

test("S19 the lock of a thread that cannot be seen waits for the lease, not for the process", async () => {
  place.plant(await place.mine({ thread: 999 }));
  expect((await place.acquire()).at).toBeGreaterThanOrEqual(90_000);
});

test.runIf(hasProc)("S19 a lock whose thread number went to another thread is free at once", async () => {
  const mine = await place.mine();
  const task = { id: process.pid, start: Number(mine.start) };
  place.plant({ ...mine, thread: 999, task });
  expect(await place.waitFor({ until: LEASE + 1000 })).toBe("gave up");
  place.plant({ ...mine, thread: 999, task: { ...task, start: task.start - 1 } });
  expect((await place.acquire()).at).toBe(0);
});
