import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { SessionKey } from "../../core/key.js";
import type { SessionStorage } from "../../storage/storage.js";
import { builders } from "../builders.js";
import { assertWhole, same } from "./assertions.js";
import type { Check } from "./check.js";
import { alice, append, appending, bob, collect, contents, dm, everything, say } from "./sessions.js";

// A small generator of numbers that look random: the same race at each run, but many ways to meet within it.
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return (state >>> 8) % below;
  };
}

/** Does something three times, each time a little sooner or later beside what the others do. */
async function atOddTimes(number: (below: number) => number, work: () => Promise<unknown>): Promise<void> {
  for (let time = 0; time < 3; time += 1) {
    for (let n = number(24); n > 0; n -= 1) await Promise.resolve();
    await work();
    if (number(3) > 0) await nextTurn();
  }
}

/** Fails when a session that does not change while it is looked at has not all of its entries. */
async function look(storage: SessionStorage, key: SessionKey): Promise<void> {
  const before = await storage.read(key);
  if (before === undefined) return;
  const { length } = await everything(storage, before.uuid);
  if (isDeepStrictEqual(await storage.read(key), before))
    same(length, before.messageCount, "a session that is seen is whole");
}

/** Lets deletes race updates, and looks at what is left. `beside` may be the same storage. */
async function race(storage: SessionStorage, beside: SessionStorage): Promise<void> {
  const number = numbers(1);
  for (let round = 0; round < 16; round += 1) {
    const key = dm(`round${round}`);
    const b = builders();
    const uuids = new Set<string>();
    const deleted: boolean[] = [];
    const speak = async (by: SessionStorage) => {
      uuids.add((await append(by, key, [b.user("1"), b.assistant("2")])).uuid);
    };
    const remove = async (by: SessionStorage) => void deleted.push(await by.delete(key));
    await speak(storage);
    const racing = [
      () => speak(storage),
      () => remove(beside),
      () => speak(beside),
      () => look(storage, key),
      () => remove(storage),
    ];
    await Promise.all(racing.map((work) => atOddTimes(number, work)));
    assert.ok(deleted.includes(true), "one of several deletes finds the session");
    assert.ok(
      uuids.size > 1 || (await storage.read(key)) === undefined,
      "a session made after a delete has a new uuid",
    );
    for (const instance of [storage, beside]) {
      const record = await instance.read(key);
      const listed = (await collect(instance.list())).filter((other) => other.key === key);
      same(listed, record === undefined ? [] : [record], "list and read agree");
      for (const uuid of uuids)
        if (uuid !== record?.uuid) same(await everything(instance, uuid), [], "of a deleted session nothing is left");
      if (record !== undefined) await assertWhole(instance, key);
    }
  }
}

/** S13 and S16: what was deleted is gone, all of it. */
export const deleteChecks: readonly Check[] = [
  {
    clause: "S13",
    name: "delete removes record and transcript, and resolves to true, then to false",
    async run(trial) {
      const storage = await trial.open();
      same(await storage.delete(alice), false, "there is nothing to delete");
      const old = await say(storage, alice, "1", "2", "3");
      const other = await say(storage, bob, "1");
      same(await storage.delete(alice), true, "there was something to delete");
      same(await storage.delete(alice), false, "it has been deleted already");
      for (const instance of [storage, await trial.open()]) {
        same(await instance.read(alice), undefined, "the record is gone");
        same(await everything(instance, old.uuid), [], "the transcript is gone");
        same(await collect(instance.list({})), [other], "the other session is listed, and nothing else");
        same(contents(await everything(instance, other.uuid)), ["1"], "the other transcript is untouched");
      }
    },
  },
  {
    clause: "S13",
    name: "a session made after a delete starts empty, with the uuid of its own",
    async run(trial) {
      const storage = await trial.open();
      const old = await say(storage, alice, "1", "2", "3");
      await storage.delete(alice);
      const seen: unknown[] = [];
      const entries = [builders().user("again")];
      const record = await storage.update(alice, (current) => {
        seen.push(current);
        return appending(alice, entries)(current);
      });
      same(seen.at(-1), undefined, "the updater gets undefined");
      for (const instance of [storage, await trial.open()]) {
        same(await instance.read(alice), record, "the record is the new one");
        same(await everything(instance, record?.uuid ?? ""), entries, "the transcript has only what is new");
        same(await everything(instance, old.uuid), [], "the old transcript stays gone");
      }
      same(await storage.delete(alice), true, "it can be deleted again");
    },
  },
  {
    clause: "S13",
    name: "a delete is seen by a storage opened before, and outlives the one that did it",
    needs: "persistence",
    async run(trial) {
      const storage = await trial.open();
      const beside = await trial.open();
      const { uuid } = await say(storage, alice, "1");
      await beside.read(alice);
      same(await storage.delete(alice), true, "there was something to delete");
      same(await beside.read(alice), undefined, "the record is gone");
      same(await everything(beside, uuid), [], "the transcript is gone");
      same(await beside.delete(alice), false, "it has been deleted already");
      await storage.close();
      same(await collect((await trial.open()).list()), [], "nothing is listed");
    },
  },
  {
    clause: "S16",
    name: "a delete that races updates leaves a whole session or none",
    async run(trial) {
      const storage = await trial.open();
      await race(storage, storage);
    },
  },
  {
    clause: "S16",
    name: "of two deletes and an update at once none takes the record of a session and leaves its transcript",
    async run(trial) {
      const storage = await trial.open();
      for (let round = 0; round < 40; round += 1) {
        const key = dm(`round${round}`);
        const later = async <T>(hops: number, work: () => Promise<T>): Promise<T> => {
          for (let n = 0; n < hops; n += 1) await Promise.resolve();
          return work();
        };
        await say(storage, key, "1");
        const [{ uuid }] = await Promise.all([
          later(round % 10, () => say(storage, key, "2")),
          storage.delete(key),
          later(Math.floor(round / 10), () => storage.delete(key)),
        ]);
        const record = await storage.read(key);
        if (record === undefined) same(await everything(storage, uuid), [], "of a deleted session nothing is left");
        else await assertWhole(storage, key);
      }
    },
  },
  {
    clause: "S16",
    name: "a delete that races updates of a second instance leaves a whole session or none",
    needs: "persistence",
    async run(trial) {
      await race(await trial.open(), await trial.open());
    },
  },
];
