import { describe, expect, test } from "vitest";
import type { GenerateRequest, ProviderHooks, SessionManager } from "../../../src/index.js";
import { hostOf, KEY, speaker, talk, toolStep, words } from "./conversation.js";
import { type Limits, limitedModel, openaiRefusal, tokensOf } from "./limited-model.js";

/** What the host's instructions and tools take, which nobody but the provider counts. */
const OVERHEAD = 12_000;

const sized = async ({ messages }: GenerateRequest, content: string, more = OVERHEAD) => ({
  messages: [{ role: "assistant" as const, content }],
  usage: { input: more + (await tokensOf(messages)), output: 5 },
});
const statusOf = async (manager: SessionManager) => (await manager.open(KEY)).status();

/** A model whose host cannot say how large its window is. */
function unnamed(limits: Limits): ReturnType<typeof limitedModel> {
  return { ...limitedModel(limits), contextWindow: () => undefined } as never;
}

/** Refuses the reply of that number, counted with those that are refused, for a reason that is not the prompt's size. */
function refusingOnce(at: number, more: number, told: number): NonNullable<Limits["reply"]> {
  return (request, nth) => (nth === at ? openaiRefusal(told + 1000, told) : sized(request, `answer ${nth}.`, more));
}

async function outcomes(manager: SessionManager, say: ReturnType<typeof speaker>, turns: number, tokens: number) {
  const statuses: string[] = [];
  for (let n = 0; n < turns; n += 1)
    statuses.push(
      await manager.handle(say(tokens)).then(
        ({ status }) => status,
        ({ code }) => code,
      ),
    );
  return statuses;
}

describe("G6 a window that the host has named", () => {
  test.each([
    [200_000, 0, 500],
    [32_000, OVERHEAD, 250],
  ])("of %d tokens stays as large after a refusal, with %d of them taken by the host", async (window, more, tokens) => {
    const model = limitedModel({ window, reply: refusingOnce(9, more, window) });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8, tokens);
    const { compactAt } = await statusOf(manager);
    expect(await outcomes(manager, say, 20, tokens)).toEqual(Array(20).fill("replied"));
    expect(await statusOf(manager)).toMatchObject({ contextWindow: window, compactAt });
    expect(await manager.handle(say(4000))).toMatchObject({ status: "replied" });
  });

  test("takes long messages after the provider's own loop was refused over what a tool returned", async () => {
    const read: string[] = [];
    const model = limitedModel({
      window: 8000,
      reply: async ({ record, messages }, nth) => {
        if (nth !== 3) return `answer ${nth}: ${messages.length}`;
        for (const step of toolStep("t1", words("file:", 15_000))) await record(step);
        read.push("t1");
        return openaiRefusal(17_000, 8000);
      },
    });
    await using manager = hostOf(model);
    const say = speaker();
    expect(await outcomes(manager, say, 4, 600)).toEqual(Array(4).fill("replied"));
    expect(await statusOf(manager)).toMatchObject({ contextWindow: 8000 });
    expect(await outcomes(manager, say, 6, 3000)).toEqual(Array(6).fill("replied"));
    expect(read).toEqual(["t1"]);
    expect(model.of("reply").filter(({ refused }) => refused)).toEqual([]);
  });
});

describe("G6 a window that nobody has named", () => {
  test("stays as large after a refusal of the provider's own loop", async () => {
    const model = unnamed({
      window: 200_000,
      reply: async ({ record }, nth) => {
        if (nth !== 3) return `answer ${nth}.`;
        for (const step of toolStep("t1", words("file:", 3000))) await record(step);
        return openaiRefusal(210_000, 200_000);
      },
    });
    await using manager = hostOf(model);
    expect(await outcomes(manager, speaker(), 5, 600)).toEqual(Array(5).fill("replied"));
    expect(await statusOf(manager)).toMatchObject({ contextWindow: 200_000, compactAt: 180_000 });
  });

  test("with much taken by the host is not guessed so small by one refusal that later turns fail", async () => {
    const model = unnamed({ window: 32_000, reply: refusingOnce(9, OVERHEAD, 32_000) });
    await using manager = hostOf(model);
    expect(await outcomes(manager, speaker(), 30, 250)).toEqual(Array(30).fill("replied"));
    const { contextWindow } = await statusOf(manager);
    expect(contextWindow).toBeGreaterThan(OVERHEAD + 1500);
    expect(model.of("summary").length).toBeLessThanOrEqual(6);
  });

  test("with much taken by the host goes on when the window really is full", async () => {
    const real = 32_000;
    const model = unnamed({
      window: real,
      reply: async (request, nth) => {
        const tokens = OVERHEAD + (await tokensOf(request.messages));
        return tokens > real ? openaiRefusal(tokens, real) : sized(request, `answer ${nth}.`);
      },
    });
    await using manager = hostOf(model);
    expect(await outcomes(manager, speaker(), 40, 1500)).toEqual(Array(40).fill("replied"));
    const { contextWindow } = await statusOf(manager);
    expect(contextWindow).toBeGreaterThan(real * 0.8);
    expect(contextWindow).toBeLessThan(real * 1.2);
  });

  test("is as large as before when more than was refused has been accepted", async () => {
    let more = 0;
    const model = unnamed({
      window: 200_000,
      reply: (request, nth) => (nth === 4 ? openaiRefusal(9000, 8000) : sized(request, `answer ${nth}.`, more)),
    });
    await using manager = hostOf(model as ProviderHooks);
    const say = speaker();
    expect(await outcomes(manager, say, 5, 1000)).toEqual(Array(5).fill("replied"));
    const guessed = (await statusOf(manager)).contextWindow;
    expect(guessed).toBeGreaterThan(3500);
    expect(guessed).toBeLessThan(5000);
    more = OVERHEAD;
    expect(await manager.handle(say(100))).toMatchObject({ status: "replied" });
    expect(await statusOf(manager)).toMatchObject({ contextWindow: 200_000 });
  });
});
