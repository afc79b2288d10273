import { describe, expect, test } from "vitest";
import type { Session } from "../../../src/index.js";
import { linesOf, tempDir } from "../store-dir.js";
import { heard, historyOf, hostOf, KEY, marks, marksIn, speaker, talk, toolStep, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";

const reply = (_request: unknown, nth: number) =>
  nth % 3 === 0
    ? {
        messages: [
          ...toolStep(`t${nth}`, words(`r${nth}:`, 60)),
          { role: "assistant" as const, content: `answer ${nth}.` },
        ],
      }
    : words(`answer ${nth}:`, 60);
const fake = () => limitedModel({ window: 100_000, reply });
const shown = async (session: Session) => (await session.context()).messages;

describe("G7 a compaction can be taken back", () => {
  test("and the context is what it was, message by message", async () => {
    await using manager = hostOf(fake());
    await talk(manager, speaker(), 8);
    const session = await manager.open(KEY);
    const before = await session.context();
    const tokens = (await session.status()).tokensUsed;
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    expect(await shown(session)).not.toEqual(before.messages);
    const undone = heard(manager, "compaction.undone");
    expect(await session.undoCompaction()).toBe(true);
    expect(await shown(session)).toEqual(before.messages);
    expect((await session.context()).summary).toBeUndefined();
    expect((await session.context()).state).toEqual({ ...before.state, memoryFlushed: true });
    expect(await session.status()).toMatchObject({ compactions: 0, tokensUsed: tokens });
    expect(undone).toMatchObject([{ key: KEY, uuid: session.uuid }]);
  });

  test("with what came since behind it, also while the model sees it", async () => {
    const model = fake();
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8);
    const session = await manager.open(KEY);
    const before = await shown(session);
    await session.compact();
    await talk(manager, say, 2);
    await session.append({ role: "user", content: "and this" });
    await session.undoCompaction();
    const after = await shown(session);
    expect(after.slice(0, before.length)).toEqual(before);
    expect(marksIn(after)).toEqual(marks(1, 10));
    expect(after.at(-1)).toEqual({ role: "user", content: "and this" });
    await manager.handle(say());
    expect(model.calls.at(-1)?.messages.slice(0, after.length)).toEqual(after);
  });

  test("twice takes back two, and a third time says that there is none", async () => {
    const model = fake();
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8);
    const session = await manager.open(KEY);
    expect(await session.undoCompaction()).toBe(false);
    const first = await shown(session);
    await session.compact();
    await talk(manager, say, 8);
    const second = await session.context();
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    expect(await session.undoCompaction()).toBe(true);
    expect(await shown(session)).toEqual(second.messages);
    expect((await session.context()).summary).toBe(second.summary);
    expect(await session.status()).toMatchObject({ compactions: 1 });
    expect(await session.undoCompaction()).toBe(true);
    const all = await shown(session);
    expect(all.slice(0, first.length)).toEqual(first);
    expect(marksIn(all)).toEqual(marks(1, 16));
    expect(await session.undoCompaction()).toBe(false);
    expect(await session.status()).toMatchObject({ compactions: 0, state: { lastCompaction: null } });
  });

  test("and done again: the next summary carries on the one that is in force, not the one taken back", async () => {
    const model = fake();
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8);
    const session = await manager.open(KEY);
    await session.compact();
    await talk(manager, say, 6);
    await session.compact();
    await session.undoCompaction();
    const before = await shown(session);
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    const [first, second, third] = model.of("summary");
    expect(third?.text).toContain("Notes no. 1");
    expect(third?.text).not.toContain("Notes no. 2");
    expect(marksIn(third?.messages ?? [])).toEqual(marksIn(second?.messages ?? []));
    expect(marksIn(first?.messages ?? [])[0]).toBe("q1.");
    await session.undoCompaction();
    expect(await shown(session)).toEqual(before);
  });

  test("after the store was opened again from disk", async () => {
    const dir = tempDir();
    const say = speaker();
    const first = hostOf(fake(), {}, { dir });
    await talk(first, say, 8);
    const one = await first.open(KEY);
    const whole = await shown(one);
    await one.compact();
    await talk(first, say, 4);
    const between = await shown(one);
    await one.compact();
    await first.close();

    const second = hostOf(fake(), {}, { dir });
    const two = await second.open(KEY);
    expect(await two.undoCompaction()).toBe(true);
    expect(await shown(two)).toEqual(between);
    await second.close();

    await using third = hostOf(fake(), {}, { dir });
    const three = await third.open(KEY);
    expect(await shown(three)).toEqual(between);
    expect(await three.undoCompaction()).toBe(true);
    expect((await shown(three)).slice(0, whole.length)).toEqual(whole);
    expect(marksIn(await historyOf(third))).toEqual(marks(1, 12));
    const lines = await linesOf(third, dir, KEY);
    expect(lines.filter(({ type }) => type === "compaction")).toHaveLength(2);
    expect(lines.filter(({ type }) => type === "undo")).toHaveLength(2);
  });

  test("that an overflow or the threshold made, while the messages of the turn stay in order", async () => {
    const model = limitedModel({ window: 4096, reply: (_request, nth) => words(`answer ${nth}:`, 100) });
    await using manager = hostOf(model);
    const say = speaker();
    while (model.of("summary").length === 0) await manager.handle(say());
    const session = await manager.open(KEY);
    expect(await session.undoCompaction()).toBe(true);
    expect(await shown(session)).toEqual((await historyOf(manager)).map(({ role, content }) => ({ role, content })));
    expect(await manager.handle(say())).toMatchObject({ status: "replied" });
    expect(model.of("reply").every(({ refused }) => !refused)).toBe(true);
  });

  test("is not reached behind a clear", async () => {
    await using manager = hostOf(fake());
    const say = speaker();
    await talk(manager, say, 8);
    const session = await manager.open(KEY);
    await session.compact();
    await session.clear();
    await talk(manager, say, 1);
    expect(await session.undoCompaction()).toBe(false);
    expect(marksIn(await shown(session))).toEqual(["q9."]);
  });

  test("keeps what was said of the memory: what was flushed before the compaction is flushed after the undo", async () => {
    const model = fake();
    await using manager = hostOf(model);
    await talk(manager, speaker(), 8);
    const session = await manager.open(KEY);
    await session.compact();
    await session.undoCompaction();
    expect(await session.status()).toMatchObject({
      state: { memoryFlushed: true },
      memoryFlush: { status: "completed" },
    });
    await session.compact();
    expect(model.of("memory-flush")).toHaveLength(1);
  });
});
