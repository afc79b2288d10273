import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { lockChildren } from "./lock-children.js";
import { hasProc, LEASE, lockPlace } from "./lock-place.js";

const place = lockPlace();
const children = lockChildren();

test.runIf(hasProc)(
  "G9 S19 a live holder in another process keeps its lock, also while its event loop is blocked",
  async () => {
    const child = await children.start();
    const token = await child.tell({ do: "acquire", path: place.path, scratch: place.scratch });
    const awake = join(place.dir, "awake");
    const blocked = child.tell({ do: "block", until: awake });
    expect(await place.waitFor({ until: LEASE + 1000 })).toBe("gave up");
    writeFileSync(awake, "");
    expect(await blocked).toBe("awake");
    expect(await child.tell({ do: "isHeld" })).toBe(true);
    expect(place.contentOf()).toMatchObject({ token, pid: child.pid });
    expect(place.scratchFiles()).toEqual([]);
  },
);

test.runIf(hasProc)("S19 a holder that is stopped keeps its lock", async () => {
  const child = await children.start();
  await child.tell({ do: "acquire", path: place.path, scratch: place.scratch });
  process.kill(child.pid, "SIGSTOP");
  expect(await place.waitFor({ until: LEASE + 1000 })).toBe("gave up");
  process.kill(child.pid, "SIGCONT");
  expect(await child.tell({ do: "isHeld" })).toBe(true);
});

test("S18 a lock that is released goes to the one who waits, in another process too", async () => {
  const child = await children.start();
  const { lock } = await place.acquire();
  const waiting = child.tell({ do: "acquire", path: place.path, scratch: place.scratch });
  await lock.release();
  const token = await waiting;
  expect(place.contentOf()).toMatchObject({ token, pid: child.pid });
  await child.tell({ do: "release" });
  await place.acquire();
});

test("S18 two holdings of one process exclude each other", async () => {
  await place.acquire();
  expect(await place.waitFor({ until: LEASE + 1000 })).toBe("gave up");
});
