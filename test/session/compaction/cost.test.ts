import { expect, test } from "vitest";
import { type EntryRange, JsonlStorage, type SessionStorage } from "../../../src/index.js";
import { tempDir } from "../store-dir.js";
import { hostOf, KEY, speaker, talk, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";

/** A storage that counts what is read of transcripts. */
function counted(inner: SessionStorage): {
  storage: SessionStorage;
  read: { ranges: (EntryRange | undefined)[]; entries: number };
} {
  const read: { ranges: (EntryRange | undefined)[]; entries: number } = { ranges: [], entries: 0 };
  const storage: SessionStorage = {
    read: (key) => inner.read(key),
    update: (...args) => inner.update(...args),
    claim: (...args) => inner.claim(...args),
    delete: (key) => inner.delete(key),
    list: (query) => inner.list(query),
    async *entries(uuid, range) {
      read.ranges.push(range);
      for await (const entry of inner.entries(uuid, range)) {
        read.entries += 1;
        yield entry;
      }
    },
    close: () => inner.close(),
  };
  return { storage, read };
}

test("the context of a session of thousands of messages with a compaction is read from the end of its file alone", async () => {
  const { storage, read } = counted(new JsonlStorage({ dir: tempDir(), durability: "off" }));
  const model = limitedModel({ window: 200_000, reply: (_request, nth) => words(`answer ${nth}:`, 20) });
  await using manager = hostOf(model, {}, { storage });
  const session = await manager.open(KEY);
  const pair = [
    { role: "user", content: words("q:", 20) },
    { role: "assistant", content: words("a:", 20) },
  ] as const;
  for (let n = 0; n < 20; n += 1) await session.append(...Array(150).fill(pair).flat());
  expect((await session.status()).messageCount).toBe(6000);
  expect(await session.compact()).toMatchObject({ status: "compacted" });
  const whole = (await session.context()).messages.length;
  const say = speaker();
  const costOf = async (work: () => Promise<unknown>) => {
    read.ranges = [];
    read.entries = 0;
    await work();
    return { ...read };
  };
  for (const work of [() => session.context(), () => session.status(), () => talk(manager, say, 1, 20)]) {
    const { ranges, entries } = await costOf(work);
    expect(ranges.length).toBeGreaterThanOrEqual(1);
    expect(ranges.every((range) => range?.last !== undefined)).toBe(true);
    // From the end, four times as far at each try: at most five thirds of four times what is in the window.
    expect(entries).toBeLessThanOrEqual(Math.max(512, 8 * whole));
  }
  await session.compact();
  await talk(manager, say, 2, 20);
  const { entries } = await costOf(() => session.context());
  expect(entries).toBeLessThanOrEqual(4096);
});
