import { describe, expect, test } from "vitest";
import type { ContentPart, GenerateRequest, Message } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { heard, historyOf, hostOf, KEY, speaker, talk, toolStep, words } from "./conversation.js";
import { limitedModel, openaiRefusal, payloadRefusal, tokensOf } from "./limited-model.js";

const results = (messages: readonly Message[]) =>
  messages.flatMap(({ content }) =>
    typeof content === "string" ? [] : content.filter((part) => part.type === "tool-result"),
  );

describe("G6 one tool result of a megabyte", () => {
  const HUGE = "data ".repeat(200_000);

  test("from an earlier turn is cut with a marker, and the turn succeeds without a summary", async () => {
    const model = limitedModel({
      window: 32_000,
      reply: (_request, nth) =>
        nth === 2 ? { messages: [...toolStep("t1", HUGE), { role: "assistant", content: "read it." }] } : "fine.",
    });
    await using manager = hostOf(model);
    await talk(manager, speaker(), 4, 50);
    expect(model.purposes()).toEqual(Array(4).fill("reply"));
    expect(model.calls.every(({ refused }) => !refused)).toBe(true);
    expect(model.calls.at(-1)?.text).toMatch(/\[… \d+ characters left out/);
    expect(JSON.stringify(await historyOf(manager))).toContain(HUGE);
  });

  test.each([50, 600])(
    "that overflows the loop it was read in is cut with a marker, and the turn succeeds without a summary: turns of %d tokens",
    async (tokens) => {
      const model = limitedModel({
        window: 32_000,
        reply: async ({ messages, record }, nth) => {
          if (nth !== 4) return `fine: ${results(messages).length}`;
          for (const step of toolStep("t1", HUGE)) await record(step);
          return openaiRefusal(200_000, 32_000);
        },
      });
      await using manager = hostOf(model);
      const say = speaker();
      await talk(manager, say, 3, tokens);
      const overflows = heard(manager, "context.overflow");
      expect(await manager.handle(say(tokens))).toMatchObject({ status: "replied", text: "fine: 1" });
      expect(overflows).toHaveLength(1);
      expect(model.of("summary")).toEqual([]);
      expect(model.of("reply")).toHaveLength(5);
      expect(model.calls.at(-1)?.text).toMatch(/characters left out/);
      expect(JSON.stringify(await historyOf(manager))).toContain(HUGE);
    },
  );

  test("in a session with nothing else in it needs no summary either", async () => {
    const model = limitedModel({
      window: 8000,
      reply: async ({ messages, record }) => {
        if (results(messages).length > 0) return "read it.";
        for (const step of toolStep("t1", HUGE)) await record(step);
        return openaiRefusal(200_000, 8000);
      },
    });
    await using manager = hostOf(model);
    expect(await manager.handle(speaker()(50))).toMatchObject({ status: "replied", text: "read it." });
    expect(model.purposes()).toEqual(["reply", "reply"]);
  });
});

describe("G6 an overflow in the middle of an agent's loop", () => {
  /** Reads five files, one after the other, and calls the model after each: what has been read is not read again. */
  function agent(size: number, window: number) {
    const read: string[] = [];
    const loop = async ({ messages, record, emit }: GenerateRequest, own: number[]) => {
      const done = new Set(results(messages).map((part) => (part as { toolCallId: string }).toolCallId));
      let tokens = own.reduce((sum, one) => sum + one, 0);
      for (const id of ["f1", "f2", "f3", "f4", "f5"]) {
        if (done.has(id) || read.includes(id)) continue;
        read.push(id);
        for (const step of toolStep(id, words(`${id}:`, size))) await record(step);
        tokens += size;
        if (tokens > window) {
          emit("I have read so far");
          return openaiRefusal(tokens, window);
        }
      }
      return `read ${read.length} files`;
    };
    return { read, loop };
  }

  test("goes on from the steps that were recorded: none is run twice, and none is lost", async () => {
    const { read, loop } = agent(1200, 5000);
    const model = limitedModel({
      window: 8000,
      reply: (request, nth) => (nth <= 3 ? words(`answer ${nth}:`, 300) : loop(request, nth === 4 ? [1500] : [0])),
    });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 3, 200);
    const overflows = heard(manager, "context.overflow");
    expect(await manager.handle(say(50))).toMatchObject({ status: "replied", text: "read 5 files" });
    expect(overflows.length).toBeGreaterThanOrEqual(1);
    expect(read).toEqual(["f1", "f2", "f3", "f4", "f5"]);
    const history = await historyOf(manager);
    const ids = results(history).map((part) => (part as ContentPart & { toolCallId: string }).toolCallId);
    expect(ids).toEqual(["f1", "f2", "f3", "f4", "f5"]);
    expect(history.filter(({ role, content }) => role === "user" && String(content).startsWith("q4."))).toHaveLength(1);
    expect(model.of("reply").at(-1)?.text).toContain("q4.");
  });

  test("may come again and again, as long as the calls between them succeed: the turn is carried on to its end", async () => {
    const files = Array.from({ length: 60 }, (_, at) => `f${at + 1}`);
    const read: string[] = [];
    const model = limitedModel({
      window: 4000,
      reply: async ({ messages, record }) => {
        let tokens = await tokensOf(messages);
        for (const id of files.slice(read.length)) {
          // Each step is a call of the model that succeeded.
          if (tokens + 350 > 4000) return openaiRefusal(tokens + 350, 4000);
          read.push(id);
          const [call, result] = toolStep(id, words(`${id}:`, 300));
          await record(call);
          await record(result);
          tokens += 350;
        }
        return `read ${read.length} files`;
      },
    });
    await using manager = hostOf(model);
    expect(await manager.handle(speaker()(50))).toMatchObject({ status: "replied", text: "read 60 files" });
    expect(read).toEqual(files);
    expect(results(await historyOf(manager))).toHaveLength(60);
  });

  test("keeps the text that had streamed, marked as broken off, and tells the model so", async () => {
    let refuse = true;
    const model = limitedModel({
      window: 8000,
      reply: ({ emit }, nth) => {
        if (nth < 4 || !refuse) return words(`answer ${nth}:`, 300);
        refuse = false;
        emit("The first half of");
        return openaiRefusal(9000, 8000);
      },
    });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 3, 200);
    expect(await manager.handle(say(50))).toMatchObject({
      status: "replied",
      text: expect.stringMatching(/^answer 5:/),
    });
    const history = await historyOf(manager);
    expect(history.slice(-3)).toMatchObject([
      { role: "user" },
      { role: "assistant", content: "The first half of", stopReason: "error" },
      { role: "assistant", content: expect.stringMatching(/^answer 5:/) },
    ]);
    const last = model.of("reply").at(-1)?.messages.at(-1);
    expect(last).toMatchObject({ role: "user", content: expect.stringContaining("The first half of") });
    expect(JSON.stringify(last)).toContain("broke off");
  });

  test("cuts a turn that alone fills the window between its steps, never between a call and its result", async () => {
    const model = limitedModel({
      window: 6000,
      reply: async ({ messages, record }, nth) => {
        if (nth === 1) {
          for (let n = 1; n <= 12; n += 1)
            for (const step of toolStep(`s${n}`, words(`r${n}:`, 480))) await record(step);
          return openaiRefusal(6500, 6000);
        }
        return `seen ${results(messages).length}`;
      },
    });
    await using manager = hostOf(model);
    const outcome = await manager.handle(speaker()(50));
    expect(outcome).toMatchObject({ status: "replied" });
    for (const { messages } of model.of("reply")) {
      const calls = messages
        .flatMap(({ content }) => (typeof content === "string" ? [] : content))
        .filter(({ type }) => type === "tool-call");
      expect(results(messages)).toHaveLength(calls.length);
    }
    expect(results(await historyOf(manager))).toHaveLength(12);
    expect(model.calls.at(-1)?.text).toContain("q1.");
  });
});

