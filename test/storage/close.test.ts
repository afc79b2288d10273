import { describe, expect, test } from "vitest";
import { ClosedError } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { append, appending, collect, dm, freshRecord, say } from "./sessions.js";
import { storageKinds } from "./storage-kinds.js";

const alice = dm("alice");

describe.each(storageKinds)("$name", ({ place, persists }) => {
  test("S15 after close every call rejects with ClosedError, and close twice is fine", async () => {
    const storage = place().open();
    const { uuid } = await say(storage, alice, 1);
    await Promise.all([storage.close(), storage.close()]);
    await storage.close();
    const calls: (() => Promise<unknown>)[] = [
      () => storage.read(alice),
      () => storage.update(alice, () => undefined),
      () => storage.delete(alice),
      () => storage.claim(alice),
      () => collect(storage.list()),
      () => collect(storage.entries(uuid)),
    ];
    for (const call of calls) {
      await expect(call()).rejects.toBeInstanceOf(ClosedError);
      await expect(call()).rejects.toMatchObject({ code: "CLOSED" });
    }
  });

  test("S15 a storage that was never used closes", async () => {
    await place().open().close();
  });

  test.each(["a storage at work", "a storage just opened"])(
    "S15 when close of %s resolves, every call made before it is settled, and what was acknowledged is stored",
    async (state) => {
      const home = place();
      const first = home.open();
      const record = await say(first, alice, 1);
      if (persists) await first.close();
      const storage = home.open();
      if (state === "a storage at work") await storage.read(alice);
      const b = builders();
      const calls = [
        append(storage, alice, b.user("a")),
        storage.read(alice),
        collect(storage.list()),
        append(storage, dm("bob"), b.user("b")),
        storage.delete(dm("carol")),
        storage.claim(alice),
        storage.claim(alice),
        append(storage, alice, b.user("c")),
      ];
      const open = new Set(calls);
      for (const call of calls) {
        const done = () => void open.delete(call);
        call.then(done, done);
      }
      await storage.close();
      // Promises that wait for nothing but each other may still be handing on their results.
      for (let n = 0; n < 20; n += 1) await Promise.resolve();
      expect(open.size).toBe(0);
      const results = await Promise.allSettled(calls);
      for (const result of results) if (result.status === "rejected") expect(result.reason).toBeInstanceOf(ClosedError);
      if (!persists) return;
      const acknowledged = [results[0], results[7]].filter((result) => result?.status === "fulfilled").length;
      expect(await collect(home.open().entries(record.uuid))).toHaveLength(1 + acknowledged);
      expect((await home.open().read(dm("bob"))) !== undefined).toBe(results[3]?.status === "fulfilled");
    },
  );

  test("S15 close aborts the claims that are held and refuses those who wait", async () => {
    const home = place();
    const storage = home.open();
    await say(storage, alice, 1);
    const held = await storage.claim(alice);
    const waiting = storage.claim(alice);
    const refused = expect(waiting).rejects.toBeInstanceOf(ClosedError);
    await storage.close();
    await refused;
    expect(held.signal.aborted).toBe(true);
    expect(held.signal.reason).toBeInstanceOf(ClosedError);
    await held.release();
  });

  test("S15 a claim that was being granted while the storage closed is refused or aborted", async () => {
    const home = place();
    const storage = home.open();
    await say(storage, alice, 1);
    const claiming = Promise.allSettled([storage.claim(alice)]);
    await storage.close();
    const [result] = await claiming;
    if (result.status === "fulfilled") expect(result.value.signal.aborted).toBe(true);
    else expect(result.reason).toBeInstanceOf(ClosedError);
  });

  test.runIf(persists)(
    "S15 what a storage held is free for others once it is closed, also without release",
    async () => {
      const home = place();
      const storage = home.open();
      await say(storage, alice, 1);
      const held = [await storage.claim(alice), await storage.claim(dm("bob"))];
      const other = home.open();
      const waiting = other.claim(alice);
      await storage.close();
      await (await waiting).release();
      await (await other.claim(dm("bob"))).release();
      const next = await other.claim(alice);
      for (const claim of held) await claim.release();
      expect(next.signal.aborted).toBe(false);
      await other.update(alice, appending(alice, [builders().user("2")]), { claim: next });
      await next.release();
    },
  );

  test.runIf(persists)("S15 close refuses also who waits for a claim that another storage holds", async () => {
    const home = place();
    const storage = home.open();
    await say(storage, alice, 1);
    await using _held = await storage.claim(alice);
    const other = home.open();
    await other.read(alice);
    const refused = [other.claim(alice), other.claim(alice)].map((claiming) =>
      expect(claiming).rejects.toBeInstanceOf(ClosedError),
    );
    await (await other.claim(dm("bob"))).release();
    await other.close();
    await Promise.all(refused);
  });

  test("S15 an updater never runs once close has resolved", async () => {
    const storage = place().open();
    let closed = false;
    const runs: boolean[] = [];
    const updates = Array.from({ length: 10 }, (_, n) =>
      storage.update(dm(`p${n}`), () => {
        runs.push(closed);
        return appending(dm(`p${n}`), [builders().user("x")])(undefined);
      }),
    );
    const ended = Promise.allSettled(updates);
    await storage.close();
    closed = true;
    await ended;
    expect(runs).not.toContain(true);
  });

  test("a reader that stops half way can close the storage at once", async () => {
    const storage = place().open();
    const { uuid } = await say(storage, alice, 5);
    for await (const _ of storage.entries(uuid)) break;
    for await (const _ of storage.list()) break;
    await storage.close();
    expect(freshRecord(alice).key).toBe(alice);
  });
});
