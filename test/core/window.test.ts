import { expect, test } from "vitest";
import { type MessageEntry, type TranscriptEntry, windowBeginsAt, windowOf } from "../../src/core.js";
import { builders } from "../../src/testing.js";

const texts = (entries: TranscriptEntry[]) => windowOf(entries).messages.map((message) => message.content);

test("without clear or compaction every message is in force, in order, and nothing else", () => {
  const b = builders();
  const user = b.user("u1", { turn: true });
  const entries = [user, b.state({ modelOverride: "x" }), b.assistant("a1"), b.turn(user.id), b.user("u2")];
  const nothing = { summary: undefined, dropped: 0, carried: 0 };
  expect(windowOf(entries)).toEqual({ ...nothing, messages: [entries[0], entries[2], entries[4]] });
  expect(windowOf([])).toEqual({ ...nothing, messages: [] });
});

test("a clear ends what stood before it, its summary too", () => {
  const b = builders();
  const kept = b.user("kept");
  expect(windowOf([b.user("old"), kept, b.compaction("S", kept.id), b.clear(), b.user("new")])).toMatchObject({
    summary: undefined,
    messages: [{ content: "new" }],
  });
  expect(texts([b.user("a"), b.clear(), b.user("b"), b.clear()])).toEqual([]);
});

test("a message written after a clear for a turn from before it is out of the window", () => {
  const b = builders();
  expect(texts([b.user("old"), b.clear(), b.assistant("late", { cleared: true }), b.user("new")])).toEqual(["new"]);
});

test("a compaction keeps what begins at its first kept message", () => {
  const b = builders();
  const [u1, a1, u2, a2] = [b.user("u1"), b.assistant("a1"), b.user("u2"), b.assistant("a2")];
  const window = windowOf([u1, a1, u2, a2, b.compaction("S", u2.id), b.user("u3")]);
  expect(window.summary).toBe("S");
  expect(window.messages.map((message) => message.content)).toEqual(["u2", "a2", "u3"]);
});

test("a second compaction counts from what the first one kept", () => {
  const b = builders();
  const messages: MessageEntry[] = ["1", "2", "3", "4"].map((text) => b.user(text));
  const [, two, three] = messages as [MessageEntry, MessageEntry, MessageEntry, MessageEntry];
  const first = b.compaction("first", two.id);
  expect(windowOf([...messages, first, b.compaction("second", three.id)])).toMatchObject({
    summary: "second",
    messages: [{ content: "3" }, { content: "4" }],
  });
});

test("a compaction whose first kept message is not in the window throws nothing away", () => {
  const b = builders();
  const [u1, u2] = [b.user("u1"), b.user("u2")];
  expect(windowOf([u1, u2, b.compaction("S", "nowhere")])).toMatchObject({ summary: undefined, messages: [u1, u2] });
  expect(windowOf([u1, u2, b.compaction("S", u2.id), b.compaction("T", u1.id)])).toMatchObject({
    summary: "S",
    messages: [u2],
  });
  expect(windowOf([u1, b.clear(), u2, b.compaction("S", u1.id)])).toMatchObject({ summary: undefined, messages: [u2] });
});

test("what a compaction kept from further back stays in front, from the compaction's own copy", () => {
  const b = builders();
  const [pin, old, u2] = [b.user("pin", { pinned: true }), b.user("old"), b.user("u2")];
  const compaction = b.compaction("S", u2.id, { kept: [pin] });
  const window = windowOf([pin, old, u2, compaction, b.user("u3")]);
  expect(window).toMatchObject({ summary: "S", carried: 1, messages: [pin, u2, { content: "u3" }] });
  expect(windowOf([u2, compaction]).messages).toEqual([pin, u2]);
});

test("what left untold is counted, and an empty summary is none", () => {
  const b = builders();
  const u2 = b.user("u2");
  expect(windowOf([b.user("u1"), u2, b.compaction("", u2.id, { dropped: 1 })])).toMatchObject({
    summary: undefined,
    dropped: 1,
    messages: [u2],
  });
});

test("G7 a compaction that was undone counts as not having been, and one before it is in force again", () => {
  const b = builders();
  const [u1, u2, u3] = [b.user("u1"), b.user("u2"), b.user("u3")];
  const first = b.compaction("first", u2.id);
  const second = b.compaction("second", u3.id);
  const entries = [u1, u2, u3, first, second, b.user("u4")];
  const undo = (of: TranscriptEntry) => b.undo(of.id);
  expect(windowOf([...entries, undo(second)])).toMatchObject({
    summary: "first",
    messages: [u2, u3, { content: "u4" }],
  });
  expect(texts([...entries, undo(second), undo(first)])).toEqual(["u1", "u2", "u3", "u4"]);
  expect(windowOf([...entries, undo(first)])).toMatchObject({ summary: "second", messages: [u3, { content: "u4" }] });
});

test("where a window begins is told from the end of a transcript, or that it is further back", () => {
  const b = builders();
  const [u1, u2] = [b.user("u1"), b.user("u2")];
  const compaction = b.compaction("S", u2.id);
  const entries = [b.clear(), u1, u2, compaction, b.user("u3")];
  expect(windowBeginsAt(entries)).toBe(2);
  expect(windowBeginsAt(entries.slice(2))).toBe(0);
  expect(windowBeginsAt(entries.slice(3))).toBeUndefined();
  expect(windowBeginsAt([...entries, b.undo(compaction.id)])).toBe(0);
  expect(windowBeginsAt([...entries, b.undo(compaction.id)].slice(1))).toBeUndefined();
  expect(windowBeginsAt([...entries, b.clear(), b.user("u4")])).toBe(5);
});
