import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MemoryStorage, type SessionManager } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { heard, historyOf, hostOf, KEY, marks, marksIn, speaker, talk, toolStep, words } from "./conversation.js";
import { type LimitedModel, limitedModel } from "./limited-model.js";

const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);

describe("G7 a summary is carried on", () => {
  test("over twenty compactions: each request has the summary before it, and the last one is in the prompt", async () => {
    const model = limitedModel({
      window: 4096,
      reply,
      summary: (_request, nth) => `Notes no. ${nth}, with [fact-${nth}].`,
    });
    await using manager = hostOf(model, { memoryFlush: { enabled: false } });
    const completed = heard(manager, "compaction.completed");
    const say = speaker();
    for (let n = 0; n < 200 && completed.length < 20; n += 1) await manager.handle(say());
    const summaries = model.of("summary");
    expect(completed).toHaveLength(20);
    expect(summaries).toHaveLength(20);
    for (const [at, { text }] of summaries.entries()) {
      const carried = text.match(/\[fact-\d+\]/g) ?? [];
      expect(carried).toEqual(at === 0 ? [] : [`[fact-${at}]`]);
    }
    expect(model.of("reply").at(-1)?.text).toContain("[fact-20]");
    const told = summaries.flatMap(({ messages }) => marksIn(messages));
    const left = marksIn((await (await manager.open(KEY)).context()).messages);
    expect([...told, ...left]).toEqual(marks(1, told.length + left.length));
    expect(marksIn(await historyOf(manager))).toEqual([...told, ...left]);
  });

  test("also where one summary takes several requests: each has what the one before it said", async () => {
    const summary = (_request: unknown, nth: number) => `Notes no. ${nth}, with [fact-${nth}].`;
    const model = limitedModel({ window: { "": 200_000, small: 8000 }, told: undefined as never, reply, summary });
    await using manager = hostOf(
      { ...model, contextWindow: (name) => (name === "small" ? 8000 : 200_000) },
      { model: "small" },
    );
    await talk(manager, speaker(), 60, 200);
    expect(await (await manager.open(KEY)).compact()).toMatchObject({ status: "compacted" });
    const summaries = model.of("summary");
    expect(summaries.length).toBeGreaterThanOrEqual(3);
    expect(summaries.every(({ tokens, refused }) => tokens <= 4000 && !refused)).toBe(true);
    for (const [at, { text }] of summaries.entries())
      expect(text.match(/\[fact-\d+\]/g) ?? []).toEqual(at === 0 ? [] : [`[fact-${at}]`]);
    const { messages, summary: last } = await (await manager.open(KEY)).context();
    expect(last).toContain(`[fact-${summaries.length}]`);
    expect([...summaries.flatMap((call) => marksIn(call.messages)), ...marksIn(messages)]).toEqual(marks(1, 60));
  });

  test("by /model from a window of 200,000 to one of 8,000: every request fits the small one", async () => {
    const model = limitedModel({ window: { large: 200_000, small: 8000 }, reply });
    const config = { agents: { defaults: { model: "large" } } };
    await using manager = hostOf(model, {}, { config });
    const say = speaker();
    await talk(manager, say, 30, 2000);
    expect(model.purposes()).toEqual(Array(30).fill("reply"));
    await manager.handle({ ...say(), text: "/model small" });
    expect(await manager.handle(say(100))).toMatchObject({ status: "replied" });
    const since = model.calls.slice(30);
    expect(since.filter(({ purpose }) => purpose === "summary").length).toBeLessThanOrEqual(8);
    for (const { purpose, tokens, refused, model: name } of since) {
      expect(name).toBe("small");
      if (purpose === "memory-flush") continue;
      expect(refused).toBe(false);
      expect(tokens).toBeLessThanOrEqual(purpose === "summary" ? 4000 : 8000);
    }
    const completed = since.filter(({ purpose }) => purpose === "reply");
    expect(completed).toHaveLength(1);
    expect(marksIn(await historyOf(manager))).toEqual([...marks(1, 30), "q32."]);
    const { messages } = await (await manager.open(KEY)).context();
    const told = since.filter(({ purpose }) => purpose === "summary").flatMap((call) => marksIn(call.messages));
    expect([...told, ...marksIn(messages)]).toEqual([...marks(1, 30), "q32."]);
  });

  test("what is pinned, and what the host set up, is never summarised", async () => {
    const model = limitedModel({ window: 4096, reply });
    await using manager = hostOf(model);
    const session = await manager.open(KEY);
    await session.append({ role: "system", content: "You are [Max]." });
    const say = speaker();
    await talk(manager, say, 3);
    await session.append({ role: "user", content: "Never forget: [blue].", pinned: true });
    await talk(manager, say, 40);
    expect(model.of("summary").length).toBeGreaterThanOrEqual(3);
    expect(model.of("summary").some(({ text }) => text.includes("[Max]") || text.includes("[blue]"))).toBe(false);
    for (const { messages } of model.of("reply").slice(3)) {
      expect(messages[0]).toEqual({ role: "system", content: "You are [Max]." });
      expect(messages.filter(({ content }) => content === "Never forget: [blue].")).toHaveLength(1);
    }
  });
});

