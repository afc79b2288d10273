import { describe, expect, test } from "vitest";
import {
  type CompactionSettings,
  type GenerateRequest,
  MemoryStorage,
  type Message,
  SessionManager,
} from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { KEY } from "./conversation.js";

const NOTES = "They have spoken of this and that, at length.";
const overflow = (tokens: number) =>
  Object.assign(new Error(`prompt is too long: ${tokens} tokens > 6000 maximum`), { status: 400 });
const sizeOf = (messages: readonly Message[]) => Math.ceil(JSON.stringify(messages).length / 4);

function host(generate: (request: GenerateRequest) => unknown, more: object = {}, config: CompactionSettings = {}) {
  const calls: GenerateRequest["purpose"][] = [];
  const provider = {
    ...more,
    generate: async (request: GenerateRequest) => {
      calls.push(request.purpose);
      return (await generate(request)) as string;
    },
  };
  const manager = new SessionManager({
    storage: new MemoryStorage(),
    provider,
    config: { agents: { defaults: { compaction: config } } },
  });
  return { manager, calls };
}

const dm = (n: number) => builders().dm("ann", `${n} ${"words and more ".repeat(20)}`, { messageId: `m${n}` });

test("G7 what was thought is not told, and costs what is told nothing", async () => {
  const requests: string[] = [];
  const { manager } = host(
    ({ purpose, messages }) => {
      if (purpose === "memory-flush") return "NO_REPLY";
      requests.push(String(messages[0]?.content));
      return NOTES;
    },
    { contextWindow: () => 8000 },
  );
  await using _ = manager;
  const session = await manager.open(KEY as never);
  for (let n = 0; n < 4; n += 1) {
    await session.append({ role: "user", content: `question ${n}` });
    const text = `answer ${n} ${"with words ".repeat(200)}end ${n}`;
    await session.append({
      role: "assistant",
      content: [
        { type: "reasoning", text: "thinking ".repeat(4000) },
        { type: "text", text },
      ],
    });
  }
  expect(await session.compact()).toMatchObject({ status: "compacted" });
  expect(requests.join("\n")).not.toContain("left out");
  expect(requests.join("\n")).not.toContain("thinking");
  for (const n of [0, 1, 2]) expect(requests.join("\n")).toContain(`end ${n}`);
});

test("G6 in a loop of tools that is refused again and again, a summariser that failed is not asked again", async () => {
  let refusals = 0;
  const { manager, calls } = host(
    async ({ purpose, messages, record }) => {
      if (purpose !== "reply") throw new Error("down");
      if (sizeOf(messages) < 1500) return "fine";
      refusals += 1;
      if (refusals > 8) return "done";
      await record({ role: "assistant", content: `step ${refusals}` });
      throw overflow(9000);
    },
    { contextWindow: () => 6000 },
  );
  await using _ = manager;
  for (let n = 0; n < 24; n += 1) await manager.handle(dm(n)).catch(() => undefined);
  expect(refusals).toBeGreaterThanOrEqual(8);
  expect(calls.filter((purpose) => purpose === "summary").length).toBeLessThanOrEqual(4);
});

describe("G6 a summary made for a large model", () => {
  const long = `${"a long note on what was said; ".repeat(2000)}the last note`;

  const small = () => {
    const told: string[] = [];
    const made = host(
      ({ purpose, model, messages }) => {
        const window = model === "small" ? 6000 : 200_000;
        const size = sizeOf(messages);
        if (size > window) throw overflow(size);
        if (purpose === "memory-flush") return "NO_REPLY";
        if (purpose === "reply") return "fine";
        told.push(String(messages[0]?.content));
        return model === "small" ? NOTES : long;
      },
      { contextWindow: (model?: string) => (model === "small" ? 6000 : 200_000) },
    );
    return { ...made, told };
  };

  test("does not end the session when the model becomes a small one, and is told anew by that", async () => {
    const { manager, told } = small();
    await using _ = manager;
    const session = await manager.open(KEY as never);
    for (let n = 0; n < 60; n += 1) {
      await session.append({ role: "user", content: `${n} ${"said at length ".repeat(150)}` });
      await session.append({ role: "assistant", content: `noted ${n}` });
    }
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    await session.configure({ modelOverride: "small" });
    told.length = 0;
    for (let n = 0; n < 30; n += 1) expect(await manager.handle(dm(n))).toMatchObject({ status: "replied" });
    expect(told.length).toBeGreaterThan(0);
    expect((await session.context()).summary).toBe(NOTES);
  });
});

test("G12 a flush that is too large in bytes is asked again without media", async () => {
  const flushed: string[] = [];
  const { manager } = host(
    ({ purpose, messages }) => {
      const images = JSON.stringify(messages).split('"type":"image"').length - 1;
      if (images > 1) throw Object.assign(new Error("Request entity too large"), { status: 413 });
      if (purpose === "memory-flush") flushed.push(JSON.stringify(messages));
      return purpose === "summary" ? NOTES : "fine";
    },
    { contextWindow: () => 100_000 },
    { memoryFlush: { onFailure: "block" } },
  );
  await using _ = manager;
  const session = await manager.open(KEY as never);
  for (let n = 0; n < 6; n += 1) {
    const image = { type: "image" as const, mediaType: "image/png", data: "AAAA" };
    await session.append({ role: "user", content: [{ type: "text", text: `picture ${n}` }, image] });
    await session.append({ role: "assistant", content: "a fine picture" });
  }
  expect(await session.compact()).toMatchObject({ status: "compacted" });
  expect(flushed).toHaveLength(1);
  expect(flushed[0]).toContain("picture 0");
});

test("G6 a refusal of a prompt that has been compacted meanwhile says nothing of the window", async () => {
  let refuse: (() => void) | undefined;
  let begun: () => void = () => {};
  const asked = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const { manager } = host(async ({ purpose, messages }) => {
    if (purpose === "memory-flush") return "NO_REPLY";
    if (purpose === "summary") return NOTES;
    if (refuse !== undefined || messages.length < 30) return "fine";
    begun();
    await new Promise<void>((resolve) => {
      refuse = resolve;
    });
    throw overflow(12_000);
  });
  await using _ = manager;
  const session = await manager.open(KEY as never);
  for (let n = 0; n < 40; n += 1) await session.append({ role: "user", content: `${n} ${"words ".repeat(100)}` });
  const turn = manager.handle(dm(1));
  await asked;
  expect(await session.compact()).toMatchObject({ status: "compacted" });
  refuse?.();
  expect(await turn).toMatchObject({ status: "replied" });
  expect((await session.status()).contextWindow).toBe(200_000);
  expect((await session.status()).compactions).toBe(1);
});

test("G6 a window of a few tokens is no mistake of the program", async () => {
  const { manager } = host(
    ({ purpose }) => {
      if (purpose === "reply") return "fine";
      throw overflow(9);
    },
    { contextWindow: () => 6, countTokens: () => 1 },
  );
  await using _ = manager;
  for (let n = 0; n < 12; n += 1) expect(await manager.handle(dm(n))).toMatchObject({ status: "replied" });
});
