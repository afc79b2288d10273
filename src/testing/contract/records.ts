import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import type { SessionRecord } from "../../core/record.js";
import { builders } from "../builders.js";
import { changesNothing, rejectsWith, same } from "./assertions.js";
import type { Check } from "./check.js";
import { alice, append, appending, bob, collect, contents, dm, everything, freshRecord, say } from "./sessions.js";

/** S1 to S3: reading, creating, and leaving alone. */
export const recordChecks: readonly Check[] = [
  {
    clause: "S1",
    name: "a key never written reads as undefined, also beside others that were",
    async run(trial) {
      const storage = await trial.open();
      same(await storage.read(alice), undefined, "an empty storage has no record");
      await say(storage, bob, "1");
      same(await storage.read(alice), undefined, "a key never written has no record");
    },
  },
  {
    clause: "S1",
    name: "neither a read, a claim, a delete nor a list makes a session",
    async run(trial) {
      const storage = await trial.open();
      const assertNothing = async () => {
        same(await storage.read(alice), undefined, "there is no record");
        same(await collect(storage.list()), [], "nothing is listed");
      };
      await assertNothing();
      const claim = await trial.granted(storage.claim(alice));
      await assertNothing();
      await claim.release();
      await assertNothing();
      same(await storage.delete(alice), false, "there is nothing to delete");
      await assertNothing();
    },
  },
  {
    clause: "S2",
    name: "an updater that gets undefined creates the session, and read equals the record it returned",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const change = appending(alice, [b.user("hello"), b.state({ modelOverride: "gpt-4o" })])(undefined);
      const seen: unknown[] = [];
      const updated = await storage.update(alice, (current) => {
        seen.push(current);
        return change;
      });
      for (const current of seen) same(current, undefined, "the updater gets undefined");
      assert.notEqual(seen.length, 0, "the updater runs");
      same(updated, change.record, "update resolves to the record it wrote");
      same(await storage.read(alice), change.record, "read gives the record");
      same(await everything(storage, change.record.uuid), change.append, "entries gives the entries");
    },
  },
  {
    clause: "S2",
    name: "a session is created without a single entry",
    async run(trial) {
      const storage = await trial.open();
      const record = freshRecord(alice);
      same(await storage.update(alice, () => ({ record })), record, "update resolves to the record");
      same(await (await trial.open()).read(alice), record, "read gives the record");
      same(await everything(storage, record.uuid), [], "its transcript is empty");
      same(await collect(storage.list()), [record], "it is listed");
    },
  },
  {
    clause: "S2",
    name: "a record is replaced by the one given, whole: also where it does not follow from the entries",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const first = {
        ...freshRecord(alice),
        messageCount: 7,
        contextTokens: 12,
        openTurns: ["x"],
        ofTheHost: { a: 1 },
      };
      await storage.update(alice, () => ({ record: first, append: [b.user("1")] }));
      same(await storage.read(alice), first, "read gives the record, with fields this version does not know");
      const second = { ...freshRecord(alice, first.uuid), messageCount: 3, lastActive: "2026-03-19T10:00:00Z" };
      const seen: unknown[] = [];
      const updated = await storage.update(alice, (current) => {
        seen.push(current);
        return { record: second };
      });
      same(seen.at(-1), first, "the updater gets the current record");
      same(updated, second, "update resolves to the new record");
      same(await (await trial.open()).read(alice), second, "nothing of the old record is left");
      same(contents(await everything(storage, first.uuid)), ["1"], "an update without entries appends none");
      const third = await append(storage, alice, [b.user("2")]);
      same(third.messageCount, 4, "the next update begins with this record");
    },
  },
  {
    clause: "S2",
    name: "a record under another key or with another uuid is refused with a StorageError, and nothing is written",
    async run(trial) {
      const storage = await trial.open();
      const record = await say(storage, alice, "1");
      const other = await say(storage, bob, "1");
      const refused = (wrong: SessionRecord, what: string) =>
        rejectsWith("STORAGE", () => storage.update(alice, () => ({ record: wrong })), `a record with ${what}`);
      await changesNothing(storage, async () => {
        await refused({ ...record, key: bob }, "the key of another session");
        await refused({ ...record, uuid: randomUUID() }, "a new uuid");
        await refused({ ...record, uuid: other.uuid }, "the uuid of another session");
      });
      same(await storage.read(bob), other, "the other session is untouched");
    },
  },
  {
    clause: "S2",
    name: "a new session cannot take the transcript of another, also one in which nobody has spoken",
    async run(trial) {
      const storage = await trial.open();
      const silent = freshRecord(alice);
      await storage.update(alice, () => ({ record: silent }));
      const spoken = await say(storage, bob, "1");
      const eve = dm("eve");
      for (const { uuid } of [silent, spoken]) {
        const thief = () => ({ record: freshRecord(eve, uuid), append: [builders().user("mine now")] });
        await rejectsWith("STORAGE", () => storage.update(eve, thief), "a new session with the uuid of another");
      }
      same(await storage.read(eve), undefined, "nothing is written");
      same(await storage.read(alice), silent, "the first session is untouched");
      same(contents(await everything(storage, spoken.uuid)), ["1"], "the second session is untouched");
    },
  },
  {
    clause: "S3",
    name: "an updater that returns undefined writes nothing and resolves to the current record",
    async run(trial) {
      const storage = await trial.open();
      same(await storage.update(alice, () => undefined), undefined, "there is no record to resolve to");
      same(await storage.read(alice), undefined, "nothing is created");
      same(await collect(storage.list()), [], "nothing is listed");
      const record = await say(storage, alice, "1");
      await changesNothing(storage, async () => {
        same(await storage.update(alice, () => undefined), record, "update resolves to the current record");
      });
      same((await say(storage, alice, "2")).messageCount, 2, "the next update works");
    },
  },
  {
    clause: "S3",
    name: "an updater that changed what it got and then returns undefined has changed nothing",
    async run(trial) {
      const storage = await trial.open();
      const record = await say(storage, alice, "1");
      const updated = await storage.update(alice, (current) => {
        if (current !== undefined) current.messageCount = 99;
        return undefined;
      });
      same(updated, record, "update resolves to the current record");
      same(await storage.read(alice), record, "the record is as it was");
    },
  },
];
