import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  assessCompaction,
  compactionThresholds,
  DEFAULT_COMPACTION,
  type MessageEntry,
  planCompaction,
  planStillApplies,
  type TranscriptEntry,
  windowBeginsAt,
  windowOf,
} from "../../src/core.js";
import { builders } from "../../src/testing.js";
import { budget, chat, stored, turns } from "./compaction-arbitraries.js";

const policy = DEFAULT_COMPACTION;
const fresh = { memoryFlushed: false };
const flushed = { memoryFlushed: true };
const countTokens = ({ content }: MessageEntry) => JSON.stringify(content).length;
const ids = (messages: readonly { id: string }[]) => messages.map(({ id }) => id);

describe("when", () => {
  test.each([
    [175_999, fresh, "none"],
    [176_000, fresh, "none"],
    [176_001, fresh, "flush-memory"],
    [176_001, flushed, "none"],
    [180_000, fresh, "flush-memory"],
    [180_001, fresh, "compact"],
    [180_001, flushed, "compact"],
  ])("G7 with the defaults, %i of 200,000 tokens (%o) need: %s", (tokens, state, action) => {
    expect(assessCompaction({ tokens, contextWindow: 200_000, policy, state }).action).toBe(action);
  });

  test("the threshold told is the one that was passed, or the next one", () => {
    const ask = (tokens: number, state = fresh) =>
      assessCompaction({ tokens, contextWindow: 200_000, policy, state }).threshold;
    expect([ask(0), ask(177_000), ask(190_000), ask(0, flushed)]).toEqual([176_000, 176_000, 180_000, 180_000]);
  });

  test("switched off, nothing is ever needed; without the flush, only compaction is", () => {
    const off = { ...policy, enabled: false };
    expect(assessCompaction({ tokens: 1e9, contextWindow: 4096, policy: off, state: fresh }).action).toBe("none");
    const dry = { ...policy, memoryFlush: { ...policy.memoryFlush, enabled: false } };
    expect(assessCompaction({ tokens: 179_000, contextWindow: 200_000, policy: dry, state: fresh }).action).toBe(
      "none",
    );
    expect(assessCompaction({ tokens: 180_001, contextWindow: 200_000, policy: dry, state: fresh }).action).toBe(
      "compact",
    );
  });

  test("G7 in a window of any size a short chat needs nothing, and one that fills the window is compacted", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 4096, max: 2_000_000 }),
        fc.record({ floor: fc.nat(3_000_000), soft: fc.nat(3_000_000) }),
        (contextWindow, { floor, soft }) => {
          const strange = {
            ...policy,
            reserveTokensFloor: floor,
            memoryFlush: { ...policy.memoryFlush, softThresholdTokens: soft },
          };
          const { flush, compact } = compactionThresholds(contextWindow, strange);
          expect(flush).toBeGreaterThanOrEqual(contextWindow * 0.37);
          expect(flush).toBeLessThanOrEqual(compact);
          expect(compact).toBeLessThanOrEqual(contextWindow);
          const ask = (tokens: number) =>
            assessCompaction({ tokens, contextWindow, policy: strange, state: fresh }).action;
          expect(ask(Math.floor(contextWindow / 3))).toBe("none");
          expect(ask(contextWindow + 1)).toBe("compact");
        },
      ),
    );
  });

  test.each([Number.NaN, 0, -1, Number.POSITIVE_INFINITY])(
    "a window of %d tokens is a mistake of the caller",
    (contextWindow) => {
      expect(() => assessCompaction({ tokens: 1, contextWindow, policy, state: fresh })).toThrow(TypeError);
    },
  );
});

