import { describe, expect, test, vi } from "vitest";
import {
  loadTokenCounter,
  MemoryStorage,
  type Message,
  type ProviderHooks,
  SessionManager,
} from "../../../src/index.js";
import { builders, scriptedProvider } from "../../../src/testing.js";
import { heard, hostOf, KEY, speaker, talk, toolStep, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";

const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);
const said = (content: string, usage?: object) =>
  ({ messages: [{ role: "assistant" as const, content }], ...(usage && { usage }) }) as never;
const statusOf = async (manager: SessionManager) => (await manager.open(KEY)).status();

describe("G13 the size of the next prompt", () => {
  test("is what the last of eight calls reported, not what they cost together", async () => {
    const provider = scriptedProvider([
      async ({ record }) => {
        for (let n = 1; n <= 7; n += 1) {
          const [call, result] = toolStep(`t${n}`, "x");
          await record(call, { usage: { input: 1000 * n, output: 50, cacheRead: 100 } });
          await record(result);
        }
        return said("done.", { input: 8045, output: 5, cacheRead: 100, cacheWrite: 10 });
      },
    ]);
    await using manager = hostOf(provider);
    await manager.handle(speaker()());
    const status = await statusOf(manager);
    expect(status).toMatchObject({ tokensUsed: 8160, tokensSource: "provider", tokensStale: false });
    expect(status.usage).toEqual({ input: 36_045, output: 355, cacheRead: 800, cacheWrite: 10 });
  });

  test("is an estimate of what was said since, on top of the report, and says that it is stale", async () => {
    const provider = scriptedProvider([said("hello.", { input: 3000, output: 20 })]);
    await using manager = hostOf(provider);
    await manager.handle(speaker()());
    const session = await manager.open(KEY);
    await session.append({ role: "user", content: words("more:", 100) });
    const status = await session.status();
    expect(status).toMatchObject({ tokensSource: "provider", tokensStale: true });
    expect(status.tokensUsed).toBeGreaterThan(3020 + 80);
    expect(status.tokensUsed).toBeLessThan(3020 + 130);
  });

  test("is an estimate of everything where nothing was reported", async () => {
    await using manager = hostOf(scriptedProvider(() => words("answer:", 100)));
    await talk(manager, speaker(), 2, 100);
    const status = await statusOf(manager);
    expect(status).toMatchObject({ tokensSource: "estimate", tokensStale: false, usage: { input: 0, output: 0 } });
    expect(status.tokensUsed).toBeGreaterThan(350);
    expect(status.tokensUsed).toBeLessThan(450);
  });

  test("of 24 Japanese characters is between 12 and 40 tokens", async () => {
    await using manager = hostOf(scriptedProvider([]));
    const session = await manager.open(KEY);
    const text = "今日は天気がいいので公園を散歩してから帰りましょう";
    expect([...text].length).toBeGreaterThanOrEqual(24);
    await session.append({ role: "user", content: text.slice(0, 24) });
    const { tokensUsed } = await session.status();
    expect(tokensUsed).toBeGreaterThanOrEqual(12);
    expect(tokensUsed).toBeLessThanOrEqual(40);
  });

  test("drops in the same call that compacts, to what the outcome told", async () => {
    const model = limitedModel({ window: 100_000, reply });
    await using manager = hostOf(model);
    await talk(manager, speaker(), 10);
    const session = await manager.open(KEY);
    const before = (await session.status()).tokensUsed;
    const outcome = await session.compact();
    const after = await session.status();
    expect(outcome).toMatchObject({ status: "compacted", tokensBefore: before, tokensAfter: after.tokensUsed });
    expect(after.tokensUsed).toBeLessThan(before / 2);
    expect(after).toMatchObject({ tokensSource: "estimate", tokensStale: false });
    const { countMessage } = await loadTokenCounter();
    const shown = (await session.context()).messages.reduce((sum, message) => sum + countMessage(message), 0);
    expect(after.tokensUsed).toBe(shown);
  });

  test("keeps what the host adds to every prompt, as the provider reported it, over a compaction", async () => {
    const usage = (n: number) => ({ input: 5000 + 200 * n, output: 100 });
    const model = limitedModel({
      window: 100_000,
      reply: (_request, nth) => said(words(`answer ${nth}:`, 100), usage(nth)),
    });
    await using manager = hostOf(model);
    await talk(manager, speaker(), 10);
    const session = await manager.open(KEY);
    expect(await session.status()).toMatchObject({ tokensUsed: 7100, tokensSource: "provider" });
    const outcome = await session.compact();
    expect(outcome).toMatchObject({ status: "compacted" });
    if (outcome.status !== "compacted") return;
    expect(outcome.tokensBefore).toBeCloseTo(7100, -1);
    expect(outcome.tokensAfter).toBeGreaterThan(5000);
    expect(outcome.tokensAfter).toBeLessThan(6000);
    expect((await session.status()).tokensUsed).toBe(outcome.tokensAfter);
  });

  test("is zero after a clear, and told by nothing said before it", async () => {
    await using manager = hostOf(scriptedProvider([said("hi.", { input: 5000, output: 10 })]));
    await manager.handle(speaker()());
    const session = await manager.open(KEY);
    await session.clear();
    expect(await session.status()).toMatchObject({ tokensUsed: 0, tokensSource: "estimate", tokensStale: false });
    expect((await session.status()).usage).toMatchObject({ input: 5000 });
  });
});

