import { describe, expect, test } from "vitest";
import { MemoryStorage, type Message, type SessionManager } from "../../../src/index.js";
import { heard, hostOf, KEY, marks, marksIn, speaker, words } from "./conversation.js";
import { type LimitedModel, limitedModel } from "./limited-model.js";

const WINDOWS = { big: 200_000, small: 32_000 };
/** So many of what people say, and as many answers. Together far more than eight requests of the small model can tell. */
const SAID = 1800;

/** A host whose session holds thousands of short messages, marked q1. up to q1800., and then gets a smaller model. */
async function crowded(model: LimitedModel) {
  const config = { agents: { defaults: { model: "big" } } };
  const manager = hostOf(model, {}, { config, storage: new MemoryStorage() });
  const session = await manager.open(KEY);
  const say = speaker();
  const messages: Message[] = [];
  for (let n = 1; n <= SAID; n += 1) {
    messages.push({ role: "user", content: words(`q${n}.`, 30) }, { role: "assistant", content: words("a", 25) });
    say(1);
  }
  await session.append(...messages);
  const told = toldBy(manager, model);
  expect(await manager.handle({ ...say(), text: "/model small" })).toMatchObject({ status: "command" });
  return { manager, session, say, told };
}

/** What the summaries tell that were taken into the conversation, and how many requests each compaction took. */
function toldBy(manager: SessionManager, model: LimitedModel): { marks: string[]; requests: number[] } {
  const told = { marks: [] as string[], requests: [] as number[] };
  let seen = 0;
  const take = (committed: boolean) => {
    const calls = model.of("summary").slice(seen);
    seen += calls.length;
    told.requests.push(calls.length);
    if (committed) for (const { messages, refused } of calls) if (!refused) told.marks.push(...marksIn(messages));
  };
  manager.on("compaction.completed", () => take(true));
  manager.on("compaction.failed", () => take(false));
  return told;
}

const UP_TO = SAID + 1;

describe("G6 G7 a window of thousands of short messages, and a model with a small one", () => {
  test("is compacted part by part: every message is told in exactly one summary, or still there", async () => {
    const model = limitedModel({ window: WINDOWS });
    const { manager, session, say, told } = await crowded(model);
    await using _closed = manager;
    const failed = heard(manager, "compaction.failed");
    for (let n = 0; n < 6; n += 1) expect(await manager.handle(say(20))).toMatchObject({ status: "replied" });
    expect(failed).toEqual([]);
    expect((await session.status()).compactions).toBeGreaterThanOrEqual(2);
    expect((await session.status()).tokensUsed).toBeLessThan((await session.status()).compactAt);
    const kept = marksIn((await session.context()).messages);
    // The command was counted by the speaker, and is no part of the conversation.
    const all = marks(1, UP_TO + 6).filter((mark) => mark !== `q${UP_TO}.`);
    expect([...told.marks, ...kept]).toEqual(all);
    expect(Math.max(...told.requests)).toBeLessThanOrEqual(8);
    expect(model.of("summary").filter(({ refused }) => refused)).toEqual([]);
    expect(model.of("reply").filter(({ refused }) => refused)).toEqual([]);
  });

  test("is compacted by `/compact` in the same way, until it fits", async () => {
    const model = limitedModel({ window: WINDOWS });
    const { manager, session, say, told } = await crowded(model);
    await using _closed = manager;
    const command = { ...say(), messageId: "" };
    for (let n = 1; (await session.status()).tokensUsed > 16_000; n += 1) {
      const outcome = await manager.handle({ ...command, messageId: `compact-${n}`, text: "/compact" });
      expect(outcome).toMatchObject({ text: expect.stringMatching(/^Compacted: \d+ message\(s\)/) });
      expect(n).toBeLessThan(8);
    }
    expect([...told.marks, ...marksIn((await session.context()).messages)]).toEqual(marks(1, SAID));
    expect(Math.max(...told.requests)).toBeLessThanOrEqual(8);
    expect(await manager.handle(say(20))).toMatchObject({ status: "replied" });
    expect(model.of("reply").filter(({ refused }) => refused)).toEqual([]);
  });

  test("is as it was after each part is taken back", async () => {
    const model = limitedModel({ window: WINDOWS });
    const { manager, session } = await crowded(model);
    await using _closed = manager;
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    expect(await session.undoCompaction()).toBe(true);
    expect(await session.undoCompaction()).toBe(true);
    expect(marksIn((await session.context()).messages)).toEqual(marks(1, SAID));
  });
});
