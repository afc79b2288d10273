import { expect, test } from "vitest";
import { Slots } from "../../../src/session/runs/slots.js";
import { WorkPlace } from "../../../src/session/runs/work-place.js";
import { deferred } from "../store-dir.js";
import { pause } from "./troubled-storage.js";

const never = new AbortController().signal;

/** How many places nobody has. */
async function freePlaces(slots: Slots): Promise<number> {
  const taken: boolean[] = [];
  const enough = new AbortController();
  for (let asked = 0; asked < 3; asked += 1) void slots.take(enough.signal).then((isMine) => taken.push(isMine));
  await pause();
  enough.abort();
  await pause();
  return taken.filter(Boolean).length;
}

/** The place of one that has lent it to another while it waits. */
async function lentPlace() {
  const slots = new Slots(1);
  const place = new WorkPlace(slots, never);
  expect(await place.take(never)).toBe(true);
  const over: string[] = [];
  const wait = (name: string) => {
    const work = deferred();
    void place.whileWaiting(work.promise).then(() => over.push(name));
    return work;
  };
  const first = wait("first");
  expect(await slots.take(never)).toBe(true);
  return { slots, place, over, wait, first };
}

test("G20 two waits that end one after the other while the place is another's take one place, and both go on", async () => {
  const { slots, place, over, wait, first } = await lentPlace();
  first.resolve();
  await pause();
  const second = wait("second");
  second.resolve();
  await pause();
  expect(over).toEqual([]);
  slots.free();
  await pause();
  expect(over.sort()).toEqual(["first", "second"]);
  place.leave();
  expect(await freePlaces(slots)).toBe(1);
});

test("G20 a place that comes free while its owner waits once more is another's, and taken again when that wait ends", async () => {
  const { slots, place, over, wait, first } = await lentPlace();
  first.resolve();
  await pause();
  const second = wait("second");
  slots.free();
  await pause();
  expect(over).toEqual(["first"]);
  expect(await slots.take(never)).toBe(true);
  second.resolve();
  await pause();
  expect(over).toEqual(["first"]);
  slots.free();
  await pause();
  expect(over).toEqual(["first", "second"]);
  place.leave();
  expect(await freePlaces(slots)).toBe(1);
});

test("G20 a place is not taken again for one whose turn is over", async () => {
  const { slots, place, over, first } = await lentPlace();
  first.resolve();
  await pause();
  place.leave();
  slots.free();
  await pause();
  expect(over).toEqual(["first"]);
  expect(await freePlaces(slots)).toBe(1);
});
