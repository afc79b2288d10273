import { describe, expect, test } from "vitest";
import type { MessageEntry } from "../../../src/index.js";
import { deferred } from "../store-dir.js";
import { heard, historyOf, hostOf, KEY, marks, marksIn, speaker, talk, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";
import { NOTES, thinking } from "./thinking-model.js";

describe("a compaction that is asked for while one runs", () => {
  test("ends with its own signal, and the first goes on", async () => {
    const { model, asked, answer, manager } = thinking();
    await using _closed = manager;
    await talk(manager, speaker(), 8);
    const session = await manager.open(KEY);
    const first = session.compact();
    const signal = await asked;
    const controller = new AbortController();
    const second = session.compact({ signal: controller.signal });
    controller.abort();
    expect(await second).toEqual({ status: "unchanged", reason: "aborted" });
    expect(signal.aborted).toBe(false);
    answer.resolve(NOTES);
    expect(await first).toMatchObject({ status: "compacted" });
    expect(model.of("summary")).toHaveLength(1);
  });

  test("without wishes of its own gets the first one's outcome", async () => {
    const { model, asked, answer, manager } = thinking();
    await using _closed = manager;
    await talk(manager, speaker(), 8);
    const session = await manager.open(KEY);
    const both = [session.compact()];
    await asked;
    both.push(session.compact({ signal: new AbortController().signal }));
    answer.resolve(NOTES);
    const [first, second] = await Promise.all(both);
    expect(first).toMatchObject({ status: "compacted" });
    expect(second).toEqual(first);
    expect(model.of("summary")).toHaveLength(1);
  });

  test("with instructions is carried out after the first, with them", async () => {
    const { model, asked, answer, manager } = thinking();
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 16);
    const session = await manager.open(KEY);
    const started = heard(manager, "compaction.started", "compaction.completed", "compaction.failed");
    const first = session.compact();
    await asked;
    const second = session.compact({ instructions: "keep the door code" });
    answer.resolve(NOTES);
    expect(await first).toMatchObject({ status: "compacted" });
    const outcome = await second;
    expect(started.map(({ name }) => name).slice(0, 3)).toEqual([
      "compaction.started",
      "compaction.completed",
      "compaction.started",
    ]);
    expect(outcome).toMatchObject({ status: "compacted" });
    expect(model.of("summary").map(({ instructions }) => instructions)).toEqual([undefined, "keep the door code"]);
    expect(model.of("summary")[1]?.text).toContain("keep the door code");
  });

  test("with instructions that gives up while it waits never begins", async () => {
    const { model, asked, answer, manager } = thinking();
    await using _closed = manager;
    await talk(manager, speaker(), 8);
    const session = await manager.open(KEY);
    const first = session.compact();
    await asked;
    const controller = new AbortController();
    const second = session.compact({ instructions: "keep the door code", signal: controller.signal });
    controller.abort();
    expect(await second).toEqual({ status: "unchanged", reason: "aborted" });
    answer.resolve(NOTES);
    await first;
    expect(model.of("summary")).toHaveLength(1);
  });
});

describe("G5 `/stop` while an oversized prompt is made to fit", () => {
  test.each(["summary", "memory-flush"] as const)("ends the turn as aborted, in the %s", async (purpose) => {
    const reached = deferred();
    let hangs = false;
    const slow = (text: string) => () => {
      if (!hangs) return text;
      reached.resolve();
      return new Promise<never>(() => {});
    };
    const model = limitedModel({
      // Otherwise a flush of so much would be refused before it hangs.
      window: 200_000,
      told: 4000,
      ...(purpose === "summary" ? { summary: slow(NOTES) } : { flush: slow("NO_REPLY") }),
    });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 5, 250);
    hangs = true;
    const events = heard(manager, "turn.aborted", "turn.failed", "context.reduced");
    const turn = manager.handle(say(6000));
    await reached.promise;
    expect(await manager.handle({ ...say(), text: "/stop" })).toMatchObject({ text: "Stopped." });
    expect(await turn).toMatchObject({ status: "aborted" });
    expect(events.map(({ name }) => name)).toEqual(["turn.aborted"]);
    expect(model.of("reply")).toHaveLength(5);
    expect(await manager.get(KEY)).toMatchObject({ compactions: 0, openTurns: [] });
    hangs = false;
    expect(await manager.handle(say(100))).toMatchObject({ status: "replied" });
    expect(marksIn(await historyOf(manager))).toEqual([...marks(1, 6), "q8."]);
  });
});

describe("a strategy of the host's own that empties what it is given", () => {
  test("does no harm: what it told of has left, and everything else is there", async () => {
    const told: string[] = [];
    const given: number[] = [];
    const strategy = ({ messages }: { messages: readonly MessageEntry[] }) => {
      const mine = messages as MessageEntry[];
      given.push(mine.length);
      while (mine.length > 0) told.push(...marksIn([mine.shift() as MessageEntry]));
      return "They asked why, again and again.";
    };
    const model = limitedModel({ window: 4000, reply: (_request, nth) => words(`answer ${nth}:`, 50) });
    await using manager = hostOf(model, { strategy });
    const completed = heard(manager, "compaction.completed", "compaction.failed");
    await talk(manager, speaker(), 30, 150);
    expect(given.length).toBeGreaterThanOrEqual(1);
    expect(completed).toMatchObject(given.map((messages) => ({ name: "compaction.completed", messages })));
    const session = await manager.open(KEY);
    expect([...told, ...marksIn((await session.context()).messages)]).toEqual(marks(1, 30));
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 30));
  });

  test("may change the messages it is given as well", async () => {
    const strategy = ({ messages }: { messages: readonly MessageEntry[] }) => {
      for (const message of messages) Object.assign(message, { id: "x", content: "gone" });
      return "They asked why, again and again.";
    };
    await using manager = hostOf(limitedModel({ window: 4000 }), { strategy });
    await talk(manager, speaker(), 10, 100);
    const session = await manager.open(KEY);
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 10));
  });
});
