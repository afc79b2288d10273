import { describe, expect, test } from "vitest";
import { type Delivery, JsonlStorage } from "../../../src/index.js";
import { all, deferred, linesOf, tempDir } from "../store-dir.js";
import { heard, historyOf, hostOf, KEY, marks, marksIn, speaker, talk, toolStep, words } from "./conversation.js";
import { type Limits, limitedModel } from "./limited-model.js";

const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);
const broken = () => new Error("the notes are locked");
const never = new Promise<never>(() => {});

describe("G12 memory is flushed before history goes", () => {
  test("with the full history, before the summary, once in each cycle", async () => {
    const model = limitedModel({ window: 4096, reply });
    await using manager = hostOf(model);
    await talk(manager, speaker(), 40);
    const own = model.purposes().filter((purpose) => purpose !== "reply");
    expect(own.length).toBeGreaterThanOrEqual(6);
    const pairs = Array(Math.floor(own.length / 2))
      .fill(["memory-flush", "summary"])
      .flat();
    expect(own.slice(0, pairs.length)).toEqual(pairs);
    for (const [at, summary] of model.of("summary").entries()) {
      const flush = model.of("memory-flush")[at];
      const saved = marksIn(flush?.messages ?? []);
      expect(marksIn(summary.messages).every((mark) => saved.includes(mark))).toBe(true);
      expect(flush?.messages.at(-1)).toMatchObject({ role: "user", content: expect.stringContaining("NO_REPLY") });
      expect(flush?.instructions).toBe(flush?.messages.at(-1)?.content);
    }
  });

  test("comes a little before the threshold, without a compaction", async () => {
    const model = limitedModel({ window: 4096, reply });
    await using manager = hostOf(model);
    const events = heard(manager, "context.assessed", "memory.flushed", "compaction.started");
    const say = speaker();
    while (model.of("memory-flush").length === 0) await manager.handle(say());
    expect(events.slice(-2)).toMatchObject([
      { name: "context.assessed", action: "flush-memory", threshold: 1536 },
      { name: "memory.flushed" },
    ]);
    expect(await (await manager.open(KEY)).status()).toMatchObject({
      memoryFlush: { status: "completed", at: expect.any(String) },
      state: { memoryFlushed: true },
      compactions: 0,
    });
  });

  test("is not seen in history, context, outcome or deliveries, and nothing it emits or records is stored", async () => {
    const dir = tempDir();
    const sent: Delivery[] = [];
    const model = limitedModel({
      window: 4096,
      reply,
      flush: async ({ emit, record }) => {
        emit("SECRET streamed");
        for (const step of toolStep("t1", "SECRET saved")) await record(step);
        return { messages: [...toolStep("t2", "SECRET two"), { role: "assistant", content: "SECRET answer" }] };
      },
    });
    await using manager = hostOf(
      model,
      {},
      { dir, channels: { telegram: { deliver: async (delivery) => sent.push(delivery) } } },
    );
    const streamed = heard(manager, "turn.text");
    const outcomes: unknown[] = [];
    const say = speaker();
    for (let n = 0; n < 12; n += 1) outcomes.push(await manager.handle(say()));
    expect(model.of("memory-flush").length).toBeGreaterThanOrEqual(1);
    expect(await manager.get(KEY)).toMatchObject({ compactions: 1, messageCount: 24 });
    const seen = [outcomes, sent, streamed, await historyOf(manager), await linesOf(manager, dir, KEY)];
    const contexts = model.of("reply").map(({ text }) => text);
    expect(JSON.stringify([seen, contexts])).not.toContain("SECRET");
    expect(sent).toHaveLength(12);
    expect(streamed).toEqual([]);
  });

  test("goes on to the compaction where it fails, and the status tells of it", async () => {
    const dir = tempDir();
    const model = limitedModel({ window: 4096, reply, flush: broken });
    await using manager = hostOf(model, {}, { dir });
    const events = heard(manager, "memory.flush-failed", "compaction.completed");
    const say = speaker();
    while (model.of("memory-flush").length === 0) await manager.handle(say());
    const session = await manager.open(KEY);
    expect(await session.status()).toMatchObject({
      memoryFlush: { status: "failed", code: "HOOK" },
      state: { memoryFlushed: false },
    });
    expect(await manager.handle(say(1))).toMatchObject({ status: "replied" });
    expect(await manager.handle({ ...say(), text: "/status" })).toMatchObject({
      text: expect.stringContaining("memory could not be saved"),
    });
    while (model.of("summary").length === 0) await manager.handle(say());
    expect(events.map(({ name }) => name)).toEqual([
      "memory.flush-failed",
      "memory.flush-failed",
      "compaction.completed",
    ]);
    expect(events[0]).toMatchObject({
      error: { code: "HOOK", cause: expect.objectContaining({ message: "the notes are locked" }) },
    });
    const lines = await linesOf(manager, dir, KEY);
    expect(lines.filter(({ type }) => type === "memory-flush")).toMatchObject([
      { status: "failed", error: { code: "HOOK" } },
      { status: "failed", error: { code: "HOOK" } },
    ]);
    expect(JSON.stringify(lines)).not.toContain("the notes are locked");
    expect(await session.status()).toMatchObject({ memoryFlush: null, compactions: 1 });
  });

  test("with `block` nothing is compacted that was not flushed, and the turn is answered all the same", async () => {
    let works = false;
    const model = limitedModel({ window: 4096, reply, flush: () => (works ? "saved." : broken()) });
    await using manager = hostOf(model, { memoryFlush: { onFailure: "block" } });
    const failed = heard(manager, "compaction.failed");
    const say = speaker();
    await talk(manager, say, 14);
    expect(model.of("summary")).toEqual([]);
    expect(failed.length).toBeGreaterThanOrEqual(1);
    expect(failed[0]).toMatchObject({ reason: "memory-flush-failed", cause: "threshold", error: { code: "HOOK" } });
    expect(await manager.get(KEY)).toMatchObject({ messageCount: 28, compactions: 0 });
    expect(model.of("memory-flush").length).toBeLessThanOrEqual(5);
    const session = await manager.open(KEY);
    expect(await session.compact()).toMatchObject({ status: "failed", reason: "memory-flush-failed" });
    works = true;
    expect(await session.compact()).toMatchObject({ status: "compacted" });
  });

  test("that never answers has failed after the time it is given", async () => {
    let signal: AbortSignal | undefined;
    const model = limitedModel({
      window: 100_000,
      reply,
      flush: (request) => {
        signal = request.signal;
        return never;
      },
    });
    await using manager = hostOf(model, { timeoutSeconds: 0.05 });
    await talk(manager, speaker(), 4);
    const session = await manager.open(KEY);
    await expect(session.flushMemory()).rejects.toMatchObject({
      code: "HOOK",
      message: expect.stringContaining("0.05 seconds"),
    });
    expect(signal?.aborted).toBe(true);
    expect(await session.status()).toMatchObject({ memoryFlush: { status: "failed" } });
  });

  test("is left out where it is not wanted", async () => {
    const model = limitedModel({ window: 4096, reply });
    await using manager = hostOf(model, { memoryFlush: { enabled: false } });
    await talk(manager, speaker(), 20);
    expect(model.of("memory-flush")).toEqual([]);
    expect(model.of("summary").length).toBeGreaterThanOrEqual(1);
    await (await manager.open(KEY)).compact();
    expect(model.of("memory-flush")).toEqual([]);
  });

  test("asks with the host's own words where it has some", async () => {
    const model = limitedModel({ window: 4096, reply });
    await using manager = hostOf(model, { memoryFlush: { prompt: "Write to MEMORY.md." } });
    await talk(manager, speaker(), 12);
    expect(model.of("memory-flush")[0]).toMatchObject({ instructions: "Write to MEMORY.md." });
    expect(model.of("memory-flush")[0]?.messages.at(-1)).toEqual({ role: "user", content: "Write to MEMORY.md." });
  });
});

