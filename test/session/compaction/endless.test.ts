import { describe, expect, test } from "vitest";
import type { ContentPart, GenerateRequest, Message } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { heard, historyOf, hostOf, KEY, speaker, talk, toolStep, words } from "./conversation.js";
import { limitedModel, openaiRefusal, payloadRefusal, tokensOf } from "./limited-model.js";

describe("G6 a host that appends a system note to every turn", () => {
  test("goes on for 200 turns, and what it set up at the beginning stays", async () => {
    const model = limitedModel({ window: 8000 });
    await using manager = hostOf(model);
    const session = await manager.open(KEY);
    await session.append({ role: "system", content: "You are Bea, and you never say why." });
    const completed = heard(manager, "compaction.completed", "compaction.failed");
    const say = speaker();
    for (let n = 1; n <= 200; n += 1) {
      await session.append({ role: "system", content: words(`note ${n}:`, 60) });
      expect(await manager.handle(say(60))).toMatchObject({ status: "replied" });
    }
    expect(new Set(completed.map(({ name }) => name))).toEqual(new Set(["compaction.completed"]));
    expect(completed.length).toBeGreaterThanOrEqual(2);
    expect(completed.length).toBeLessThanOrEqual(30);
    for (const { messages } of model.of("reply"))
      expect(messages[0]).toMatchObject({ role: "system", content: expect.stringContaining("You are Bea") });
    expect(model.of("reply").filter(({ refused }) => refused)).toEqual([]);
    // The notes leave with the turns they were made in. The first belongs to the beginning: nobody had spoken yet.
    const text = JSON.stringify((await session.context()).messages);
    expect(text).not.toContain("note 2:");
    expect(text).toContain("note 200:");
    expect(model.of("summary")[0]?.text).toContain("note 2:");
  });
});

describe("G6 a provider that records everything and returns nothing", () => {
  test("is compacted by what it recorded", async () => {
    const model = limitedModel({
      window: 4000,
      reply: recording("fine, ok"),
      summary: recording("They asked why, again and again."),
      flush: recording("NO_REPLY"),
    });
    await using manager = hostOf(model);
    const events = heard(manager, "compaction.completed", "compaction.failed", "memory.flush-failed");
    const say = speaker();
    for (let n = 0; n < 30; n += 1) expect(await manager.handle(say(150))).toMatchObject({ status: "replied" });
    expect(new Set(events.map(({ name }) => name))).toEqual(new Set(["compaction.completed"]));
    const session = await manager.open(KEY);
    expect((await session.context()).summary).toBe("They asked why, again and again.");
    expect((await historyOf(manager)).filter(({ role }) => role === "assistant")).toHaveLength(30);
  });

  function recording(content: string) {
    return async ({ record }: GenerateRequest) => {
      await record({ role: "assistant", content });
      return { messages: [] };
    };
  }
});

describe("G6 instructions and tools of the host that are larger than the threshold", () => {
  test("cost no flush and no summary with every message", async () => {
    const model = limitedModel({
      window: 64_000,
      reply: async ({ messages }) => ({
        messages: [{ role: "assistant", content: "ok" }],
        usage: { input: 45_000 + (await tokensOf(messages)), output: 2 },
      }),
    });
    await using manager = hostOf(model);
    const say = speaker();
    for (let n = 0; n < 40; n += 1) expect(await manager.handle(say(100))).toMatchObject({ status: "replied" });
    expect(model.of("reply")).toHaveLength(40);
    expect(model.of("summary").length).toBeLessThanOrEqual(2);
    expect(model.of("memory-flush").length).toBeLessThanOrEqual(2);
    const { tokensUsed } = await (await manager.open(KEY)).status();
    expect(tokensUsed).toBeGreaterThan(45_000);
  });
});

