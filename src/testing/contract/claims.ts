import assert from "node:assert/strict";
import type { Claim } from "../../storage/storage.js";
import { builders } from "../builders.js";
import { changesNothing, rejection, rejectsWith, same } from "./assertions.js";
import type { Check } from "./check.js";
import { alice, append, bob, collect, contents, dm, everything, freshRecord, say } from "./sessions.js";
import type { Trial } from "./trial.js";

/** Sees to it that what it is used for is never held twice. */
class OneHolder {
  #held = 0;
  readonly #trial: Trial;
  /** Who held it, in order. */
  readonly order: number[] = [];

  constructor(trial: Trial) {
    this.#trial = trial;
  }

  async use(claiming: Promise<Claim>, who: number, work: () => Promise<unknown>): Promise<void> {
    const claim = await this.#trial.granted(claiming);
    this.#held += 1;
    this.order.push(who);
    assert.equal(this.#held, 1, "one claim is held at a time");
    await work();
    assert.equal(this.#held, 1, "one claim is held at a time");
    assert.equal(claim.signal.aborted, false, "a claim that is held has not been aborted");
    this.#held -= 1;
    await this.#trial.soon(claim.release(), "release");
  }
}

/** S18: one claim a key. */
export const claimChecks: readonly Check[] = [
  {
    clause: "S18",
    name: "one claim per key at a time, and waiters are served in the order they asked",
    async run(trial) {
      const storage = await trial.open();
      await say(storage, alice, "1");
      const holder = new OneHolder(trial);
      await Promise.all(
        Array.from({ length: 12 }, (_, n) =>
          holder.use(storage.claim(alice), n, () => append(storage, alice, [builders().user(`${n}`)])),
        ),
      );
      same(
        holder.order,
        Array.from({ length: 12 }, (_, n) => n),
        "waiters are served in order",
      );
    },
  },
  {
    clause: "S18",
    name: "one claim at a time also for a session that is not made yet, and while it is made and deleted",
    async run(trial) {
      const storage = await trial.open();
      const holder = new OneHolder(trial);
      await Promise.all(
        Array.from({ length: 6 }, (_, n) =>
          holder.use(storage.claim(alice), n, () =>
            n % 2 ? storage.delete(alice) : say(storage, alice, `${n}`).then(() => storage.read(alice)),
          ),
        ),
      );
    },
  },
  {
    clause: "S18",
    name: "one claim at a time through two instances on one place",
    needs: "persistence",
    async run(trial) {
      const instances = [await trial.open(), await trial.open()];
      const holder = new OneHolder(trial);
      const uses = Array.from({ length: 4 }, (_, n) =>
        instances.map((storage) => holder.use(storage.claim(alice), n, () => say(storage, alice, `${n}`))),
      );
      await Promise.all(uses.flat());
    },
  },
  {
    clause: "S18",
    name: "claims of different keys are held together, each with a token of its own",
    async run(trial) {
      const storage = await trial.open();
      await say(storage, alice, "1");
      const keys = [alice, bob, dm("Alice"), dm("alice", "coder")];
      const claims = await Promise.all(keys.map((key) => trial.granted(storage.claim(key))));
      const tokens = new Set(claims.map((claim) => claim.token));
      for (const claim of claims) await claim.release();
      const again = await trial.granted(storage.claim(alice));
      tokens.add(again.token);
      await again.release();
      same(tokens.size, 5, "each holding has a token of its own");
    },
  },
  {
    clause: "S18",
    name: "release lets the next waiter in, once, also when called again and by leaving a block",
    async run(trial) {
      const storage = await trial.open();
      const first = await trial.granted(storage.claim(alice));
      const second = storage.claim(alice);
      const third = storage.claim(alice);
      assert.ok(await trial.stillOpen(second, storage, alice), "a waiter waits");
      await trial.soon(Promise.all([first.release(), first.release()]), "release");
      const held = await trial.granted(second);
      await first.release();
      assert.ok(await trial.stillOpen(third, storage, alice), "a second release lets nobody in");
      await trial.soon(held[Symbol.asyncDispose](), "release by leaving a block");
      await (await trial.granted(third)).release();
    },
  },
  {
    clause: "S18",
    name: "a waiter whose signal aborts gives up with its reason, and those behind it are served",
    async run(trial) {
      const storage = await trial.open();
      const reason = new Error("enough");
      const stop = new AbortController();
      const first = await trial.granted(storage.claim(alice));
      const second = storage.claim(alice, { signal: stop.signal });
      const third = storage.claim(alice, { signal: new AbortController().signal });
      assert.ok(await trial.stillOpen(second, storage, alice), "a waiter waits");
      stop.abort(reason);
      const given = [
        await rejection(() => trial.granted(second), "a waiter whose signal aborts"),
        await rejection(
          () => trial.granted(storage.claim(alice, { signal: stop.signal })),
          "one that had aborted before",
        ),
        await rejection(() => trial.granted(storage.claim(bob, { signal: stop.signal })), "one with nobody before it"),
      ];
      for (const error of given) assert.ok(error === reason, "claim rejects with the reason of the signal");
      assert.ok(await trial.stillOpen(third, storage, alice), "those behind wait on");
      await first.release();
      await (await trial.granted(third)).release();
      await (await trial.granted(storage.claim(bob))).release();
    },
  },
  {
    clause: "S18",
    name: "the signal of a wait has no say once the claim is held",
    async run(trial) {
      const storage = await trial.open();
      const stop = new AbortController();
      const claim = await trial.granted(storage.claim(alice, { signal: stop.signal }));
      const next = storage.claim(alice);
      stop.abort(new Error("enough"));
      assert.ok(await trial.stillOpen(next, storage, alice), "the claim is held on");
      assert.equal(claim.signal.aborted, false, "the claim is not lost");
      await append(storage, alice, [builders().user("mine")], { claim });
      await claim.release();
      await (await trial.granted(next)).release();
    },
  },
  {
    clause: "S18",
    name: "an abort at any moment around the grant leaves one holder at a time and nobody stuck",
    async run(trial) {
      const storage = await trial.open();
      await say(storage, alice, "1");
      for (let delay = 0; delay < 24; delay += 1) {
        const stop = new AbortController();
        const holder = new OneHolder(trial);
        const use = (claiming: Promise<Claim>) => holder.use(claiming, delay, () => storage.read(alice));
        const first = await trial.granted(storage.claim(alice));
        const waiters = Promise.allSettled([
          use(storage.claim(alice, { signal: stop.signal })),
          use(storage.claim(alice)),
          use(storage.claim(alice)),
        ]);
        await storage.read(alice);
        const releasing = first.release();
        for (let n = 0; n < delay; n += 1) await Promise.resolve();
        const reason = new Error("enough");
        stop.abort(reason);
        await trial.soon(releasing, "release");
        const [aborted, ...others] = await waiters;
        if (aborted?.status === "rejected") assert.ok(aborted.reason === reason, "a waiter gives up with its reason");
        for (const other of others) if (other.status === "rejected") throw other.reason;
      }
    },
  },
];

/** S20: a claim, and what it is not. */
export const claimedUpdateChecks: readonly Check[] = [
  {
    clause: "S20",
    name: "a claim blocks nothing but claims: read, update, list, entries and delete go on beside it",
    async run(trial) {
      const storage = await trial.open();
      const record = await say(storage, alice, "1");
      const claim = await trial.granted(storage.claim(alice));
      for (const instance of [storage, await trial.open()]) {
        await instance.read(alice);
        await append(instance, alice, [builders().clear()]);
        same((await collect(instance.list())).length, 1, "the session is listed");
        assert.ok((await everything(instance, record.uuid)).length > 1, "the clear is there");
      }
      await append(storage, alice, [builders().user("mine")], { claim });
      same(contents(await everything(storage, record.uuid)), ["1", "mine"], "an update with the claim writes");
      same(await storage.delete(alice), true, "the session is deleted");
      assert.equal(claim.signal.aborted, false, "the claim is held all the while");
      await claim.release();
    },
  },
  {
    clause: "S20",
    name: "update with a claim that has been released rejects with ClaimLostError and writes nothing",
    async run(trial) {
      const storage = await trial.open();
      await say(storage, alice, "1");
      const claim = await trial.granted(storage.claim(alice));
      await append(storage, alice, [builders().user("2")], { claim });
      let runs = 0;
      const late = () =>
        storage.update(
          alice,
          (current) => {
            runs += 1;
            return {
              record: { ...(current ?? freshRecord(alice)), messageCount: 99 },
              append: [builders().user("late")],
            };
          },
          { claim },
        );
      await changesNothing(storage, async () => {
        await claim.release();
        await rejectsWith("CLAIM_LOST", late, "update with a released claim");
        const next = await trial.granted(storage.claim(alice));
        await rejectsWith("CLAIM_LOST", late, "update with a claim that another holds now");
        await rejectsWith("CLAIM_LOST", () => storage.update(alice, () => undefined, { claim }), "also one of nothing");
        await next.release();
        await storage.update(alice, () => undefined);
      });
      assert.equal(runs, 0, "an updater without its claim does not run");
    },
  },
  {
    clause: "S20",
    name: "a claim serves its own session alone, and nobody else can make one up",
    async run(trial) {
      const storage = await trial.open();
      await say(storage, alice, "1");
      const others = await trial.granted(storage.claim(bob));
      const own = await trial.granted(storage.claim(alice));
      const made: Claim = { ...own, token: `${own.token}x`, release: own.release, [Symbol.asyncDispose]: own.release };
      const write = (claim: Claim) => () => append(storage, alice, [builders().user("x")], { claim });
      await changesNothing(storage, async () => {
        await rejectsWith("CLAIM_LOST", write(others), "update with the claim of another session");
        await rejectsWith("CLAIM_LOST", write(made), "update with a claim that was never granted");
      });
      await write(own)();
      await others.release();
      await own.release();
    },
  },
  {
    clause: "S20",
    name: "a claim lost by close has aborted, and is refused by every storage on the place",
    needs: "persistence",
    async run(trial) {
      const storage = await trial.open();
      const beside = await trial.open();
      await say(storage, alice, "1");
      const claim = await trial.granted(storage.claim(alice));
      await storage.close();
      assert.ok(claim.signal.aborted, "the claim's signal has aborted");
      await changesNothing(beside, () =>
        rejectsWith(
          "CLAIM_LOST",
          () => append(beside, alice, [builders().user("late")], { claim }),
          "update with a claim lost by close",
        ),
      );
    },
  },
];