describe("what", () => {
  const keeping = (keepRecentTokens: number) => ({ policy: { ...policy, keepRecentTokens }, countTokens: () => 10 });

  test("turns leave whole, and as many stay as fit into what is to be kept", () => {
    const b = builders();
    const entries = [b.user("1"), b.assistant("a"), b.user("2"), b.assistant("b"), b.user("3"), b.assistant("c")];
    expect(planCompaction(entries, keeping(45))).toMatchObject({
      firstKept: "e0003",
      kept: [],
      summarize: entries.slice(0, 2),
      previousSummary: undefined,
      tokensBefore: 60,
      tokensAfter: 40,
    });
    expect(planCompaction(entries, keeping(25))?.firstKept).toBe("e0005");
  });

  test("the last turn stays, however little is to be kept, and alone it is nothing to compact", () => {
    const b = builders();
    const entries = [b.user("1"), b.assistant("a"), b.user("2"), b.assistant("b")];
    expect(planCompaction(entries, keeping(0))?.firstKept).toBe("e0003");
    expect(planCompaction(entries.slice(2), keeping(0))).toBeUndefined();
    expect(planCompaction([], keeping(0))).toBeUndefined();
  });

  test("G6 a last turn that alone is too large is cut between its steps, and what was asked stays", () => {
    const b = builders();
    const call = (id: string) => b.assistant([{ type: "tool-call", toolCallId: id, toolName: "read", input: {} }]);
    const result = (id: string) => b.tool([{ type: "tool-result", toolCallId: id, toolName: "read", output: "x" }]);
    const entries = [
      b.user("old"),
      b.user("go"),
      call("1"),
      result("1"),
      call("2"),
      result("2"),
      call("3"),
      result("3"),
    ];
    const plan = planCompaction(entries, { ...keeping(25), contextWindow: 100 });
    expect(plan).toMatchObject({ firstKept: "e0007", kept: ["e0002"] });
    expect(ids(plan?.summarize ?? [])).toEqual(["e0001", "e0003", "e0004", "e0005", "e0006"]);
  });

  test("a step that waits for a result is not over: nothing is cut behind it", () => {
    const b = builders();
    const call = (id: string) => b.assistant([{ type: "tool-call", toolCallId: id, toolName: "read", input: {} }]);
    const result = (id: string) => b.tool([{ type: "tool-result", toolCallId: id, toolName: "read", output: "x" }]);
    const entries = [
      b.user("go"),
      call("1"),
      result("1"),
      call("open"),
      call("2"),
      result("2"),
      call("3"),
      result("3"),
    ];
    const running = { ...keeping(0), contextWindow: 100, openTurns: ["e0001"] };
    expect(planCompaction(entries, running)?.firstKept).toBe("e0004");
    // One whose process died never comes.
    expect(planCompaction(entries, { ...running, openTurns: [] })?.firstKept).toBe("e0007");
  });

  test("nothing leaves from the first turn on that still runs, whoever spoke after it", () => {
    const b = builders();
    const open = { type: "tool-call" as const, toolCallId: "open", toolName: "read", input: {} };
    const runs = [b.user("1"), b.user("runs", { turn: true }), b.assistant([open])];
    const entries = [...runs, b.user("note"), b.user("another")];
    expect(planCompaction(entries, { ...keeping(0), openTurns: ["e0002"] })?.firstKept).toBe("e0002");
    expect(planCompaction(entries, keeping(0))?.firstKept).toBe("e0005");
  });

  test("what the host has pinned stays in its place, with the other end of its tool call", () => {
    const b = builders();
    const call = b.assistant([{ type: "tool-call", toolCallId: "1", toolName: "read", input: {} }]);
    const result = b.tool([{ type: "tool-result", toolCallId: "1", toolName: "read", output: "x" }]);
    const entries: TranscriptEntry[] = [b.user("1"), call, result, b.assistant("a"), b.user("2"), b.user("3")];
    const plan = planCompaction(entries, { ...keeping(0), isPinned: ({ id }) => id === result.id });
    expect(plan).toMatchObject({ firstKept: "e0006", kept: [call.id, result.id] });
    const after = windowOf([...entries, stored(entries, plan, "S", "c1")]);
    expect(ids(after.messages)).toEqual([call.id, result.id, "e0006"]);
    expect(
      planCompaction([...entries, stored(entries, plan, "S", "c1")], { ...keeping(0), isPinned: () => true }),
    ).toBeUndefined();
  });

  test("the summary before goes into the next one", () => {
    const b = builders();
    const entries = [b.user("1"), b.user("2"), b.compaction("earlier", "e0002"), b.user("3")];
    expect(planCompaction(entries, keeping(0))).toMatchObject({ previousSummary: "earlier", firstKept: "e0004" });
  });
});

