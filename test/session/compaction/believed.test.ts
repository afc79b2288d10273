import { describe, expect, test } from "vitest";
import type { GenerateRequest, SessionManager } from "../../../src/index.js";
import { deferred } from "../store-dir.js";
import { heard, hostOf, KEY, speaker, talk, words } from "./conversation.js";
import { limitedModel, tokensOf } from "./limited-model.js";

const said = (content: string, usage: { input: number; output: number }) => ({
  messages: [{ role: "assistant" as const, content }],
  usage,
});
const truly = async ({ messages }: GenerateRequest, content: string, output = 5) =>
  said(content, { input: await tokensOf(messages), output });

/** What the session says of the next prompt, and what that takes. */
async function sizesOf(manager: SessionManager) {
  const session = await manager.open(KEY);
  const status = await session.status();
  return { ...status, real: await tokensOf((await session.context()).messages) };
}

async function expectTrue(manager: SessionManager) {
  const { tokensUsed, real } = await sizesOf(manager);
  expect(tokensUsed).toBeGreaterThan(real * 0.85 - 50);
  expect(tokensUsed).toBeLessThan(real * 1.15 + 50);
}

describe("G13 a report of more than the model takes", () => {
  test("is the sum of several calls: the size is estimated, and the session goes on", async () => {
    const model = limitedModel({
      window: 8000,
      reply: (request, nth) => (nth === 3 ? said("ok 3", { input: 30_000, output: 10 }) : truly(request, `ok ${nth}`)),
    });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 3);
    expect(await sizesOf(manager)).toMatchObject({ tokensSource: "estimate", usage: { input: expect.any(Number) } });
    expect((await sizesOf(manager)).usage.input).toBeGreaterThan(30_000);
    await expectTrue(manager);
    for (let n = 0; n < 7; n += 1) expect(await manager.handle(say())).toMatchObject({ status: "replied" });
    expect(model.purposes()).toEqual(Array(10).fill("reply"));
    await expectTrue(manager);
  });

  test("that comes with every turn does not end the session either", async () => {
    const model = limitedModel({
      window: 8000,
      reply: (_request, nth) => said(`ok ${nth}`, { input: 30_000, output: 9 }),
    });
    await using manager = hostOf(model);
    const say = speaker();
    for (let n = 0; n < 60; n += 1) expect(await manager.handle(say(150))).toMatchObject({ status: "replied" });
    expect(model.of("reply")).toHaveLength(60);
    expect((await sizesOf(manager)).compactions).toBeGreaterThanOrEqual(1);
    await expectTrue(manager);
  });

  test("with the whole of the call in its cache does not either", async () => {
    const usage = { input: 10, output: 5, cacheRead: 29_000, cacheWrite: 990 };
    const model = limitedModel({ window: 8000, reply: () => said("ok", usage) });
    await using manager = hostOf(model);
    await talk(manager, speaker(), 5);
    expect(await sizesOf(manager)).toMatchObject({ tokensSource: "estimate" });
    await expectTrue(manager);
  });
});

describe("G13 a report on a prompt that is no longer the session's", () => {
  /** A model whose reply of that number is held back until `go` is resolved. */
  function held(at: number) {
    const inTurn = deferred();
    const go = deferred();
    const model = limitedModel({
      window: 8000,
      reply: async (request, nth) => {
        if (nth === at) {
          inTurn.resolve();
          await go.promise;
        }
        return truly(request, `ok ${nth}`);
      },
    });
    return { inTurn: inTurn.promise, go, manager: hostOf(model) };
  }

  test("because it was compacted meanwhile is not believed", async () => {
    const { inTurn, go, manager } = held(20);
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 19, 180);
    const turn = manager.handle(say(180));
    await inTurn;
    const outcome = await (await manager.open(KEY)).compact();
    expect(outcome).toMatchObject({ status: "compacted" });
    go.resolve();
    expect(await turn).toMatchObject({ status: "replied" });
    expect((await sizesOf(manager)).tokensUsed).toBeLessThan(3000);
    await expectTrue(manager);
    const started = heard(manager, "compaction.started");
    await talk(manager, say, 1, 100);
    expect(started).toEqual([]);
    await expectTrue(manager);
  });

  test("because a person compacted it with `/compact` is not believed", async () => {
    const { inTurn, go, manager } = held(20);
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 19, 180);
    const turn = manager.handle(say(180));
    await inTurn;
    const compacting = manager.handle({ ...say(), text: "/compact" });
    expect(await compacting).toMatchObject({ text: expect.stringMatching(/^Compacted/) });
    go.resolve();
    await turn;
    expect((await sizesOf(manager)).tokensUsed).toBeLessThan(3000);
    await expectTrue(manager);
  });

  test("because a compaction was taken back is not believed", async () => {
    const { inTurn, go, manager } = held(21);
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 20, 180);
    const session = await manager.open(KEY);
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    const turn = manager.handle(say(20));
    await inTurn;
    expect(await session.undoCompaction()).toBe(true);
    go.resolve();
    await turn;
    expect((await sizesOf(manager)).tokensUsed).toBeGreaterThan(3000);
    await expectTrue(manager);
  });
});

describe("G13 what a model thought before it answered", () => {
  test("was paid for, and is not in the next prompt", async () => {
    const model = limitedModel({
      window: 100_000,
      reply: (request, nth) => truly(request, words(`answer ${nth}:`, 20), nth === 8 ? 95_000 : 25),
    });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8, 1000);
    const status = await sizesOf(manager);
    expect(status.usage.output).toBeGreaterThan(95_000);
    expect(status.tokensUsed).toBeLessThan(9000);
    await expectTrue(manager);
    await talk(manager, say, 1);
    expect(model.purposes()).toEqual(Array(9).fill("reply"));
  });

  test("is not in it either where the provider recorded its answer and reports at the end", async () => {
    const model = limitedModel({
      window: 100_000,
      reply: async ({ messages, record }, nth) => {
        await record({ role: "assistant", content: words(`answer ${nth}:`, 20) });
        return { messages: [], usage: { input: await tokensOf(messages), output: nth === 8 ? 95_000 : 25 } };
      },
    });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8, 1000);
    await expectTrue(manager);
    await talk(manager, say, 1);
    expect(model.purposes()).toEqual(Array(9).fill("reply"));
  });
});
