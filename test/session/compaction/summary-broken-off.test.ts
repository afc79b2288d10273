import { describe, expect, test } from "vitest";
import { heard, hostOf, KEY, marks, marksIn, speaker, talk } from "./conversation.js";
import { limitedModel } from "./limited-model.js";

const SUMMARY = "I'm sorry, I can't help with that conversation.";

const stoppedBy = (stopReason: string) =>
  limitedModel({
    window: 4000,
    summary: () => ({ messages: [{ role: "assistant", content: SUMMARY }], stopReason }),
  });

describe("G7 a summary", () => {
  test.each([
    ["content_filter", "summary-refused"],
    ["content-filter", "summary-refused"],
    ["refusal", "summary-refused"],
    ["SAFETY", "summary-refused"],
    ["tool-calls", "summary-refused"],
    ["max_output_tokens", "summary-too-long"],
    ["incomplete", "summary-too-long"],
    // Asked again with less first, because a smaller request may fit.
    ["model_context_window_exceeded", "provider-failed"],
    ["MAX_TOKENS", "summary-too-long"],
    ["length", "summary-too-long"],
  ])("that ended with %s is not taken: %s, and the conversation is as it was", async (stopReason, reason) => {
    await using manager = hostOf(stoppedBy(stopReason));
    await talk(manager, speaker(), 10);
    const session = await manager.open(KEY);
    expect(await session.compact()).toMatchObject({ status: "failed", reason });
    expect(await manager.get(KEY)).toMatchObject({ compactions: 0 });
    const { messages, summary } = await session.context();
    expect(summary).toBeUndefined();
    expect(marksIn(messages)).toEqual(marks(1, 10));
  });

  test.each(["stop", "end_turn", "STOP", "completed", "eos"])("that ended with %s is taken", async (stopReason) => {
    await using manager = hostOf(stoppedBy(stopReason));
    await talk(manager, speaker(), 10);
    const session = await manager.open(KEY);
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    expect((await session.context()).summary).toBe(SUMMARY);
  });
});

describe("G12 a flush", () => {
  test("that ends at the end of the window without a word has failed", async () => {
    const stopReason = "model_context_window_exceeded";
    const model = limitedModel({ window: 4000, flush: () => ({ messages: [], stopReason }) });
    await using manager = hostOf(model);
    await talk(manager, speaker(), 8);
    const session = await manager.open(KEY);
    const events = heard(manager, "memory.flushed", "memory.flush-failed");
    await expect(session.flushMemory()).rejects.toMatchObject({ code: "HOOK" });
    expect(events.map(({ name }) => name)).toEqual(["memory.flush-failed"]);
    expect(await session.status()).toMatchObject({
      memoryFlush: { status: "failed" },
      state: { memoryFlushed: false },
    });
    expect(model.of("memory-flush").length).toBeLessThanOrEqual(3);
  });

  test("that ends so with the whole history, and not with a part of it, is done", async () => {
    const stopReason = "model_context_window_exceeded";
    const flush = (_request: unknown, nth: number) => (nth === 1 ? { messages: [], stopReason } : "NO_REPLY");
    const model = limitedModel({ window: 4000, flush });
    await using manager = hostOf(model);
    await talk(manager, speaker(), 8);
    const session = await manager.open(KEY);
    await session.flushMemory();
    expect(await session.status()).toMatchObject({ memoryFlush: { status: "completed" } });
    expect(model.of("memory-flush")).toHaveLength(2);
  });
});
