import assert from "node:assert/strict";
import { isSessionError } from "../../errors.js";
import type { SessionStorage } from "../../storage/storage.js";
import { builders } from "../builders.js";
import { assertCode, rejectsWith, same } from "./assertions.js";
import type { Check } from "./check.js";
import { alice, append, bob, collect, dm, everything, freshRecord, present, say } from "./sessions.js";

function everyCall(storage: SessionStorage, uuid: string): [string, () => Promise<unknown>][] {
  const record = freshRecord(bob);
  return [
    ["read", () => storage.read(alice)],
    ["update", () => storage.update(alice, () => undefined)],
    ["update that would write", () => storage.update(bob, () => ({ record }))],
    ["delete", () => storage.delete(alice)],
    ["delete of nothing", () => storage.delete(dm("nobody"))],
    ["claim", () => storage.claim(alice)],
    ["list", () => collect(storage.list())],
    ["list of none", () => collect(storage.list({ limit: 0 }))],
    ["entries", () => collect(storage.entries(uuid))],
    ["entries of nothing", () => collect(storage.entries("nothing"))],
  ];
}

/** S15: a closed storage has finished, and says so. */
export const closingChecks: readonly Check[] = [
  {
    clause: "S15",
    name: "after close every call rejects with ClosedError, and close twice is fine",
    async run(trial) {
      const storage = await trial.open();
      const { uuid } = await say(storage, alice, "1");
      await Promise.all([storage.close(), storage.close()]);
      await storage.close();
      for (let time = 0; time < 2; time += 1)
        for (const [what, call] of everyCall(storage, uuid)) await rejectsWith("CLOSED", call, `${what} after close`);
    },
  },
  {
    clause: "S15",
    name: "a storage that was never used closes",
    async run(trial) {
      await (await trial.open()).close();
    },
  },
  {
    clause: "S15",
    name: "when close resolves, every call made before is settled: done, or refused with ClosedError",
    async run(trial) {
      const storage = await trial.open();
      const { uuid } = await say(storage, alice, "1");
      const b = builders();
      const calls: Promise<unknown>[] = [
        append(storage, alice, [b.user("a")]),
        append(storage, bob, [b.user("b")]),
        storage.read(alice),
        storage.delete(dm("carol")),
        storage.claim(alice),
        storage.claim(alice),
        append(storage, alice, [b.user("c")]),
      ];
      const open = new Set(calls);
      for (const call of calls) {
        const done = () => void open.delete(call);
        call.then(done, done);
      }
      const list = Promise.allSettled([collect(storage.list()), collect(storage.entries(uuid))]);
      await storage.close();
      // Promises that wait for nothing but each other may still be handing on their results.
      for (let n = 0; n < 50; n += 1) await Promise.resolve();
      same(open.size, 0, "every call is settled");
      const results = await Promise.allSettled(calls);
      for (const result of [...results, ...(await trial.soon(list, "an open list"))])
        if (result.status === "rejected") assertCode(result.reason, "CLOSED", "a call that close overtook");
      if (!trial.persists) return;
      const later = await trial.open();
      const acknowledged = [results[0], results[6]].filter((result) => result?.status === "fulfilled").length;
      same((await everything(later, uuid)).length, 1 + acknowledged, "what was acknowledged is stored, and no more");
      same((await later.read(bob)) !== undefined, results[1]?.status === "fulfilled", "so is the other session");
    },
  },
  {
    clause: "S15",
    name: "close aborts the claims that are held, refuses those who wait, and release is still fine",
    async run(trial) {
      const storage = await trial.open();
      await say(storage, alice, "1");
      const held = await trial.granted(storage.claim(alice));
      const waiting = storage.claim(alice);
      assert.equal(held.signal.aborted, false, "a claim that is held has not been aborted");
      await storage.close();
      await rejectsWith("CLOSED", () => trial.granted(waiting), "a claim that was waited for");
      assert.ok(held.signal.aborted, "the claim's signal has aborted");
      assertCode(held.signal.reason, "CLOSED", "the signal of a claim that was held");
      await trial.soon(held.release(), "release");
    },
  },
  {
    clause: "S15",
    name: "a claim that was being granted while the storage closed is refused or aborted",
    async run(trial) {
      const storage = await trial.open();
      const claiming = Promise.allSettled([storage.claim(alice)]);
      await storage.close();
      const [result] = await trial.soon(claiming, "storage.claim");
      if (result.status === "fulfilled") assert.ok(result.value.signal.aborted, "the claim's signal has aborted");
      else assert.ok(isSessionError(result.reason, "CLOSED"), "the claim is refused with ClosedError");
    },
  },
  {
    clause: "S15",
    name: "close frees its claims for the next storage on the place",
    needs: "persistence",
    async run(trial) {
      const storage = await trial.open();
      const beside = await trial.open();
      await say(storage, alice, "1");
      await trial.granted(storage.claim(alice));
      const next = beside.claim(alice);
      await storage.close();
      await (await trial.granted(next)).release();
    },
  },
  {
    clause: "S15",
    name: "an updater never runs once close has resolved",
    async run(trial) {
      const storage = await trial.open();
      let closed = false;
      const runs: boolean[] = [];
      const updates = Promise.allSettled(
        Array.from({ length: 10 }, (_, n) =>
          storage.update(dm(`p${n}`), () => {
            runs.push(closed);
            return { record: freshRecord(dm(`p${n}`)) };
          }),
        ),
      );
      await storage.close();
      closed = true;
      await updates;
      assert.ok(!runs.includes(true), "no updater ran after close");
    },
  },
  {
    clause: "S15",
    name: "closing one instance leaves the others on its place alone",
    needs: "persistence",
    async run(trial) {
      const storage = await trial.open();
      const beside = await trial.open();
      await say(storage, alice, "1");
      const claim = await trial.granted(beside.claim(bob));
      await storage.close();
      assert.equal(claim.signal.aborted, false, "the claim of another instance is held on");
      const record = present(await beside.read(alice), "a record");
      same((await say(beside, alice, "2")).messageCount, record.messageCount + 1, "another instance goes on writing");
      await claim.release();
    },
  },
  {
    clause: "S15",
    name: "a reader that stops half way can close the storage at once",
    async run(trial) {
      const storage = await trial.open();
      const { uuid } = await say(storage, alice, "1", "2", "3");
      await say(storage, bob, "1");
      for await (const _ of storage.entries(uuid)) break;
      for await (const _ of storage.list()) break;
      await storage.close();
    },
  },
];
