import { describe, expect, test } from "vitest";
import type { SessionKey } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { linesOf, tempDir } from "../store-dir.js";
import { heard, historyOf, hostOf, KEY, marks, marksIn, NOTICE, speaker, talk, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";

describe("G6 a session is compacted before the call that would pass the limit", () => {
  test("over many turns every prompt fits, each message is answered by one call, and all of it stays in the history", async () => {
    const model = limitedModel({ window: 4096, reply: (_request, nth) => words(`answer ${nth}:`, 100) });
    await using manager = hostOf(model);
    const done = heard(manager, "compaction.completed", "compaction.failed", "context.overflow", "context.reduced");
    await talk(manager, speaker(), 30);
    expect(done.length).toBeGreaterThanOrEqual(3);
    expect(new Set(done.map(({ name }) => name))).toEqual(new Set(["compaction.completed"]));
    const replies = model.of("reply");
    expect(replies).toHaveLength(30);
    // Half the window, where the reserve would be more than that.
    expect(Math.max(...replies.map(({ tokens }) => tokens))).toBeLessThanOrEqual(2048);
    expect(replies.map(({ messages }) => marksIn(messages.slice(-1))[0])).toEqual(marks(1, 30));
    const history = await historyOf(manager);
    expect(marksIn(history)).toEqual(marks(1, 30));
    expect(history).toHaveLength(60);
    expect(history.map(({ role }) => role).join()).toBe(Array(30).fill("user,assistant").join());
  });

  test("the call after it sees the summary, then what was said last, word for word", async () => {
    const model = limitedModel({ window: 4096, reply: (_request, nth) => words(`answer ${nth}:`, 100) });
    await using manager = hostOf(model);
    const say = speaker();
    while (model.of("summary").length === 0) await manager.handle(say());
    const said = model.of("reply").length;
    const [head, ...rest] = model.of("reply").at(-1)?.messages ?? [];
    expect(head).toMatchObject({
      role: "user",
      content: expect.stringContaining("Notes no. 1: they spoke of many things."),
    });
    const recent = marksIn(rest);
    expect(recent.length).toBeGreaterThanOrEqual(2);
    expect(recent).toEqual(marks(said - recent.length + 1, said));
    const told = marksIn(model.of("summary")[0]?.messages ?? []);
    expect([...told, ...recent]).toEqual(marks(1, said));
    const history = await historyOf(manager);
    const tail = history.slice(-rest.length - 1, -1).map(({ role, content }) => ({ role, content }));
    expect(rest).toEqual(tail);
    expect(model.purposes().slice(-2)).toEqual(["summary", "reply"]);
  });

  test("at 4 % of the window nothing is compacted, flushed or left out", async () => {
    const model = limitedModel({ window: 200_000 });
    await using manager = hostOf(model);
    const events = heard(manager, "context.assessed", "compaction.started", "context.reduced");
    await talk(manager, speaker(), 8, 1000);
    expect((await (await manager.open(KEY)).status()).tokensUsed).toBeLessThan(0.05 * 200_000);
    expect(new Set(model.purposes())).toEqual(new Set(["reply"]));
    expect(events.map((event) => event.name === "context.assessed" && event.action)).toEqual(Array(8).fill("none"));
  });
});

describe("G6 the settings are obeyed", () => {
  test("with `enabled: false` the model is asked for nothing but replies, and what does not fit is left out of the prompt", async () => {
    const model = limitedModel({ window: 2048, reply: (_request, nth) => words(`answer ${nth}:`, 100) });
    await using manager = hostOf(model, { enabled: false });
    const compactions = heard(manager, "compaction.started");
    await talk(manager, speaker(), 20);
    expect(new Set(model.purposes())).toEqual(new Set(["reply"]));
    expect(model.of("reply")).toHaveLength(20);
    expect(compactions).toEqual([]);
    expect(model.calls.at(-1)?.text).toMatch(NOTICE);
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 20));
  });

  test("with `enabled: false` a refused prompt is made smaller without a compaction", async () => {
    const model = limitedModel({ window: 1500, told: 200_000, reply: (_request, nth) => words(`answer ${nth}:`, 100) });
    await using manager = hostOf(model, { enabled: false });
    await talk(manager, speaker(), 12);
    expect(new Set(model.purposes())).toEqual(new Set(["reply"]));
    expect(model.calls.filter(({ refused }) => !refused)).toHaveLength(12);
  });

  test("an agent's own settings come before those for all", async () => {
    const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);
    const model = limitedModel({ window: 4096, reply });
    const config = {
      agents: {
        defaults: { compaction: { memoryFlush: { enabled: false } } },
        list: [
          { id: "main" },
          { id: "silent", compaction: { enabled: false } },
          { id: "saver", compaction: { memoryFlush: { enabled: true } } },
        ],
      },
    };
    await using manager = hostOf(model, {}, { config });
    const { dm } = builders();
    const counts = async (agentId: string) => {
      const before = model.calls.length;
      for (let n = 0; n < 12; n += 1) await manager.handle(dm("ann", words(`q${n}.`, 100), { agentId }));
      const purposes = model.purposes().slice(before);
      return {
        summary: purposes.filter((purpose) => purpose === "summary").length,
        flush: purposes.filter((purpose) => purpose === "memory-flush").length,
      };
    };
    expect(await counts("main")).toEqual({ summary: 1, flush: 0 });
    expect(await counts("silent")).toEqual({ summary: 0, flush: 0 });
    expect(await counts("saver")).toEqual({ summary: 1, flush: 1 });
    expect(await manager.get("agent:saver:telegram:dm:ann" as SessionKey)).toMatchObject({ compactions: 1 });
  });

  test("the strategy `drop` asks for no summary and says how many messages are missing", async () => {
    const model = limitedModel({ window: 4096, reply: (_request, nth) => words(`answer ${nth}:`, 100) });
    await using manager = hostOf(model, { strategy: "drop" });
    const done = heard(manager, "compaction.completed");
    await talk(manager, speaker(), 12);
    expect(model.of("summary")).toEqual([]);
    expect(model.of("memory-flush")).toHaveLength(1);
    expect(done).toHaveLength(1);
    const { messages, summary } = await (await manager.open(KEY)).context();
    expect(summary).toBeUndefined();
    const left = 24 - messages.length + 1;
    expect(messages[0]).toEqual({
      role: "user",
      content: `[${left} earlier message(s) are left out here, because they did not fit.]`,
    });
    expect(done[0]).toMatchObject({ messages: left });
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 12));
  });

  test("`compaction.model` writes the summary, and the session's own answers and flushes", async () => {
    const dir = tempDir();
    const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);
    const model = limitedModel({ window: { large: 4096, small: 3000 }, reply });
    const config = { agents: { defaults: { model: "large", compaction: { model: "small" } } } };
    await using manager = hostOf(model, {}, { config, dir });
    await talk(manager, speaker(), 12);
    expect(new Set(model.of("summary").map((call) => call.model))).toEqual(new Set(["small"]));
    expect(new Set(model.of("memory-flush").map((call) => call.model))).toEqual(new Set(["large"]));
    expect(new Set(model.of("reply").map((call) => call.model))).toEqual(new Set(["large"]));
    const lines = await linesOf(manager, dir, KEY);
    expect(lines.filter(({ type }) => type === "compaction")).toMatchObject([{ model: "small", cause: "threshold" }]);
    expect(lines.filter(({ type }) => type === "memory-flush")).toMatchObject([
      { model: "large", status: "completed" },
    ]);
  });
});