describe("whether it still applies", () => {
  const b = builders();
  const entries = [b.user("1"), b.assistant("a"), b.user("2"), b.assistant("b")];
  const plan = planCompaction(entries, { policy: { ...policy, keepRecentTokens: 0 }, countTokens });
  if (plan === undefined) throw new Error("nothing to compact");

  test("G6 messages that came in meanwhile do no harm, a clear or another compaction makes it void", () => {
    expect(planStillApplies(plan, entries)).toBe(true);
    expect(planStillApplies(plan, [...entries, b.user("3"), b.state({ modelOverride: "x" })])).toBe(true);
    expect(planStillApplies(plan, [...entries, b.clear()])).toBe(false);
    expect(planStillApplies(plan, [...entries, b.clear(), b.user("1")])).toBe(false);
    expect(planStillApplies(plan, [...entries, b.compaction("other", "e0003")])).toBe(false);
    expect(planStillApplies(plan, [...entries, b.compaction("other", "e0004")])).toBe(false);
  });
});

describe("what a reader found", () => {
  const keeping = (keepRecentTokens: number, contextWindow?: number) => ({
    policy: { ...policy, keepRecentTokens },
    countTokens: ({ content }: MessageEntry) => Number(content),
    contextWindow,
  });

  test("questions that wait behind the turn that runs stay, where that is cut too", () => {
    const b = builders();
    const entries = [b.user("10"), b.user("10"), b.user("10"), ...["10", "10", "10"].map((size) => b.assistant(size))];
    const plan = planCompaction(entries, { ...keeping(0, 20), openTurns: ["e0002", "e0003"] });
    expect(plan).toMatchObject({ firstKept: "e0006", kept: ["e0002", "e0003"] });
    expect(ids(plan?.summarize ?? [])).toEqual(["e0001", "e0004", "e0005"]);
  });

  test("a large question is charged: as much leaves at once as may, and not a step at a time", () => {
    const b = builders();
    const entries: TranscriptEntry[] = [b.user("15000")];
    for (let n = 0; n < 20; n += 1) entries.push(b.assistant("1000"));
    const plan = planCompaction(entries, { ...keeping(20_000, 32_768) });
    expect(plan).toMatchObject({ kept: ["e0001"], tokensBefore: 35_000, tokensAfter: 16_000 });
    expect(planCompaction([...entries, stored(entries, plan, "S", "c1")], keeping(20_000, 32_768))).toBeUndefined();
  });

  test("a large pinned message does not keep the others from leaving", () => {
    const b = builders();
    const entries: TranscriptEntry[] = [b.user("10000")];
    for (let n = 0; n < 8; n += 1) entries.push(b.user("500"), b.assistant("500"));
    const plan = planCompaction(entries, { ...keeping(20_000, 32_768), isPinned: ({ id }) => id === "e0001" });
    expect(plan).toMatchObject({ kept: ["e0001"], firstKept: "e0016", tokensAfter: 11_000 });
  });

  test("what is within what is to be kept stays", () => {
    const b = builders();
    expect(planCompaction([b.user("1"), b.user("1")], keeping(2))).toBeUndefined();
    expect(planCompaction([b.user("1"), b.user("1")], keeping(1))).toBeDefined();
  });

  test("what the prompt holds besides messages leaves less room for them", () => {
    const b = builders();
    const entries = [b.user("100"), ...["900", "900", "900"].map((size) => b.assistant(size))];
    expect(planCompaction(entries, keeping(1000, 8000))).toBeUndefined();
    expect(planCompaction(entries, { ...keeping(1000, 8000), overheadTokens: 2000 })?.kept).toEqual(["e0001"]);
  });

  test("a conversation in which nobody asks is cut between the steps", () => {
    const b = builders();
    const entries = Array.from({ length: 9 }, () => b.assistant("10"));
    expect(planCompaction(entries, keeping(20, 80))).toMatchObject({ firstKept: "e0008", kept: [] });
  });

  test("results in the mouth of the user are nothing that was asked", () => {
    const b = builders();
    const entries: TranscriptEntry[] = [b.user("go")];
    for (const id of ["1", "2", "3"]) {
      entries.push(b.assistant([{ type: "tool-call", toolCallId: id, toolName: "read", input: {} }]));
      entries.push(b.user([{ type: "tool-result", toolCallId: id, toolName: "read", output: "x" }]));
    }
    const plan = planCompaction(entries, {
      policy: { ...policy, keepRecentTokens: 0 },
      countTokens: () => 10,
      contextWindow: 20,
    });
    expect(plan).toMatchObject({ firstKept: "e0006", kept: ["e0001"] });
  });

  test("a window is not cut at an id that stands before it too, for nothing would tell where", () => {
    const b = builders();
    const [first, again] = [b.user("10", { id: "d" }), b.user("10", { id: "d" })];
    expect(planCompaction([first, b.assistant("10"), again, b.assistant("10")], keeping(0))).toBeUndefined();
    expect(planCompaction([first, again, b.user("10", { id: "last" })], keeping(0))).toMatchObject({
      firstKept: "last",
    });
  });

  test("a result that comes in for a call that was to leave makes the plan void", () => {
    const b = builders();
    const call = b.assistant([{ type: "tool-call", toolCallId: "X", toolName: "read", input: {} }]);
    const entries = [call, b.user("2"), b.assistant("a")];
    const plan = planCompaction(entries, { policy: { ...policy, keepRecentTokens: 0 }, countTokens });
    if (plan === undefined) throw new Error("nothing to compact");
    const late = b.tool([{ type: "tool-result", toolCallId: "X", toolName: "read", output: "x" }]);
    expect(planStillApplies(plan, entries)).toBe(true);
    expect(planStillApplies(plan, [...entries, late])).toBe(false);
  });

  test("a count that is none is a mistake of the caller", () => {
    const b = builders();
    expect(() => planCompaction([b.user("x"), b.user("y")], keeping(0))).toThrow(TypeError);
    expect(() => assessCompaction({ tokens: Number.NaN, contextWindow: 1000, policy, state: fresh })).toThrow(
      TypeError,
    );
  });
});

