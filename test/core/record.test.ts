import { describe, expect, test } from "vitest";
import {
  formatSessionKey,
  initialRecord,
  type ParsedSessionKey,
  project,
  type SessionRecord,
  type TranscriptEntry,
} from "../../src/core.js";
import { builders } from "../../src/testing.js";

const created = "2026-03-15T08:00:00.000Z";
const uuid = "f8282125-d96c-45a0-84cb-eb5fb6843d0a";

function fresh(parsed: ParsedSessionKey = { kind: "dm", agentId: "main", channel: "telegram", peerId: "42" }) {
  return initialRecord({ key: formatSessionKey(parsed), uuid, created });
}
const main = () => fresh({ kind: "main", agentId: "main", mainKey: "main" });
const group = () => fresh({ kind: "group", agentId: "main", channel: "telegram", groupId: "-100" });

test("a new record has nothing but its name and its time", () => {
  const key = formatSessionKey({ kind: "subagent", agentId: "main", subagentId: "a1" });
  const parent = fresh().key;
  expect(initialRecord({ key, uuid, created, ancestors: [parent] })).toEqual({
    key,
    uuid,
    created,
    lastActive: created,
    messageCount: 0,
    state: {
      model: null,
      modelOverride: null,
      activationMode: "always",
      lastCompaction: null,
      memoryFlushed: false,
      extra: {},
    },
    ancestors: [parent],
    openTurns: [],
    lastClear: null,
    recentMessages: [],
    contextTokens: null,
    contextEntry: null,
    compactions: 0,
    memoryFlush: null,
    usageTotal: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    waiting: [],
    subagents: [],
    toDelete: [],
    sharedBy: [],
  });
  expect(group().state.activationMode).toBe("mention");
});

test("messageCount counts the messages since the last clear", () => {
  const b = builders();
  const before = project(fresh(), [b.user("a"), b.assistant("b"), b.tool([]), b.state({})]);
  expect(before.messageCount).toBe(3);
  const clear = b.clear();
  const after = project(before, [clear, b.assistant("late", { cleared: true }), b.user("c")]);
  expect(after).toMatchObject({ messageCount: 1, lastClear: clear.id });
});

test("lastActive is the latest time of any message, whatever form the time was written in", () => {
  const b = builders();
  const at = (timestamp: string): TranscriptEntry => ({ ...b.user("x"), timestamp });
  expect(project(fresh(), [at("2026-03-18T10:00:01Z"), at("2026-03-18T10:00:00.500Z")]).lastActive).toBe(
    "2026-03-18T10:00:01Z",
  );
  expect(project(fresh(), [at("2026-03-18T10:00:00Z"), at("2026-03-18T10:00:00.500Z")]).lastActive).toBe(
    "2026-03-18T10:00:00.500Z",
  );
  expect(project(fresh(), [at("2020-01-01T00:00:00Z"), at(""), at("yesterday")]).lastActive).toBe(created);
  expect(project(fresh(), [b.clear(), b.state({}), b.turn("e1")]).lastActive).toBe(created);
});

test("G5 a turn is open until its end is written", () => {
  const b = builders();
  const [first, second] = [b.user("a", { turn: true }), b.user("b", { turn: true })];
  const open = project(fresh(), [first, b.user("context only"), second]);
  expect(open.openTurns).toEqual([first.id, second.id]);
  expect(project(open, [b.turn(first.id, "interrupted")]).openTurns).toEqual([second.id]);
  expect(project(open, [b.turn(second.id), b.turn(first.id, "failed"), b.turn("unknown")]).openTurns).toEqual([]);
  expect(project(open, [b.clear()]).openTurns).toEqual([first.id, second.id]);
});

test("the state survives a clear; a compaction is noted in it", () => {
  const b = builders();
  const kept = b.user("x");
  const compaction = b.compaction("S", kept.id);
  const record = project(fresh(), [
    kept,
    b.state({ modelOverride: "gpt-4o", extra: { lang: "de" } }),
    compaction,
    b.clear(),
  ]);
  expect(record.state).toEqual({
    ...fresh().state,
    modelOverride: "gpt-4o",
    extra: { lang: "de" },
    lastCompaction: compaction.timestamp,
  });
});