describe("G21 a payload that is too large", () => {
  const image = (name: string): ContentPart => ({
    type: "image",
    mediaType: "image/png",
    data: "iVBORw0KGgo=",
    filename: name,
  });
  const imagesIn = (messages: readonly Message[]) =>
    messages.flatMap(({ content }) =>
      typeof content === "string" ? [] : content.filter(({ type }) => type === "image"),
    );

  async function talkOfPictures(most: number) {
    const model = limitedModel({
      window: 100_000,
      reply: ({ messages }) =>
        imagesIn(messages).length > most ? payloadRefusal() : `${imagesIn(messages).length} pictures`,
    });
    const manager = hostOf(model);
    const { dm } = builders();
    const show = (name: string) =>
      dm("ann", "", { text: undefined, content: [{ type: "text", text: "look:" }, image(name)] } as never);
    const reduced = heard(manager, "context.reduced", "context.overflow");
    return { model, manager, show, reduced };
  }

  test("is sent again without the older images first", async () => {
    const { model, manager, show, reduced } = await talkOfPictures(2);
    await using _closed = manager;
    for (const name of ["one.png", "two.png"]) await manager.handle(show(name));
    expect(await manager.handle(show("three.png"))).toMatchObject({ text: "1 pictures" });
    expect(model.purposes()).toEqual(["reply", "reply", "reply", "reply"]);
    expect(reduced).toMatchObject([
      { name: "context.overflow", payload: true },
      { name: "context.reduced", reason: "media" },
    ]);
    expect(model.calls.at(-1)?.text).toContain("three.png");
    expect(imagesIn(await historyOf(manager))).toHaveLength(3);
  });

  test("and then without any", async () => {
    const { model, manager, show } = await talkOfPictures(0);
    await using _closed = manager;
    expect(await manager.handle(show("one.png"))).toMatchObject({ text: "0 pictures" });
    expect(await manager.handle(show("two.png"))).toMatchObject({ text: "0 pictures" });
    expect(model.of("summary")).toEqual([]);
    expect(model.of("reply").map(({ messages }) => imagesIn(messages).length)).toEqual([1, 0, 2, 1, 0]);
    expect(imagesIn(await historyOf(manager))).toHaveLength(2);
    expect(imagesIn((await (await manager.open(KEY)).context()).messages)).toHaveLength(2);
  });
});