describe("laws", () => {
  const optionsOf = (entries: readonly TranscriptEntry[], settings: Budget) => {
    const asked = entries.filter((entry) => "role" in entry && entry.role === "user").map(({ id }) => id);
    return {
      policy: { ...policy, keepRecentTokens: settings.keep },
      countTokens,
      contextWindow: settings.contextWindow,
      overheadTokens: settings.overheadTokens,
      openTurns: settings.running === 0 ? [] : asked.slice(-settings.running),
      isPinned: ({ id }: MessageEntry) => settings.pins > 0 && Number(id.replace(/^.*\D/, "")) % settings.pins === 1,
    };
  };

  test("G6 a plan parts the window in what leaves, what is kept and what follows, and never a call from its result", () => {
    fc.assert(
      fc.property(turns, budget, fc.boolean(), (conversation, settings, reuse) => {
        const entries = chat(conversation, { reuse });
        const options = optionsOf(entries, settings);
        const plan = planCompaction(entries, options);
        if (plan === undefined) return;
        const { messages } = windowOf(entries);
        const after = windowOf([...entries, stored(entries, plan, "S", "c1")]).messages;
        const left = new Set(ids(plan.summarize));
        expect(ids(after)).toEqual(ids(messages).filter((id) => !left.has(id)));
        expect(ids(plan.summarize)).toEqual(ids(messages).filter((id) => left.has(id)));
        expect(plan.tokensAfter).toBe(after.reduce((sum, message) => sum + countTokens(message), 0));
        expect(plan.tokensAfter).toBeLessThan(plan.tokensBefore);
        expect(planStillApplies(plan, entries)).toBe(true);
        const lastAsked = messages.findLast(({ role }) => role === "user");
        expect(ids(after)).toEqual(expect.arrayContaining([lastAsked?.id, ...options.openTurns]));
        expect(ids(after)).toEqual(expect.arrayContaining(ids(messages.filter(options.isPinned))));
        for (const [call, result] of pairs(messages)) expect([call, left.has(call)]).toEqual([call, left.has(result)]);
      }),
      { numRuns: 500 },
    );
  });

  test("G6 planning again gains nothing, unless what stays is within what may be kept", () => {
    fc.assert(
      fc.property(turns, budget, fc.boolean(), (conversation, settings, reuse) => {
        const entries = chat(conversation, { reuse });
        const options = optionsOf(entries, settings);
        const plan = planCompaction(entries, options);
        if (plan === undefined) return;
        const again = planCompaction([...entries, stored(entries, plan, "S", "c1")], options);
        expect(again).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  test("G6 G7 over any run of compactions every message since the last clear is in one summary's input or in the window, which is read from its end and comes back when one is undone", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(turns, budget, fc.boolean()), { minLength: 1, maxLength: 6 }), (rounds) => {
        let entries: TranscriptEntry[] = [];
        let told = new Map<string, number>();
        for (const [n, [conversation, settings, clears]] of rounds.entries()) {
          if (clears) {
            entries.push({ type: "clear", id: `clear${n}`, timestamp: "" });
            told = new Map();
          }
          entries = [...entries, ...chat(conversation, { prefix: `r${n}.` })];
          const plan = planCompaction(entries, { ...optionsOf(entries, settings), openTurns: [] });
          if (plan === undefined) continue;
          for (const { id } of plan.summarize) told.set(id, (told.get(id) ?? 0) + 1);
          const before = windowOf(entries);
          const compaction = stored(entries, plan, `S${n}`, `c${n}`);
          entries.push(compaction);
          expect(windowOf([...entries, undoing(compaction)])).toEqual(before);
        }
        const { messages: tail, ...facts } = windowOf(entries);
        expect(windowOf(entries.slice(windowBeginsAt(entries) ?? 0))).toEqual({ ...facts, messages: tail });
        const since = entries.slice(entries.findLastIndex(({ id }) => id.startsWith("clear")) + 1);
        const messages = since.filter((entry): entry is MessageEntry => "role" in entry);
        const inWindow = new Set(ids(windowOf(entries).messages));
        for (const { id } of messages) expect([id, (told.get(id) ?? 0) + (inWindow.has(id) ? 1 : 0)]).toEqual([id, 1]);
      }),
    );
  });
});

function undoing({ id: of }: TranscriptEntry): TranscriptEntry {
  return { type: "undo", id: `undo ${of}`, timestamp: "", of, lastCompaction: null, memoryFlush: null };
}

/** Each result with the message of its call: the last one of its id before it. */
function pairs(messages: readonly MessageEntry[]): [call: string, result: string][] {
  const calls = new Map<string, string>();
  const found: [string, string][] = [];
  for (const { id, content } of messages) {
    if (typeof content === "string") continue;
    for (const part of content) {
      if (part.type === "tool-call") calls.set(part.toolCallId, id);
      const call = part.type === "tool-result" ? calls.get(part.toolCallId) : undefined;
      if (call !== undefined) found.push([call, id]);
    }
  }
  return found;
}

type Budget = typeof budget extends fc.Arbitrary<infer T> ? T : never;
