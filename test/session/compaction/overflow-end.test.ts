import { describe, expect, test } from "vitest";
import { type ContextOverflowError, isSessionError } from "../../../src/index.js";
import { linesOf, tempDir } from "../store-dir.js";
import { heard, historyOf, hostOf, KEY, marks, marksIn, speaker, talk, words } from "./conversation.js";
import { type Limits, limitedModel, openaiRefusal } from "./limited-model.js";

const refused = () => openaiRefusal(9000, 8192);

/** A model that refuses every reply from when it is told to. */
function stubborn(limits: Pick<Limits, "summary"> = {}) {
  let refuses = false;
  const reply = (_request: unknown, nth: number) => (refuses ? refused() : words(`answer ${nth}:`, 300));
  const model = limitedModel({ window: 200_000, ...limits, reply });
  const refuse = (now: boolean) => {
    refuses = now;
  };
  return { model, refuse };
}

async function failureOf(work: Promise<unknown>): Promise<ContextOverflowError> {
  return work.then(
    () => expect.fail("It did not fail."),
    (error: ContextOverflowError) => error,
  );
}

describe("G6 a provider that refuses every prompt", () => {
  test("ends in CONTEXT_OVERFLOW with the numbers, after a bounded number of calls, and the session goes on", async () => {
    const dir = tempDir();
    const { model, refuse } = stubborn();
    await using manager = hostOf(model, {}, { dir });
    const say = speaker();
    await talk(manager, say, 12, 300);
    const before = model.calls.length;
    const events = heard(manager, "compaction.started", "context.overflow", "turn.failed");
    refuse(true);
    const error = await failureOf(manager.handle(say(300)));
    expect(isSessionError(error, "CONTEXT_OVERFLOW")).toBe(true);
    expect(error).toMatchObject({
      operation: "generate",
      key: KEY,
      tokens: expect.any(Number),
      contextWindow: 200_000,
    });
    expect(error.message).toContain(String(error.tokens));
    expect(error.message).toContain("200000");
    expect(error.message).not.toContain("why");
    expect(events.filter(({ name }) => name === "compaction.started").length).toBeLessThanOrEqual(3);
    expect(model.of("reply").length - 12).toBeLessThanOrEqual(8);
    expect(model.calls.length - before).toBeLessThanOrEqual(16);
    const attempts = events.filter(({ name }) => name === "context.overflow");
    expect(attempts.map((event) => "attempt" in event && event.attempt)).toEqual(attempts.map((_event, at) => at + 1));
    expect(events.at(-1)).toMatchObject({ name: "turn.failed", error });

    const lines = await linesOf(manager, dir, KEY);
    const ends = lines.filter(({ type }) => type === "turn");
    expect(ends.at(-1)).toMatchObject({ status: "failed", error: { code: "CONTEXT_OVERFLOW" } });
    expect(lines.filter(({ role, content }) => role === "user" && String(content).startsWith("q13."))).toHaveLength(1);

    refuse(false);
    expect(await manager.handle(say(300))).toMatchObject({ status: "replied" });
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 14));
    expect(model.calls.at(-1)?.messages.at(-1)?.content).toMatch(/^q14\./);
  });

  test("whose summariser says back what it is given is asked for no more than three summaries", async () => {
    const summary: Limits["summary"] = ({ messages }) => String(messages[0]?.content);
    const { model, refuse } = stubborn({ summary });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 12, 300);
    refuse(true);
    const events = heard(manager, "compaction.failed", "compaction.completed");
    expect(await failureOf(manager.handle(say(300)))).toMatchObject({ code: "CONTEXT_OVERFLOW" });
    expect(model.of("summary").length).toBeLessThanOrEqual(3);
    expect(new Set(events.map(({ name }) => name))).toEqual(new Set(["compaction.failed"]));
    expect(await manager.get(KEY)).toMatchObject({ compactions: 0 });
    refuse(false);
    expect(await manager.handle(say(300))).toMatchObject({ status: "replied" });
  });

  test.each<[string, NonNullable<Limits["summary"]>]>([
    ["empty", () => ""],
    ["an error", () => new Error("down")],
    ["too large a request itself", () => refused()],
  ])("and whose summary is %s is not asked without end", async (_what, summary) => {
    const { model, refuse } = stubborn({ summary });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 12, 300);
    refuse(true);
    for (let n = 0; n < 3; n += 1)
      expect(await failureOf(manager.handle(say(300)))).toMatchObject({ code: "CONTEXT_OVERFLOW" });
    // Two of the three turns compact, each with requests of at most four sizes.
    expect(model.of("summary").length).toBeLessThanOrEqual(8);
    expect(model.of("reply").length - 12).toBeLessThanOrEqual(3 * 8);
    refuse(false);
    expect(await manager.handle(say(300))).toMatchObject({ status: "replied" });
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 16));
  });

  test("ends so for the first message of a session as well", async () => {
    const { model, refuse } = stubborn();
    await using manager = hostOf(model);
    const say = speaker();
    refuse(true);
    const error = await failureOf(manager.handle(say(300)));
    expect(error).toMatchObject({ code: "CONTEXT_OVERFLOW", cause: expect.anything() });
    expect(model.purposes()).toEqual(["reply"]);
    refuse(false);
    expect(await manager.handle(say(300))).toMatchObject({ status: "replied" });
  });

  test("is not compacted again and again by the turns that come after one that failed", async () => {
    const { model, refuse } = stubborn();
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 12, 300);
    refuse(true);
    for (let n = 0; n < 6; n += 1) await failureOf(manager.handle(say(20)));
    expect(model.of("summary").length).toBeLessThanOrEqual(6 * 3);
    expect(model.calls.filter(({ purpose }) => purpose === "reply").length - 12).toBeLessThanOrEqual(6 * 8);
    const record = await manager.get(KEY);
    expect(record?.openTurns).toEqual([]);
  });
});

describe("G6 one message that is larger than the window", () => {
  test("is refused with CONTEXT_OVERFLOW, stays in the history, and does not end the session", async () => {
    const model = limitedModel({ window: 4096 });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 3, 100);
    const error = await failureOf(manager.handle(say(6000)));
    expect(error).toMatchObject({ code: "CONTEXT_OVERFLOW", contextWindow: 4096 });
    expect(error.tokens).toBeGreaterThan(5900);
    expect(model.calls.length).toBeLessThanOrEqual(3 + 6);
    for (let n = 0; n < 4; n += 1) expect(await manager.handle(say(100))).toMatchObject({ status: "replied" });
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 8));
    expect(model.of("reply").every(({ refused: was }) => !was)).toBe(true);
    expect(model.calls.at(-1)?.messages.at(-1)?.content).toMatch(/^q8\./);
  });

  test("does not end the session where the summariser is broken either", async () => {
    const model = limitedModel({ window: 4096, summary: () => new Error("down") });
    await using manager = hostOf(model);
    const say = speaker();
    await failureOf(manager.handle(say(6000)));
    for (let n = 0; n < 4; n += 1) expect(await manager.handle(say(100))).toMatchObject({ status: "replied" });
  });
});