describe("G6 six `/compact` that failed", () => {
  test("do not keep the session from being compacted when that is due", async () => {
    let down = true;
    const summary = () => (down ? new Error("down") : "They asked why, again and again.");
    await using manager = hostOf(limitedModel({ window: 4000, summary }));
    const say = speaker();
    await talk(manager, say, 10, 100);
    const failed = heard(manager, "compaction.failed");
    for (let n = 0; n < 6; n += 1)
      expect(await manager.handle({ ...say(), text: "/compact" })).toMatchObject({
        text: expect.stringContaining("provider-failed"),
      });
    expect(failed).toHaveLength(6);
    down = false;
    const events = heard(manager, "context.assessed", "compaction.completed", "context.reduced");
    await talk(manager, say, 20, 100);
    const due = events.findIndex((event) => event.name === "context.assessed" && event.action === "compact");
    expect(due).toBeGreaterThanOrEqual(0);
    expect(events[due + 1]).toMatchObject({ name: "compaction.completed", cause: "threshold" });
    expect(events.filter(({ name }) => name === "context.reduced")).toEqual([]);
  });
});

describe("G21 images that are too large together", () => {
  const imagesIn = (messages: readonly Message[]) => JSON.stringify(messages).split('"type":"image"').length - 1;

  test("are left out from the start of the turns that come after a refusal, for an hour", async () => {
    let now = Date.UTC(2026, 0, 1);
    const model = limitedModel({
      window: 20_000,
      reply: ({ messages }) => {
        const images = imagesIn(messages);
        if (images > 2) return payloadRefusal();
        return { messages: [{ role: "assistant", content: "ok" }], usage: { input: images * 1600 + 300, output: 2 } };
      },
    });
    await using manager = hostOf(model, {}, { clock: { now: () => now } });
    const { dm } = builders();
    const image: ContentPart = { type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" };
    const show = () =>
      manager.handle(dm("ann", "", { text: undefined, content: [{ type: "text", text: "look:" }, image] } as never));
    const overflows = heard(manager, "context.overflow");
    for (let n = 0; n < 12; n += 1) expect(await show()).toMatchObject({ status: "replied" });
    expect(overflows).toHaveLength(1);
    expect(model.of("reply")).toHaveLength(13);
    expect(imagesIn(model.calls.at(-1)?.messages ?? [])).toBe(1);
    expect(imagesIn(await historyOf(manager))).toBe(12);
    now += 3_600_001;
    expect(await show()).toMatchObject({ status: "replied" });
    expect(overflows).toHaveLength(2);
  });
});

describe("G6 results of tools inside messages of the assistant", () => {
  const results = (output: string): Message => ({
    role: "assistant",
    content: ["c1", "c2"].flatMap((toolCallId): ContentPart[] => {
      const tool = { toolCallId, toolName: "search" };
      return [
        { type: "tool-call", ...tool, input: {} },
        { type: "tool-result", ...tool, output },
      ];
    }),
  });

  test("are counted as what is left of them in a smaller window: the prompt fits after `/model`", async () => {
    const model = limitedModel({ window: { big: 64_000, small: 4000 }, summary: () => "" });
    await using manager = hostOf(model, {}, { config: { agents: { defaults: { model: "big" } } } });
    const session = await manager.open(KEY);
    const say = speaker();
    await talk(manager, say, 1);
    await session.append({ role: "user", content: "search it" }, results("data ".repeat(20_000)));
    expect((await session.status()).tokensUsed).toBeGreaterThan(6000);
    await manager.handle({ ...say(), text: "/model small" });
    const { tokensUsed, tokensSource } = await session.status();
    expect(tokensSource).toBe("estimate");
    // What stands in one message may be shown as two.
    expect(Math.abs(tokensUsed - (await tokensOf((await session.context()).messages)))).toBeLessThan(20);
    expect(await manager.handle(say(50))).toMatchObject({ status: "replied" });
    expect(model.of("reply").filter(({ refused }) => refused)).toEqual([]);
  });

  test.each([
    ["in one message with their calls", [results("data ".repeat(20_000))]],
    ["in messages of their own", toolStep("c1", "data ".repeat(20_000))],
  ])("that the running turn recorded are cut tighter after a refusal: %s", async (_where, steps) => {
    let first = true;
    const model = limitedModel({
      window: 3000,
      told: 64_000,
      summary: () => "",
      reply: async ({ record }) => {
        if (!first) return "found it.";
        first = false;
        for (const step of steps) await record(step);
        return openaiRefusal(40_000, 3000);
      },
    });
    await using manager = hostOf(model);
    expect(await manager.handle(speaker()(50))).toMatchObject({ status: "replied", text: "found it." });
    expect(model.of("reply").length).toBeLessThanOrEqual(4);
  });
});
