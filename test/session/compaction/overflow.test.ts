import { describe, expect, test } from "vitest";
import { MemoryStorage, SessionManager } from "../../../src/index.js";
import { all } from "../store-dir.js";
import { heard, historyOf, hostOf, KEY, marks, marksIn, speaker, talk, words } from "./conversation.js";
import { anthropicRefusal, googleRefusal, limitedModel, openaiRefusal } from "./limited-model.js";

const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 500);

describe("G12 G6 a prompt that the provider refuses", () => {
  test.each([
    ["OpenAI", openaiRefusal],
    ["Anthropic", anthropicRefusal],
    ["Google through the AI SDK", googleRefusal],
  ])("by %s gives exactly a flush with the full history, a summary and a second try", async (_name, refusal) => {
    // A reply needs room that a flush does not.
    const model = limitedModel({ window: 8192, told: 200_000, output: 1024, reply, refusal });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 7, 500);
    const events = heard(
      manager,
      "context.overflow",
      "compaction.started",
      "memory.flushed",
      "compaction.completed",
      "turn.completed",
    );
    const outcome = await manager.handle(say(500));
    expect(outcome).toMatchObject({ status: "replied", text: expect.stringMatching(/^answer 8:/) });
    const [refused, flush, summary, answered] = model.calls.slice(7);
    expect(model.purposes().slice(7)).toEqual(["reply", "memory-flush", "summary", "reply"]);
    expect([refused, flush, summary, answered].map((call) => call?.refused)).toEqual([true, false, false, false]);
    expect(flush?.messages.slice(0, -1)).toEqual(refused?.messages);
    expect(marksIn(refused?.messages ?? [])).toEqual(marks(1, 8));
    expect(events.map(({ name }) => name)).toEqual([
      "context.overflow",
      "compaction.started",
      "memory.flushed",
      "compaction.completed",
      "turn.completed",
    ]);
    expect(events[0]).toMatchObject({ attempt: 1, contextWindow: 200_000, payload: false });
    expect(answered?.messages[0]?.content).toContain("Notes no. 1");
    expect(answered?.messages.at(-1)?.content).toMatch(/^q8\./);
    const history = await historyOf(manager);
    expect(marksIn(history)).toEqual(marks(1, 8));
    expect(history).toHaveLength(16);
  });

  test("is known by an answer that says nothing and ends for want of room", async () => {
    let full = true;
    const model = limitedModel({
      window: 200_000,
      reply: (_request, nth) => {
        if (nth !== 5 || !full) return words(`answer ${nth}:`, 500);
        full = false;
        return { messages: [{ role: "assistant", content: "" }], stopReason: "model_context_window_exceeded" };
      },
    });
    await using manager = hostOf(model);
    await talk(manager, speaker(), 5, 500);
    expect(model.purposes().slice(4)).toEqual(["reply", "memory-flush", "summary", "reply"]);
    expect(await historyOf(manager)).toHaveLength(10);
  });

  test("is known by a pattern of the host's own", async () => {
    const refusal = () => new Error("Das ist zu lang.");
    const model = limitedModel({ window: 4096, told: 200_000, output: 512, reply, refusal });
    await using manager = hostOf({ ...model, overflowPatterns: [{ provider: "Berlin", text: /zu lang/ }] });
    await talk(manager, speaker(), 5, 500);
    expect(model.of("reply").filter(({ refused }) => !refused)).toHaveLength(5);
  });

  test("and a failure that is none is not taken for one", async () => {
    const limit = Object.assign(new Error("429 Request too large on tokens per min (TPM): Limit 30000"), {
      status: 429,
    });
    const model = limitedModel({ window: 200_000, reply: () => limit });
    await using manager = hostOf(model);
    await expect(manager.handle(speaker()())).rejects.toMatchObject({ code: "HOOK", cause: limit });
    expect(model.purposes()).toEqual(["reply"]);
  });

  test("of a model whose window was named wrongly is found out at every turn, and each message is answered once", async () => {
    const model = limitedModel({ window: 8000, told: 200_000, output: 500, reply });
    await using manager = hostOf(model);
    const completed = heard(manager, "compaction.completed");
    await talk(manager, speaker(), 30, 500);
    expect(model.of("reply").filter(({ refused }) => !refused)).toHaveLength(30);
    expect(completed.length).toBeGreaterThanOrEqual(3);
    expect(model.of("reply").filter(({ refused }) => refused)).toHaveLength(completed.length);
    expect(model.of("summary").filter(({ refused }) => !refused)).toHaveLength(completed.length);
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 30));
  });

  test("of a model whose window nobody named is remembered: the session is kept below it from then on", async () => {
    const { contextWindow: _, ...model } = limitedModel({ window: 8000, output: 500, reply });
    await using manager = hostOf(model);
    const completed = heard(manager, "compaction.completed");
    await talk(manager, speaker(), 30, 500);
    expect(model.of("reply").filter(({ refused }) => refused)).toHaveLength(1);
    expect(completed.length).toBeGreaterThanOrEqual(3);
    const status = await (await manager.open(KEY)).status();
    expect(status.contextWindow).toBeGreaterThan(6000);
    expect(status.contextWindow).toBeLessThan(10_000);
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 30));
  });

  test("that leaves no room for a flush either is flushed of its newest part", async () => {
    const model = limitedModel({ window: 8000, told: 200_000, reply });
    await using manager = hostOf(model);
    const say = speaker();
    const failed = heard(manager, "memory.flush-failed");
    await talk(manager, say, 9, 500);
    const at = model.calls.findIndex(({ refused }) => refused);
    const purposes = model.purposes().slice(at, at + 6);
    expect(purposes.filter((purpose) => purpose === "memory-flush").length).toBeLessThanOrEqual(2);
    expect(purposes.filter((purpose) => purpose !== "memory-flush").slice(0, 3)).toEqual(["reply", "summary", "reply"]);
    expect(failed).toHaveLength(0);
    const [whole, part] = model.of("memory-flush");
    expect([whole?.refused, part?.refused]).toEqual([true, false]);
    expect(part?.text).toContain("earlier message(s) are left out here");
    expect(model.of("reply").filter(({ refused }) => !refused)).toHaveLength(9);
  });

  test("is made smaller by leaving out the oldest turns where the summariser is broken too", async () => {
    const model = limitedModel({ window: 8000, told: 200_000, output: 500, reply, summary: () => new Error("down") });
    await using manager = hostOf(model);
    const reduced = heard(manager, "context.reduced");
    await talk(manager, speaker(), 12, 500);
    expect(model.of("reply").filter(({ refused }) => !refused)).toHaveLength(12);
    expect(reduced[0]).toMatchObject({ reason: "dropped", dropped: expect.any(Number) });
    expect(model.of("reply").at(-1)?.text).toContain("are left out here");
    expect(await manager.get(KEY)).toMatchObject({ compactions: 0, messageCount: 24 });
    const session = await manager.open(KEY);
    expect(marksIn((await session.context()).messages)).toEqual(marks(1, 12));
    expect(await all(session.history())).toHaveLength(24);
  });

  test("of a host that gave no compaction setting at all is compacted too", async () => {
    const model = limitedModel({ window: 8000, told: 200_000, output: 500, reply });
    await using manager = new SessionManager({ storage: new MemoryStorage(), provider: model });
    await talk(manager, speaker(), 9, 500);
    expect(model.of("summary").length).toBeGreaterThanOrEqual(1);
  });
});
