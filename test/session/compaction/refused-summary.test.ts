import { describe, expect, test } from "vitest";
import { linesOf, tempDir } from "../store-dir.js";
import { heard, historyOf, hostOf, KEY, marks, marksIn, NOTICE, speaker, talk, words } from "./conversation.js";
import { type Limits, limitedModel } from "./limited-model.js";

const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);
const text = (content: string, stopReason: string) => ({
  messages: [{ role: "assistant" as const, content }],
  stopReason,
});
const GOOD = "They spoke of cats, of dogs, and of";

const SUMMARIES: [string, NonNullable<Limits["summary"]>, string][] = [
  ["empty", () => "", "summary-empty"],
  ["blank", () => " \n", "summary-empty"],
  ["NO_REPLY", () => "NO_REPLY", "summary-empty"],
  ["too short", () => "ok.", "summary-too-short"],
  ["an error", () => new Error("overloaded"), "provider-failed"],
  ["no answer but a number", () => 42 as never, "provider-failed"],
  ["as long as what it stands for", () => words("all of it:", 480), "too-little-gained"],
  ["longer than a summary may be", () => words("all of it:", 5000), "summary-too-long"],
  ["cut off at its length", () => text(GOOD, "length"), "summary-too-long"],
  ["cut off, as Anthropic says it", () => text(GOOD, "max_tokens"), "summary-too-long"],
  [
    "a call of a tool",
    () => ({
      messages: [{ role: "assistant", content: [{ type: "tool-call", toolCallId: "c", toolName: "read", input: {} }] }],
    }),
    "summary-empty",
  ],
];

describe("G7 a summary that cannot be used is refused", () => {
  test.each(SUMMARIES)("%s: the history is as it was and no compaction is stored", async (_what, summary, reason) => {
    const dir = tempDir();
    const model = limitedModel({ window: 16_000, reply, summary });
    await using manager = hostOf(model, {}, { dir });
    await talk(manager, speaker(), 3);
    const session = await manager.open(KEY);
    const failed = heard(manager, "compaction.failed");
    const before = (await session.context()).messages;
    const lines = await linesOf(manager, dir, KEY);
    expect(await session.compact()).toMatchObject({ status: "failed", reason });
    expect(failed).toMatchObject([{ cause: "host", reason, threshold: 8000, contextWindow: 16_000 }]);
    expect(model.of("summary")).toHaveLength(1);
    expect((await session.context()).messages).toEqual(before);
    const after = await linesOf(manager, dir, KEY);
    expect(after.slice(0, lines.length)).toEqual(lines);
    expect(after.slice(lines.length).map(({ type }) => type)).toEqual(["memory-flush"]);
  });

  test("the reason an answer ended that is no cutting off is no fault", async () => {
    await using manager = hostOf(limitedModel({ window: 16_000, reply, summary: () => text(GOOD, "stop") }));
    await talk(manager, speaker(), 3);
    expect(await (await manager.open(KEY)).compact()).toMatchObject({ status: "compacted" });
  });
});

describe("G6 a summariser that is broken when the threshold is passed", () => {
  test.each(SUMMARIES)(
    "%s: every turn is answered, and what does not fit is left out with a notice",
    async (_what, summary) => {
      const dir = tempDir();
      // In this window the least that can leave is half of 2048 tokens, so that 480 would be a gain: it has to be more here.
      const echo = _what === "as long as what it stands for" ? () => words("all of it:", 5000) : summary;
      const model = limitedModel({ window: 4096, reply, summary: echo });
      await using manager = hostOf(model, {}, { dir });
      await talk(manager, speaker(), 20);
      expect(model.of("reply")).toHaveLength(20);
      expect(model.of("reply").every(({ refused }) => !refused)).toBe(true);
      expect(model.calls.at(-1)?.text).toMatch(NOTICE);
      expect(model.calls.at(-1)?.messages.at(-1)?.content).toMatch(/^q20\./);
      expect(marksIn(await historyOf(manager))).toEqual(marks(1, 20));
      const types = (await linesOf(manager, dir, KEY)).map(({ type }) => type);
      expect(types).not.toContain("compaction");
    },
  );

  test("is asked less and less often: a hundred turns cost a handful of calls, and every turn is answered once", async () => {
    let works = false;
    const summary = () => (works ? "They asked why, over and over." : new Error("overloaded"));
    const model = limitedModel({ window: 4096, reply: () => "because.", summary });
    await using manager = hostOf(model);
    const say = speaker();
    const failures = heard(manager, "compaction.failed");
    await talk(manager, say, 120);
    expect(model.of("reply")).toHaveLength(120);
    const asked = model.of("summary").length;
    expect(asked).toBe(failures.length);
    expect(asked).toBeGreaterThanOrEqual(3);
    expect(asked).toBeLessThanOrEqual(8);
    expect(model.of("memory-flush")).toHaveLength(1);
    const at = model.calls.flatMap(({ purpose }, place) => (purpose === "summary" ? [place] : []));
    const pauses = at.slice(1).map((place, n) => place - (at[n] as number));
    expect(pauses).toEqual([...pauses].sort((one, other) => one - other));

    works = true;
    const completed = heard(manager, "compaction.completed");
    await talk(manager, say, 40);
    expect(completed.length).toBeGreaterThanOrEqual(1);
    expect(model.calls.at(-1)?.text).toContain("They asked why, over and over.");
    expect(model.calls.at(-1)?.text).not.toMatch(NOTICE);
    const recovered = model.of("summary").length;
    await talk(manager, say, 30);
    expect(completed.length).toBeGreaterThanOrEqual(2);
    expect(model.of("summary").length - recovered).toBeLessThanOrEqual(5);
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 190));
  });

  test("a person who asks for a compaction gets one at once, whatever failed before", async () => {
    let works = false;
    const summary = () => (works ? "They asked why, over and over." : "");
    const model = limitedModel({ window: 4096, reply: () => "because.", summary });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 40);
    works = true;
    const session = await manager.open(KEY);
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    await manager.handle(say());
    expect(model.calls.at(-1)?.text).not.toMatch(NOTICE);
  });
});
