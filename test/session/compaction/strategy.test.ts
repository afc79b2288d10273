import { describe, expect, test } from "vitest";
import type { Summarize, SummarizeRequest } from "../../../src/index.js";
import { deferred } from "../store-dir.js";
import { heard, historyOf, hostOf, KEY, marks, marksIn, speaker, talk, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";

const NOTES = "They spoke of cats, and of nothing else.";
const model = () => limitedModel({ window: 100_000 });

describe("a strategy of the host's own", () => {
  test("is given what leaves, the summary so far, what was asked for and a signal", async () => {
    const requests: SummarizeRequest[] = [];
    const strategy: Summarize = (request) => {
      requests.push(request);
      return `${NOTES} ${requests.length}`;
    };
    const provider = model();
    await using manager = hostOf(provider, { strategy });
    const say = speaker();
    await talk(manager, say, 6);
    const session = await manager.open(KEY);
    expect(await session.compact({ instructions: "the cats" })).toMatchObject({ status: "compacted" });
    const [first] = requests;
    expect(first).toMatchObject({ key: KEY, uuid: session.uuid, previousSummary: undefined, instructions: "the cats" });
    expect(first?.signal).toBeInstanceOf(AbortSignal);
    expect(first?.signal.aborted).toBe(false);
    const kept = (await session.context()).messages;
    expect([...marksIn(first?.messages ?? []), ...marksIn(kept)]).toEqual(marks(1, 6));
    expect(first?.messages[0]).toMatchObject({ role: "user", id: expect.any(String), timestamp: expect.any(String) });
    expect((await session.context()).summary).toBe(`${NOTES} 1`);

    await talk(manager, say, 6);
    await session.compact();
    expect(requests[1]).toMatchObject({ previousSummary: `${NOTES} 1`, instructions: undefined });
    expect((await session.context()).summary).toBe(`${NOTES} 2`);
    expect(provider.of("summary")).toEqual([]);
    expect(provider.of("memory-flush")).toHaveLength(2);
  });

  test("may answer later, and its summary is trimmed", async () => {
    await using manager = hostOf(model(), { strategy: async () => `\n  ${NOTES}  \n` });
    await talk(manager, speaker(), 6);
    const session = await manager.open(KEY);
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    expect((await session.context()).summary).toBe(NOTES);
  });

  const never = new Promise<never>(() => {});
  const hangs = () => never;
  const boom = () => {
    throw new RangeError("no disk");
  };
  test.each<[string, () => unknown, string]>([
    ["an empty text", () => "", "summary-empty"],
    ["blanks", async () => "  \n ", "summary-empty"],
    ["a word", () => "ok", "summary-too-short"],
    ["a number", () => 42, "provider-failed"],
    ["nothing", () => undefined, "provider-failed"],
    ["an object", async () => ({ summary: NOTES }), "provider-failed"],
    ["an error, at once", boom, "provider-failed"],
    ["an error, later", async () => boom(), "provider-failed"],
    ["no answer in the time it is given", hangs, "provider-failed"],
    ["more than the conversation itself", () => words("far too much:", 2000), "too-little-gained"],
    ["more than fits the window", () => words("far too much:", 60_000), "summary-too-long"],
  ])("G7 whose result is %s is refused, and the history is as it was", async (_what, strategy, reason) => {
    await using manager = hostOf(model(), {
      strategy: strategy as Summarize,
      timeoutSeconds: strategy === hangs ? 0.2 : 30,
    });
    await talk(manager, speaker(), 6);
    const session = await manager.open(KEY);
    const events = heard(manager, "compaction.failed", "compaction.completed");
    const before = (await session.context()).messages;
    expect(await session.compact()).toMatchObject({ status: "failed", reason });
    expect((await session.context()).messages).toEqual(before);
    expect(await manager.get(KEY)).toMatchObject({ compactions: 0, messageCount: 12 });
    expect(events).toMatchObject([{ name: "compaction.failed", cause: "host", reason }]);
  });

  test("is told by its signal when its time is over, and its error names the reason", async () => {
    const told = deferred<unknown>();
    const strategy: Summarize = ({ signal }) => {
      signal.addEventListener("abort", () => told.resolve(signal.reason));
      return never;
    };
    await using manager = hostOf(model(), { strategy, timeoutSeconds: 0.02 });
    await talk(manager, speaker(), 6);
    const outcome = await (await manager.open(KEY)).compact();
    expect(outcome).toMatchObject({
      status: "failed",
      error: { code: "HOOK", message: expect.stringContaining("0.02") },
    });
    expect(await told.promise).toMatchObject({ name: "TimeoutError" });
  });

  test("keeps its own error as the cause of the one that is reported", async () => {
    await using manager = hostOf(model(), { strategy: boom });
    await talk(manager, speaker(), 6);
    const outcome = await (await manager.open(KEY)).compact();
    expect(outcome).toMatchObject({ error: { code: "HOOK", cause: expect.any(RangeError) } });
  });

  test("cannot change what is stored through what it is given", async () => {
    const strategy: Summarize = ({ messages }) => {
      for (const message of messages) (message as { content: unknown }).content = "forged";
      return NOTES;
    };
    await using manager = hostOf(model(), { strategy });
    await talk(manager, speaker(), 6);
    await (await manager.open(KEY)).compact();
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 6));
  });
});