describe("contextTokens", () => {
  const usage = { input: 1000, output: 50, cacheRead: 40_000 };
  const words = "an answer that takes about fifty tokens ".repeat(5);

  test("G13 is the size of the last prompt and its answer, never a sum over calls", () => {
    const b = builders();
    const calls = Array.from({ length: 8 }, () => b.assistant(words, { usage }));
    expect(project(fresh(), calls).contextTokens).toBe(41_050);
    expect(project(fresh(), [...calls, b.user("next")]).contextTokens).toBe(41_050);
    expect(project(fresh(), [b.assistant(words, { usage: { ...usage, cacheWrite: 7 } })]).contextTokens).toBe(41_057);
  });

  test("G13 counts of an answer no more than its words take: what was thought is not said again", () => {
    const b = builders();
    const thought = { input: 90_000, output: 95_000 };
    expect(project(fresh(), [b.assistant("Yes.", { usage: thought })]).contextTokens).toBe(90_008);
  });

  test("is what the end of a turn says, where no message of the turn could", () => {
    const b = builders();
    const end = { ...b.turn("e0001"), usage };
    expect(project(fresh(), [b.user("x", { turn: true }), end]).contextTokens).toBe(41_000);
    expect(project(fresh(), [b.assistant(words, { usage }), b.turn("e0001")]).contextTokens).toBe(41_050);
  });

  test("is unknown after a clear or a compaction, and when nothing was reported", () => {
    const b = builders();
    const answered = project(fresh(), [b.assistant(words, { usage })]);
    expect(project(answered, [b.clear()]).contextTokens).toBeNull();
    expect(project(answered, [b.compaction("S", "e0001")]).contextTokens).toBeNull();
    expect(project(answered, [b.compaction("S", "e0001", { tokensAfter: 7 }), b.undo("e0005")])).toMatchObject({
      contextTokens: null,
      contextEntry: null,
    });
    expect(project(answered, [b.clear(), b.assistant("late", { usage, cleared: true })]).contextTokens).toBeNull();
    expect(project(fresh(), [b.user("a")]).contextTokens).toBeNull();
  });
});

test("G13 a report of a provider that cut the prompt off says nothing of its size, and is billed all the same", () => {
  const b = builders();
  const usage = { input: 2051, output: 10 };
  expect(project(fresh(), [b.assistant("a", { usage, truncated: true })])).toMatchObject({
    contextTokens: null,
    usageTotal: { input: 2051, output: 10 },
  });
});

test("G13 what calls cost is summed, those of a compaction and a flush too, and survives a clear", () => {
  const b = builders();
  const usage = { input: 10, output: 1, cacheRead: 5 };
  const compaction = b.compaction("S", "e0001", { usage, tokensAfter: 99 });
  const flush = { ...b.memoryFlush(), usage };
  const record = project(fresh(), [b.assistant("a", { usage }), { ...b.turn("e0001"), usage }, flush, compaction]);
  expect(record).toMatchObject({
    usageTotal: { input: 40, output: 4, cacheRead: 20, cacheWrite: 0 },
    contextTokens: 99,
    contextEntry: compaction.id,
  });
  expect(project(record, [b.clear()]).usageTotal).toEqual(record.usageTotal);
});

test("G12 a flush counts for one cycle: until the next compaction, undone or not, and the next clear", () => {
  const b = builders();
  const flushed = project(fresh(), [b.user("x"), b.memoryFlush()]);
  expect(flushed).toMatchObject({ state: { memoryFlushed: true }, memoryFlush: { status: "completed" } });
  const compacted = project(flushed, [b.compaction("S", "e0001")]);
  expect(compacted).toMatchObject({ state: { memoryFlushed: false }, memoryFlush: null, compactions: 1 });
  expect(project(flushed, [b.clear()])).toMatchObject({ state: { memoryFlushed: false }, memoryFlush: null });
  const undone = project(compacted, [{ ...b.undo("e0003"), memoryFlush: flushed.memoryFlush }]);
  expect(undone).toMatchObject({
    state: { memoryFlushed: true, lastCompaction: null },
    memoryFlush: flushed.memoryFlush,
    compactions: 0,
  });
  const failed = { ...b.memoryFlush("failed"), error: { code: "HOOK" } };
  expect(project(fresh(), [failed])).toMatchObject({
    state: { memoryFlushed: false },
    memoryFlush: { status: "failed", code: "HOOK" },
  });
});

