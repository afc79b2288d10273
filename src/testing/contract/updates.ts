import assert from "node:assert/strict";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { TranscriptEntry } from "../../core/entry.js";
import type { SessionRecord } from "../../core/record.js";
import { builders } from "../builders.js";
import { assertWhole, changesNothing, rejection, rejectsWithTypeError, same } from "./assertions.js";
import type { Check } from "./check.js";
import { alice, append, contents, countOf, dm, everything, freshRecord, increment, present, say } from "./sessions.js";

const AT_ONCE = 40;

const noChanges: readonly (readonly [string, unknown])[] = [
  ["null", null],
  ["a number", 1],
  ["a text", "record"],
  ["a change without a record", { append: [] }],
  ["a record that is none", { record: { key: alice } }],
  ["entries that are no list", { record: freshRecord(alice), append: "abc" }],
];

/** S4 to S7: updates are atomic, one after the other, and only what a synchronous updater decided. */
export const updateChecks: readonly Check[] = [
  {
    clause: "S4",
    name: "record and entries of an update become visible together to whoever reads beside it",
    async run(trial) {
      const writer = await trial.open();
      const reader = await trial.open();
      const b = builders();
      const { uuid } = await append(writer, alice, [b.user("0"), b.assistant("0")]);
      let writing = true;
      const write = async () => {
        try {
          for (let n = 1; n <= 20; n += 1) await append(writer, alice, [b.user(`${n}`), b.assistant(`${n}`)]);
        } finally {
          writing = false;
        }
      };
      const read = async () => {
        do {
          // Storages whose promises wait for nothing outside would let no one else have a turn.
          await nextTurn();
          const before = present(await reader.read(alice), "a record");
          const { length } = await everything(reader, uuid);
          const after = present(await reader.read(alice), "a record");
          assert.equal(length % 2, 0, "the entries of an update are seen all or none");
          assert.ok(length >= before.messageCount, "entries are there as soon as their record is");
          assert.ok(length <= after.messageCount, "a record is there as soon as its entries are");
        } while (writing);
      };
      await Promise.all([write(), read()]);
      same((await everything(reader, uuid)).length, 42, "everything is there in the end");
    },
  },
  {
    clause: "S4",
    name: "an update that cannot be stored whole is stored not at all",
    async run(trial) {
      const storage = await trial.open();
      const record = await say(storage, alice, "1");
      const b = builders();
      const circular: Record<string, unknown> = {};
      circular.self = circular;
      const broken: TranscriptEntry[] = [b.user("x", { providerData: 1n }), b.user("x", { providerData: circular })];
      await changesNothing(storage, async () => {
        for (const entry of broken) {
          const change = { record: { ...record, messageCount: 3 }, append: [b.user("2"), entry, b.user("3")] };
          await rejection(() => storage.update(alice, () => change), "an entry that JSON cannot hold");
        }
        const change = { record: { ...record, ofTheHost: 1n } as SessionRecord, append: [b.user("2")] };
        await rejection(() => storage.update(alice, () => change), "a record that JSON cannot hold");
      });
      same((await say(storage, alice, "2")).messageCount, 2, "the next update works");
    },
  },
  {
    clause: "S5",
    name: "concurrent increments of one key add up",
    async run(trial) {
      const storage = await trial.open();
      await Promise.all(Array.from({ length: AT_ONCE }, () => storage.update(alice, increment(alice))));
      same(countOf(await storage.read(alice)), AT_ONCE, "every increment counts");
    },
  },
  {
    clause: "S5",
    name: "concurrent appends to one key all arrive, each seeing those before it",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const entries = Array.from({ length: AT_ONCE }, (_, n) => b.user(`${n}`));
      const records = await Promise.all(entries.map((entry) => append(storage, alice, [entry])));
      const inOrder: TranscriptEntry[] = [];
      for (const [n, record] of records.entries()) {
        const entry = entries[n];
        if (entry !== undefined) inOrder[record.messageCount - 1] = entry;
      }
      same(await everything(storage, records[0]?.uuid ?? ""), inOrder, "each stands where its record says");
      await assertWhole(storage);
    },
  },
  {
    clause: "S5",
    name: "concurrent updates of many keys each reach their own",
    async run(trial) {
      const storage = await trial.open();
      const keys = Array.from({ length: 8 }, (_, n) => dm(`p${n}`));
      const updates = keys.flatMap((key, n) =>
        Array.from({ length: n + 1 }, () => storage.update(key, increment(key))),
      );
      await Promise.all(updates);
      for (const [n, key] of keys.entries()) same(countOf(await storage.read(key)), n + 1, "every increment counts");
    },
  },
  {
    clause: "S5",
    name: "increments through two instances on one place add up",
    needs: "persistence",
    async run(trial) {
      const instances = [await trial.open(), await trial.open()];
      // The first update makes the session: who makes it is part of the race.
      const each = () =>
        instances.map((storage) => Array.from({ length: 10 }, () => storage.update(alice, increment(alice))));
      await Promise.all([...each(), ...each()].flat());
      for (const storage of instances)
        same(countOf(await storage.read(alice)), 4 * 10, "every increment counts, and both see it");
    },
  },
  {
    clause: "S6",
    name: "an asynchronous updater is refused with TypeError, and nothing is written",
    async run(trial) {
      const storage = await trial.open();
      const asynchronous: (() => unknown)[] = [
        async () => ({ record: freshRecord(alice) }),
        async () => undefined,
        // biome-ignore lint/suspicious/noThenProperty: a thenable is what is refused
        () => ({ record: freshRecord(alice), then: () => undefined }),
      ];
      const refuse = async () => {
        for (const updater of asynchronous)
          await rejectsWithTypeError(() => storage.update(alice, updater as never), "an asynchronous updater");
      };
      await refuse();
      same(await storage.read(alice), undefined, "nothing is written");
      await say(storage, alice, "1");
      await changesNothing(storage, refuse);
      same((await say(storage, alice, "2")).messageCount, 2, "the next update works");
    },
  },
  {
    clause: "S6",
    name: "an updater that returns no change at all is refused with TypeError, and nothing is written",
    async run(trial) {
      const storage = await trial.open();
      const refuse = async () => {
        for (const [what, value] of noChanges)
          await rejectsWithTypeError(
            () => storage.update(alice, () => value as never),
            `an updater that returns ${what}`,
          );
      };
      await refuse();
      same(await storage.read(alice), undefined, "nothing is written");
      await say(storage, alice, "1");
      await changesNothing(storage, refuse);
    },
  },
  {
    clause: "S7",
    name: "an updater that throws rejects with that same error, and nothing is written",
    async run(trial) {
      const storage = await trial.open();
      const thrown = [new Error("mine"), new TypeError("mine too"), "a text", undefined];
      const fail = async () => {
        for (const own of thrown) {
          const call = () =>
            storage.update(alice, () => {
              throw own;
            });
          assert.ok((await rejection(call, "an updater that throws")) === own, "update rejects with what was thrown");
        }
      };
      await fail();
      same(await storage.read(alice), undefined, "nothing is written");
      await say(storage, alice, "1");
      await changesNothing(storage, fail);
      same((await say(storage, alice, "2")).messageCount, 2, "the next update works");
    },
  },
  {
    clause: "S7",
    name: "an updater that throws among others costs them nothing",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const own = new Error("mine");
      const results = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => {
          if (n % 3 !== 1) return append(storage, alice, [b.user(`${n}`)]);
          return storage.update(alice, () => {
            throw own;
          });
        }),
      );
      for (const [n, result] of results.entries()) {
        if (n % 3 !== 1) same(result.status, "fulfilled", "an update beside a failing one is done");
        else assert.ok(result.status === "rejected" && result.reason === own, "each gets its own error");
      }
      const { uuid } = present(await storage.read(alice), "a record");
      const expected = Array.from({ length: 20 }, (_, n) => n).filter((n) => n % 3 !== 1);
      const told = contents(await everything(storage, uuid)).map(Number);
      same(
        told.sort((a, c) => a - c),
        expected,
        "every other update is there",
      );
      await assertWhole(storage);
    },
  },
];
