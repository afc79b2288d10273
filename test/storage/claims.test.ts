import { describe, expect, test } from "vitest";
import { type Claim, Claims } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { append, appending, collect, dm, say } from "./sessions.js";
import { storageKinds } from "./storage-kinds.js";

const alice = dm("alice");

/** Whether a promise is settled once everything that waits for nothing outside has run. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(
    () => (done = true),
    () => (done = true),
  );
  for (let n = 0; n < 3; n += 1) await new Promise((resolve) => setImmediate(resolve));
  return done;
}

describe.each(storageKinds)("$name", ({ place }) => {
  test("S18 one claim per key at a time; waiters are served in the order they asked", async () => {
    const storage = place().open();
    await say(storage, alice, 1);
    const order: number[] = [];
    let held = 0;
    await Promise.all(
      Array.from({ length: 20 }, async (_, n) => {
        const claim = await storage.claim(alice);
        held += 1;
        expect(held).toBe(1);
        order.push(n);
        await append(storage, alice, builders().user(`${n}`));
        held -= 1;
        await claim.release();
      }),
    );
    expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  test("S18 claims of different keys, also of sessions not yet made, are held together", async () => {
    const storage = place().open();
    await say(storage, alice, 1);
    const claims = await Promise.all([
      storage.claim(alice),
      storage.claim(dm("bob")),
      storage.claim(dm("alice", "coder")),
    ]);
    expect(new Set(claims.map((claim) => claim.token)).size).toBe(3);
    for (const claim of claims) await claim.release();
  });

  test("S18 release lets the next waiter in, also when called twice and by leaving a block", async () => {
    const storage = place().open();
    const first = await storage.claim(alice);
    const second = storage.claim(alice);
    const third = storage.claim(alice);
    expect(await settled(second)).toBe(false);
    await Promise.all([first.release(), first.release()]);
    await first.release();
    {
      await using held = await second;
      expect(held.signal.aborted).toBe(false);
      expect(await settled(third)).toBe(false);
    }
    await (await third).release();
  });

  test("S18 a waiter whose signal aborts gives up with its reason, and those behind it are served", async () => {
    const storage = place().open();
    const first = await storage.claim(alice);
    const stop = new AbortController();
    const reason = new Error("enough");
    const second = storage.claim(alice, { signal: stop.signal });
    const third = storage.claim(alice, { signal: new AbortController().signal });
    expect(await settled(second)).toBe(false);
    stop.abort(reason);
    await expect(second).rejects.toBe(reason);
    await expect(storage.claim(alice, { signal: stop.signal })).rejects.toBe(reason);
    expect(await settled(third)).toBe(false);
    await first.release();
    await (await third).release();
  });

  test("S18 an abort at any moment around the grant leaves one holder at a time and nobody stuck", async () => {
    const storage = place().open();
    await say(storage, alice, 1);
    for (let delay = 0; delay < 40; delay += 1) {
      const stop = new AbortController();
      let held = 0;
      const use = async (claiming: Promise<Claim>) => {
        const claim = await claiming;
        held += 1;
        expect(held).toBe(1);
        await settled(Promise.resolve());
        held -= 1;
        await claim.release();
      };
      const first = await storage.claim(alice);
      const waiters = Promise.allSettled([
        use(storage.claim(alice, { signal: stop.signal })),
        use(storage.claim(alice)),
        use(storage.claim(alice)),
      ]);
      await settled(Promise.resolve());
      const releasing = first.release();
      for (let n = 0; n < delay; n += 1) await Promise.resolve();
      stop.abort(new Error("enough"));
      await releasing;
      const [aborted, ...others] = await waiters;
      if (aborted?.status === "rejected") expect(aborted.reason).toMatchObject({ message: "enough" });
      expect(others.map((other) => other.status)).toEqual(["fulfilled", "fulfilled"]);
      await (await storage.claim(alice)).release();
    }
  });

  test("S20 a claim blocks nothing but claims", async () => {
    const home = place();
    const storage = home.open();
    const record = await say(storage, alice, 1);
    await using claim = await storage.claim(alice);
    const other = home.open();
    for (const instance of [storage, other]) {
      await instance.read(alice);
      await append(instance, alice, builders().clear());
      expect(await collect(instance.list())).toHaveLength(1);
      expect((await collect(instance.entries(record.uuid))).length).toBeGreaterThan(1);
    }
    await storage.update(alice, appending(alice, [builders().user("mine")]), { claim });
    expect(await storage.delete(alice)).toBe(true);
    expect(claim.signal.aborted).toBe(false);
  });

  test("S20 update with a claim that is no longer held rejects with ClaimLostError and writes nothing", async () => {
    const storage = place().open();
    const record = await say(storage, alice, 1);
    const claim = await storage.claim(alice);
    const write = () => storage.update(alice, appending(alice, [builders().user("late")]), { claim });
    await claim.release();
    await expect(write()).rejects.toMatchObject({ code: "CLAIM_LOST", name: "ClaimLostError" });
    await using _next = await storage.claim(alice);
    await expect(write()).rejects.toMatchObject({ code: "CLAIM_LOST" });
    expect(await storage.read(alice)).toEqual(record);
    expect(await collect(storage.entries(record.uuid))).toHaveLength(1);
  });

  test("S20 a claim serves its own session alone", async () => {
    const storage = place().open();
    const record = await say(storage, alice, 1);
    await using claim = await storage.claim(dm("bob"));
    const write = storage.update(alice, appending(alice, [builders().user("x")]), { claim });
    await expect(write).rejects.toMatchObject({ code: "CLAIM_LOST" });
    expect(await storage.read(alice)).toEqual(record);
  });
});

describe("a claim whose hold cannot be let go at once", () => {
  /** Claims against others, of which nobody can be let in until a second attempt. */
  function stubborn() {
    let tokens = 0;
    const claims = new Claims(() => `token ${++tokens}`);
    const asked: string[] = [];
    const fault = new Error("EIO");
    const acquire = (fails: boolean) =>
      claims.acquire(alice, undefined, async (token) => ({
        isHeld: () => true,
        lost: new AbortController().signal,
        release: async () => {
          asked.push(token);
          if (fails && asked.length === 1) throw fault;
        },
      }));
    return { claims, acquire, asked, fault };
  }

  test("S18 is asked for again by a second release, and lets those in this process in one by one", async () => {
    const { claims, acquire, asked, fault } = stubborn();
    const first = await acquire(true);
    const second = acquire(false);
    const third = acquire(false);
    expect(await settled(second)).toBe(false);
    await expect(first.release()).rejects.toBe(fault);
    const held = await second;
    expect(claims.holds(held, alice)).toBe(true);
    expect(claims.holds(first, alice)).toBe(false);
    await first.release();
    expect(asked).toEqual([first.token, first.token]);
    // The next has been let in by the first attempt, and not once more by the second.
    expect(await settled(third)).toBe(false);
    expect(claims.holds(held, alice)).toBe(true);
    await Promise.all([first.release(), first.release()]);
    expect(asked).toHaveLength(2);
    expect(await settled(third)).toBe(false);
    await held.release();
    await (await third).release();
    expect(asked).toHaveLength(4);
    await (await acquire(false)).release();
  });

  test("S18 tells all who let go of it at once of the fault, and asks once", async () => {
    const { acquire, asked, fault } = stubborn();
    const claim = await acquire(true);
    const releases = await Promise.allSettled([claim.release(), claim.release(), claim.release()]);
    expect(releases).toEqual(releases.map(() => ({ status: "rejected", reason: fault })));
    expect(asked).toHaveLength(1);
    await Promise.all([claim.release(), claim[Symbol.asyncDispose]()]);
    expect(asked).toHaveLength(2);
  });
});