/** Reads along which messages each compaction has told, in those that were stored. */
function toldIn(manager: SessionManager, model: LimitedModel): string[][] {
  const committed: string[][] = [];
  let from = 0;
  manager.on("compaction.started", () => {
    from = model.calls.length;
  });
  manager.on("compaction.completed", () => {
    const own = model.calls.slice(from).filter(({ purpose }) => purpose === "summary");
    // After a request that was refused it is begun again with smaller ones.
    const begun = own.findLastIndex(({ refused }) => refused) + 1;
    committed.push(own.slice(begun).flatMap(({ messages }) => allMarks(messages)));
  });
  return committed;
}

const allMarks = (messages: readonly { content: unknown }[]) =>
  messages.flatMap(({ content }) => JSON.stringify(content).match(/\b[qar]\d+(?:-\d+)?\./g) ?? []);

const turn = fc.record({
  asked: fc.integer({ min: 5, max: 400 }),
  answered: fc.integer({ min: 5, max: 400 }),
  results: fc.array(fc.integer({ min: 5, max: 500 }), { maxLength: 2 }),
  summaryFails: fc.integer({ min: 0, max: 6 }).map((n) => n === 0),
});

test("G7 every message is in exactly one summary's request or in the window, whatever is said and however large the window", async () => {
  let compactions = 0;
  const talks = fc.record({
    window: fc.integer({ min: 4096, max: 32_768 }),
    isWindowKnown: fc.boolean(),
    turns: fc.array(turn, { minLength: 10, maxLength: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(talks, async ({ window, isWindowKnown, turns }) => {
      let now = 0;
      const model = limitedModel({
        window,
        told: isWindowKnown ? undefined : 200_000,
        summary: (_request, nth) => (turns[now]?.summaryFails ? "" : `Notes no. ${nth}: they spoke of many things.`),
        reply: () => {
          const { answered = 5, results = [] } = turns[now] ?? {};
          const steps = results.flatMap((size, at) => toolStep(`t${now}-${at}`, words(`r${now}-${at}.`, size)));
          return { messages: [...steps, { role: "assistant", content: words(`a${now}.`, answered) }] };
        },
      });
      await using manager = hostOf(model, {}, { storage: new MemoryStorage() });
      const committed = toldIn(manager, model);
      const { dm } = builders();
      for (const [at, { asked }] of turns.entries()) {
        now = at;
        expect(await manager.handle(dm("ann", words(`q${at}.`, asked)))).toMatchObject({ status: "replied" });
      }
      compactions += committed.length;
      const all = allMarks(await historyOf(manager));
      const left = allMarks((await (await manager.open(KEY)).context()).messages);
      expect(all).toHaveLength(turns.reduce((sum, { results }) => sum + 2 + results.length, 0));
      expect([...committed.flat(), ...left].sort()).toEqual([...all].sort());
      expect(model.of("reply").filter(({ refused }) => !refused)).toHaveLength(turns.length);
    }),
    { numRuns: 8 },
  );
  expect(compactions).toBeGreaterThan(0);
});
