import { describe, expect, test } from "vitest";
import type { CompactionSettings, Session } from "../../../src/index.js";
import { heard, hostOf, KEY, marksIn, speaker, talk, words } from "./conversation.js";
import { type Limits, limitedModel, tokensOf } from "./limited-model.js";

/** Answers, and reports what the prompt took, as most providers do. */
const reporting: Limits["reply"] = async ({ messages }, nth) => ({
  messages: [{ role: "assistant", content: words(`answer ${nth}:`, 100) }],
  usage: { input: await tokensOf(messages), output: 100 },
});

// Long and short ones, so that what is left in may be much less than what fits.
const SIZES = [60, 700, 60, 2400];

const CASES: [string, CompactionSettings, NonNullable<Limits["summary"]>][] = [
  ["the summariser is broken", {}, () => ""],
  ["compaction is turned off", { enabled: false }, () => new Error("not asked")],
];

describe.each(CASES)("G13 a prompt that turns were left out of, because %s", (_why, compaction, summary) => {
  const model = () => limitedModel({ window: 4096, reply: reporting, summary });

  test("does not pass its reported size off as that of the next one", async () => {
    await using manager = hostOf(model(), compaction);
    await talk(manager, speaker(), 30, 300);
    const session: Session = await manager.open(KEY);
    const whole = await tokensOf((await session.context()).messages);
    expect(whole).toBeGreaterThan(8000);
    const { tokensUsed } = await session.status();
    expect(tokensUsed).toBeGreaterThan(whole * 0.9);
    expect(tokensUsed).toBeLessThan(whole * 1.1);
  });

  test("G6 does not make the turns after it run into the limit", async () => {
    const provider = model();
    await using manager = hostOf(provider, compaction);
    const overflows = heard(manager, "context.overflow");
    const say = speaker();
    for (let n = 0; n < 60; n += 1) await manager.handle(say(SIZES[n % SIZES.length]));
    expect(overflows).toEqual([]);
    expect(provider.of("reply")).toHaveLength(60);
    expect(provider.of("summary").length).toBeLessThanOrEqual(7);
  });

  test("G6 keeps what was said last in it, as far as it fits", async () => {
    const provider = model();
    await using manager = hostOf(provider, compaction);
    await talk(manager, speaker(), 30, 300);
    const last = provider.of("reply").at(-1);
    expect(last?.tokens).toBeLessThanOrEqual(4096);
    expect(marksIn(last?.messages ?? []).length).toBeGreaterThanOrEqual(4);
    expect(marksIn(last?.messages ?? []).at(-1)).toBe("q30.");
  });
});
