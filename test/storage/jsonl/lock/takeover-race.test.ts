import { join } from "node:path";
import { expect, test } from "vitest";
import { lockChildren } from "./lock-children.js";
import { deadPid, lockPlace } from "./lock-place.js";

const place = lockPlace();
const children = lockChildren();
const ROUNDS = 500;
const PROCESSES = 8;

test(`S18 of ${PROCESSES} processes at a dead lock one takes it, in each of ${ROUNDS} rounds`, async () => {
  const pid = deadPid();
  const all = await Promise.all(Array.from({ length: PROCESSES }, () => children.start()));
  const tellAll = (order: Parameters<(typeof all)[number]["tell"]>[0]) =>
    Promise.all(all.map((child) => child.tell(order)));
  const wrong: unknown[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    place.plant(await place.mine({ pid }));
    const first = await tellAll({
      do: "round",
      path: place.path,
      scratch: place.scratch,
      witness: join(place.dir, "witness"),
    });
    await Promise.any(all.map((child) => child.tell({ do: "holding" })));
    const last = await tellAll({ do: "endRound" });
    const holders = first.filter((report) => report === "holds").length;
    const faults = last.filter((outcome) => outcome !== "held" && outcome !== "gave up");
    // None yet is fine: who clears the dead lock away and who takes the place need not be the same.
    if (holders > 1 || faults.length > 0) wrong.push({ round, holders, faults });
  }
  expect(wrong).toEqual([]);
  expect(place.scratchFiles()).toEqual([]);
}, 120_000);