describe("G13 a report that cannot be true", () => {
  test("2,051 of about 8,000 gives `context.truncated`, and is not believed", async () => {
    const model = limitedModel({ window: 100_000, reply: () => said("ok.", { input: 2051, output: 5 }) });
    await using manager = hostOf(model);
    const truncated = heard(manager, "context.truncated");
    await manager.handle(speaker()(8000));
    expect(truncated).toMatchObject([{ reported: 2051, tokens: expect.any(Number), key: KEY }]);
    const tokens = (truncated[0] as { tokens: number }).tokens;
    expect(tokens).toBeGreaterThan(7500);
    expect(tokens).toBeLessThan(8500);
    const status = await statusOf(manager);
    expect(status.tokensSource).toBe("estimate");
    expect(status.tokensUsed).toBeGreaterThan(7500);
    expect(status.usage).toMatchObject({ input: 2051, output: 5 });
  });

  test("is not believed of a step of an agent's loop either", async () => {
    const provider = scriptedProvider([
      async ({ record }) => {
        const [call, result] = toolStep("t1", "x");
        await record(call, { usage: { input: 2051, output: 5 } });
        await record(result);
        return "ok.";
      },
    ]);
    await using manager = hostOf(provider);
    await manager.handle(speaker()(8000));
    expect((await statusOf(manager)).tokensUsed).toBeGreaterThan(7500);
  });

  test("does not keep a session from being compacted", async () => {
    const usage = { input: 600, output: 5 };
    const model = limitedModel({ window: 8000, reply: (_request, nth) => said(words(`answer ${nth}:`, 200), usage) });
    await using manager = hostOf(model);
    const completed = heard(manager, "compaction.completed");
    await talk(manager, speaker(), 15, 400);
    expect(completed.length).toBeGreaterThanOrEqual(1);
    expect(model.of("reply").every(({ refused }) => !refused)).toBe(true);
  });

  test("is told from a true one with most of it cached", async () => {
    const usage = { input: 20, output: 5, cacheRead: 7900 };
    await using manager = hostOf(limitedModel({ window: 100_000, reply: () => said("ok.", usage) }));
    const truncated = heard(manager, "context.truncated");
    await manager.handle(speaker()(8000));
    expect(truncated).toEqual([]);
    expect(await statusOf(manager)).toMatchObject({ tokensUsed: 7925, tokensSource: "provider" });
  });
});

describe("G13 what all calls cost together", () => {
  test("has the flush and the summary in it, with every request it took", async () => {
    const usage = { input: 100, output: 10 };
    const model = limitedModel({
      window: 100_000,
      reply: (_request, nth) => said(words(`answer ${nth}:`, 100), usage),
      summary: (_request, nth) =>
        said(`Notes no. ${nth}: they asked why.`, { input: 10_000, output: 300, cacheRead: 7 }),
      flush: () => said("NO_REPLY", { input: 20_000, output: 1 }),
    });
    await using manager = hostOf(
      { ...model, contextWindow: (name) => (name === "small" ? 4096 : 100_000) },
      { model: "small" },
    );
    await talk(manager, speaker(), 24);
    const session = await manager.open(KEY);
    await session.compact();
    const summaries = model.of("summary").length;
    expect(summaries).toBeGreaterThanOrEqual(2);
    expect((await session.status()).usage).toEqual({
      input: 24 * 100 + 20_000 + summaries * 10_000,
      output: 24 * 10 + 1 + summaries * 300,
      cacheRead: summaries * 7,
      cacheWrite: 0,
    });
  });

  test("has the steps of a flush in it, which are not stored", async () => {
    const model = limitedModel({
      window: 100_000,
      reply,
      flush: async ({ record }) => {
        const [call, result] = toolStep("t1", "saved");
        await record(call, { usage: { input: 500, output: 20 } });
        await record(result);
        return said("NO_REPLY", { input: 600, output: 1 });
      },
    });
    await using manager = hostOf(model);
    await talk(manager, speaker(), 2);
    const session = await manager.open(KEY);
    await session.flushMemory();
    expect((await session.status()).usage).toMatchObject({ input: 1100, output: 21 });
  });

  test("has a summary in it that was refused", async () => {
    const summary = () => said("ok.", { input: 700, output: 1 });
    await using manager = hostOf(limitedModel({ window: 100_000, reply, summary }), {
      memoryFlush: { enabled: false },
    });
    await talk(manager, speaker(), 6);
    const session = await manager.open(KEY);
    expect(await session.compact()).toMatchObject({ status: "failed", reason: "summary-too-short" });
    expect((await session.status()).usage).toMatchObject({ input: 700, output: 1 });
  });
});