describe("recentMessages", () => {
  const said = (n: number, address = "telegram:default:dm:42"): TranscriptEntry => ({
    ...builders().user("x"),
    id: `01J000000000000000000${String(n).padStart(5, "0")}`,
    messageId: String(n),
    address,
  });
  const ids = (record: SessionRecord) => record.recentMessages.map((seen) => Number(seen.messageId));

  test("G4 the newest ids are remembered, of messages and of commands", () => {
    const b = builders();
    const command: TranscriptEntry = {
      type: "command",
      id: "c1",
      timestamp: created,
      command: "clear",
      reply: "Done.",
      messageId: "2",
      address: "telegram:default:dm:42",
    };
    const record = project(fresh(), [said(1), b.assistant("a"), command, b.clear(), said(3)]);
    expect(ids(record)).toEqual([1, 2, 3]);
    expect(record.recentMessages[1]).toEqual({ messageId: "2", address: "telegram:default:dm:42", id: "c1" });
  });

  test("G16 there are at most 32, in at most 2,048 bytes", () => {
    const short = Array.from({ length: 100 }, (_, n) => ({ ...said(n, ""), id: `e${n}` }));
    expect(ids(project(fresh(), short))).toEqual(Array.from({ length: 32 }, (_, n) => n + 68));
    const long = project(
      fresh(),
      Array.from({ length: 100 }, (_, n) => said(n)),
    );
    expect(ids(long).at(-1)).toBe(99);
    expect(ids(long)).toEqual(ids(long).map((_, n) => 100 - long.recentMessages.length + n));
    expect(JSON.stringify(long.recentMessages).length).toBeLessThan(2048 + 34);
    expect(ids(long).length).toBeGreaterThan(15);
  });

  test("G16 a key that JSON makes twice as long leaves less room for them", () => {
    const record = fresh({ kind: "dm", agentId: "main", channel: "x", peerId: '"'.repeat(1000) });
    const linked = Array.from({ length: 100 }, (_, n) => said(n));
    const model = builders().state({ model: "m".repeat(256), modelOverride: "m".repeat(256) });
    const folded = project(record, [model, ...linked]);
    expect(JSON.stringify(folded).length).toBeLessThan(4096);
    expect(ids(folded).length).toBeGreaterThan(5);
  });

  test("G4 the newest is remembered however long its ids are, and older ones come back after it", () => {
    const endless = said(2, "x".repeat(3000));
    expect(ids(project(fresh(), [said(1), endless]))).toEqual([2]);
    expect(ids(project(fresh(), [said(1), endless, said(3), said(4)]))).toEqual([3, 4]);
  });
});

describe("sharedBy", () => {
  const from = (address: string): TranscriptEntry => ({ ...builders().user("x"), address });

  test("G2 in the shared session the addresses that reached it are kept, each once", () => {
    const b = builders();
    const record = project(main(), [
      from("a:default:dm:1"),
      b.assistant("a"),
      from("b:default:dm:2"),
      from("a:default:dm:1"),
    ]);
    expect(record.sharedBy).toEqual(["a:default:dm:1", "b:default:dm:2"]);
  });

  test("nowhere else are they kept", () => {
    for (const record of [fresh(), group()]) expect(project(record, [from("a:default:dm:1")]).sharedBy).toEqual([]);
  });

  test("G16 there are at most eight, in at most 768 bytes", () => {
    const many = Array.from({ length: 20 }, (_, n) => from(`a:default:dm:${n}`));
    expect(project(main(), many).sharedBy).toHaveLength(8);
    const long = Array.from({ length: 20 }, (_, n) => from(`a:default:dm:${n}${"x".repeat(300)}`));
    expect(project(main(), long).sharedBy).toHaveLength(2);
  });
});

test("entries of an unknown type, and empty runs of entries, change nothing", () => {
  const record = project(fresh(), [builders().user("x")]);
  const unknown: TranscriptEntry = { type: "reaction", id: "r1", timestamp: created, of: "e0001", messageId: "9" };
  const delivery: TranscriptEntry = {
    type: "delivery",
    id: "d1",
    timestamp: created,
    of: "e0001",
    status: "failed",
    error: { code: "HOOK" },
  };
  expect(project(record, [unknown, delivery])).toEqual(record);
  expect(project(record, [])).toEqual(record);
});