describe("G12 a cycle", () => {
  test("begins anew with a clear: what was saved before says nothing of what comes after", async () => {
    const model = limitedModel({ window: 100_000, reply });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 4);
    const session = await manager.open(KEY);
    await session.flushMemory();
    expect(await session.status()).toMatchObject({ memoryFlush: { status: "completed" } });
    await session.clear();
    expect(await session.status()).toMatchObject({ memoryFlush: null, state: { memoryFlushed: false } });
    await talk(manager, say, 4);
    await session.compact();
    expect(model.of("memory-flush")).toHaveLength(2);
    expect(marksIn(model.of("memory-flush")[1]?.messages ?? [])).toEqual(marks(5, 8));
  });

  test("that the host flushed itself is not flushed again before the compaction", async () => {
    const model = limitedModel({ window: 100_000, reply });
    await using manager = hostOf(model);
    await talk(manager, speaker(), 6);
    const session = await manager.open(KEY);
    const flushed = heard(manager, "memory.flushed");
    await session.flushMemory();
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    expect(flushed).toHaveLength(1);
    expect(model.purposes().slice(6)).toEqual(["memory-flush", "summary"]);
    expect(marksIn(model.of("memory-flush")[0]?.messages ?? [])).toEqual(marks(1, 6));
  });

  test("is not marked as flushed by a flush that a clear has overtaken", async () => {
    const asked = deferred();
    const answer = deferred<string>();
    const flush: Limits["flush"] = () => {
      asked.resolve();
      return answer.promise;
    };
    const dir = tempDir();
    const model = limitedModel({ window: 100_000, reply, flush });
    await using manager = hostOf(model, {}, { storage: new JsonlStorage({ dir }) });
    await talk(manager, speaker(), 4);
    const session = await manager.open(KEY);
    const flushing = session.flushMemory();
    await asked.promise;
    await session.clear();
    answer.resolve("saved.");
    await flushing;
    expect(await session.status()).toMatchObject({ memoryFlush: null, state: { memoryFlushed: false } });
    expect(await all(session.history())).toEqual([]);
  });

  test("`flushMemory` is stopped by the signal it is given, and by close", async () => {
    const asked = deferred();
    const flush: Limits["flush"] = () => {
      asked.resolve();
      return never;
    };
    const manager = hostOf(limitedModel({ window: 100_000, reply, flush }));
    await talk(manager, speaker(), 2);
    const session = await manager.open(KEY);
    const controller = new AbortController();
    const stopped = session.flushMemory({ signal: controller.signal }).catch((error: unknown) => error);
    await asked.promise;
    controller.abort(new Error("enough"));
    expect(await stopped).toMatchObject({ message: "enough" });
    expect(await session.status()).toMatchObject({ memoryFlush: null });
    const closed = session.flushMemory().catch(() => "ended");
    await manager.close();
    expect(await closed).toBe("ended");
  });
});
