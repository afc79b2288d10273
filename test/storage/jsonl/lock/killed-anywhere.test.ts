import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { sweepScratch } from "../../../../src/storage/jsonl/lock/lock-takeover.js";
import { lockChildren } from "./lock-children.js";
import { deadPid, lockPlace } from "./lock-place.js";

const place = lockPlace();
const children = lockChildren();

const pid = deadPid();

/** Takes the lock and gives it back in a process that ends before the given call to the file system. */
async function takeAndDieAt(call: number): Promise<"died" | "did all"> {
  const child = await children.start();
  await child.tell({ do: "dieAt", call });
  const all = async () => {
    await child.tell({ do: "acquire", path: place.path, scratch: place.scratch });
    await child.tell({ do: "release" });
    return "did all" as const;
  };
  const outcome = await Promise.race([all(), child.ended.then(() => "died" as const)]);
  await child.kill();
  return outcome;
}

test.each([
  ["nobody's", 7, () => undefined],
  ["a dead process's", 20, async () => place.plant(await place.mine({ pid }))],
])(
  "S19 one who is killed at any call on its way to a lock that is %s keeps nobody out",
  async (_, calls, plant) => {
    for (let call = 1; ; call++) {
      await plant();
      const outcome = await takeAndDieAt(call);
      const { lock, at } = await place.acquire();
      expect(at, `killed at call ${call}`).toBe(0);
      await lock.release();
      await sweepScratch(place.scratch);
      for (const name of place.scratchFiles()) expect(statSync(join(place.scratch, name)).size, name).toBe(0);
      if (outcome === "did all") {
        expect(call).toBeGreaterThan(calls);
        break;
      }
    }
  },
  60_000,
);