describe("G13 a host's own count", () => {
  const counting = (countTokens: unknown): ProviderHooks =>
    ({ ...scriptedProvider(() => "ok."), countTokens }) as ProviderHooks;

  test("wins over the estimate, for each model its own", async () => {
    const countTokens = vi.fn((_message: Message, model: string | undefined) => (model === "b" ? 7 : 1000));
    await using manager = hostOf(counting(countTokens));
    const session = await manager.open(KEY);
    await session.append({ role: "user", content: "one" }, { role: "assistant", content: "two" });
    expect(await session.status()).toMatchObject({ tokensUsed: 2000, tokensSource: "estimate" });
    await session.status();
    expect(countTokens).toHaveBeenCalledTimes(2);
    await session.configure({ modelOverride: "b" });
    expect(await session.status()).toMatchObject({ tokensUsed: 14 });
  });

  test.each([
    ["no number", () => "12"],
    ["NaN", () => Number.NaN],
    ["Infinity", () => Number.POSITIVE_INFINITY],
    ["less than nothing", () => -1],
    ["a promise", async () => 12],
    ["nothing", () => undefined],
    [
      "an error",
      () => {
        throw new RangeError("no such encoding");
      },
    ],
  ])("that is %s fails as a hook does, and the message stays", async (_what, countTokens) => {
    await using manager = hostOf(counting(countTokens));
    await expect(manager.handle(speaker()())).rejects.toMatchObject({ code: "HOOK", operation: "countTokens" });
    expect(await manager.get(KEY)).toMatchObject({ messageCount: 1, openTurns: [] });
    await expect((await manager.open(KEY)).status()).rejects.toMatchObject({ code: "HOOK" });
  });

  test.each([
    ["no number", () => "8000"],
    ["0", () => 0],
    ["NaN", () => Number.NaN],
    [
      "an error",
      () => {
        throw new RangeError("no such model");
      },
    ],
  ])("of the window that is %s fails as a hook does", async (_what, contextWindow) => {
    await using manager = hostOf({ ...scriptedProvider(() => "ok."), contextWindow } as never);
    await expect(manager.handle(speaker()())).rejects.toMatchObject({ code: "HOOK", operation: "contextWindow" });
    expect(await manager.get(KEY)).toMatchObject({ messageCount: 1, openTurns: [] });
  });

  test("of an unknown window falls back on the setting, and else on 200,000 with one warning", async () => {
    const warn = vi.fn();
    const quiet = () => undefined;
    const logger = { debug: quiet, info: quiet, warn, error: quiet };
    const provider = { ...scriptedProvider(() => "ok."), contextWindow: () => undefined };
    await using one = new SessionManager({ storage: new MemoryStorage(), provider, logger });
    await talk(one, speaker(), 3);
    expect(await statusOf(one)).toMatchObject({ contextWindow: 200_000, compactAt: 180_000 });
    expect(warn).toHaveBeenCalledTimes(1);
    const config = { agents: { defaults: { contextTokens: 32_000 } } };
    await using two = hostOf(provider, {}, { config, logger });
    expect(await (await two.open(KEY)).status()).toMatchObject({ contextWindow: 32_000 });
    expect(warn).toHaveBeenCalledTimes(1);
  });
});

test("a message with `<|endoftext|>` is plain text, in a message and in a summary", async () => {
  const summary = () => "Notes: they wrote <|endoftext|> and <|im_start|>.";
  await using manager = hostOf(limitedModel({ window: 4096, reply: () => words("<|endoftext|>", 100), summary }));
  const { dm } = builders();
  for (let n = 0; n < 12; n += 1) await manager.handle(dm("ann", words("<|endoftext|> <|im_end|>", 100)));
  expect(await manager.get(KEY)).toMatchObject({ compactions: 1 });
});
