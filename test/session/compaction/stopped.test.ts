import { describe, expect, test } from "vitest";
import { heard, historyOf, hostOf, KEY, marks, marksIn, once, speaker, talk, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";
import { NOTES, thinking } from "./thinking-model.js";

const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);
const never = new Promise<never>(() => {});

describe("what stops a compaction", () => {
  test("`/stop` ends one that was asked for: the history is as it was", async () => {
    const { asked, manager } = thinking();
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 8);
    const session = await manager.open(KEY);
    const before = (await session.context()).messages;
    const compacting = manager.handle({ ...say(), text: "/compact" });
    const signal = await asked;
    expect(await manager.handle({ ...say(), text: "/stop" })).toMatchObject({ text: "Stopped." });
    expect(await compacting).toMatchObject({ status: "command", text: expect.stringContaining("as it was") });
    expect(signal.aborted).toBe(true);
    expect((await session.context()).messages).toEqual(before);
    expect(await manager.handle({ ...say(), text: "/stop" })).toMatchObject({ text: "Nothing is running." });
  });

  test("`/stop` ends the turn that waits for one, and the message is kept", async () => {
    const { model, asked, manager } = thinking(4096);
    await using _closed = manager;
    const say = speaker();
    const outcomes: unknown[] = [];
    const turns = (async () => {
      for (let n = 0; n < 30; n += 1) {
        const outcome = await manager.handle(say());
        outcomes.push(outcome.status);
        if (outcome.status === "aborted") return;
      }
    })();
    await asked;
    await manager.handle({ ...say(), text: "/stop" });
    await turns;
    expect(outcomes.at(-1)).toBe("aborted");
    expect(model.of("reply")).toHaveLength(outcomes.length - 1);
    const history = await historyOf(manager);
    expect(marksIn(history)).toEqual(marks(1, outcomes.length));
    expect((await manager.get(KEY))?.openTurns).toEqual([]);
  });

  test("the signal of `compact` ends it; the same asked for again may succeed", async () => {
    const { asked, answer, manager } = thinking();
    await using _closed = manager;
    await talk(manager, speaker(), 8);
    const session = await manager.open(KEY);
    const controller = new AbortController();
    const compacting = session.compact({ signal: controller.signal });
    await asked;
    controller.abort();
    expect(await compacting).toEqual({ status: "unchanged", reason: "aborted" });
    answer.resolve(NOTES);
    expect(await session.compact()).toMatchObject({ status: "compacted" });
  });

  test.each([
    ["summarize", "summarize" as const],
    ["drop", "drop" as const],
    ["of the host's own", () => NOTES],
  ])("a signal that was aborted before leaves everything as it was: strategy %s", async (_name, strategy) => {
    const { manager } = thinking(100_000, { strategy, memoryFlush: { enabled: false } });
    await using _closed = manager;
    await talk(manager, speaker(), 8);
    const session = await manager.open(KEY);
    expect(await session.compact({ signal: AbortSignal.abort() })).toEqual({ status: "unchanged", reason: "aborted" });
  });

  test("`close` ends it without waiting for a summariser that ignores its signal", async () => {
    const { asked, manager } = thinking();
    await talk(manager, speaker(), 8);
    const compacting = (await manager.open(KEY)).compact();
    await asked;
    await manager.close();
    expect(await compacting).toEqual({ status: "unchanged", reason: "aborted" });
  });

  test("the signal of one turn does not end the compaction that others wait for", async () => {
    const { asked, answer, manager } = thinking(4096);
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 8);
    const compacting = (await manager.open(KEY)).compact();
    await asked;
    const controller = new AbortController();
    const assessed = once(manager, "context.assessed");
    const turn = manager.handle(say(600), { signal: controller.signal });
    await assessed;
    controller.abort();
    expect(await turn).toMatchObject({ status: "aborted" });
    answer.resolve(NOTES);
    expect(await compacting).toMatchObject({ status: "compacted" });
  });

  test("who joined a compaction that its turn gave up is told so, and gets one by asking again", async () => {
    const { asked, answer, manager } = thinking(4096);
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 8);
    const controller = new AbortController();
    const turn = manager.handle(say(600), { signal: controller.signal });
    await asked;
    const compacting = (await manager.open(KEY)).compact();
    controller.abort();
    expect(await turn).toMatchObject({ status: "aborted" });
    expect(await compacting).toEqual({ status: "unchanged", reason: "aborted" });
    answer.resolve(NOTES);
    expect(await (await manager.open(KEY)).compact()).toMatchObject({ status: "compacted" });
  });
});

test("a summariser that never answers fails in the time it is given, and the turn is answered", async () => {
  const model = limitedModel({ window: 4096, reply, summary: () => never });
  await using manager = hostOf(model, { timeoutSeconds: 0.2 });
  const failed = heard(manager, "compaction.failed");
  await talk(manager, speaker(), 12);
  expect(failed[0]).toMatchObject({
    reason: "provider-failed",
    error: { message: expect.stringContaining("0.2 seconds") },
  });
  expect(model.of("reply")).toHaveLength(12);
});
