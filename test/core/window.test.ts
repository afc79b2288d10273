import { expect, test } from "vitest";
import { type MessageEntry, type TranscriptEntry, windowOf } from "../../src/core.js";
import { builders } from "../../src/testing.js";

const texts = (entries: TranscriptEntry[]) => windowOf(entries).messages.map((message) => message.content);

test("without clear or compaction every message is in force, in order, and nothing else", () => {
  const b = builders();
  const user = b.user("u1", { turn: true });
  const entries = [user, b.state({ modelOverride: "x" }), b.assistant("a1"), b.turn(user.id), b.user("u2")];
  expect(windowOf(entries)).toEqual({ summary: undefined, messages: [entries[0], entries[2], entries[4]] });
  expect(windowOf([])).toEqual({ summary: undefined, messages: [] });
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
  expect(windowOf([u1, u2, b.compaction("S", u2.id), b.compaction("T", u1.id)])).toEqual({
    summary: "S",
    messages: [u2],
  });
  expect(windowOf([u1, b.clear(), u2, b.compaction("S", u1.id)])).toEqual({ summary: undefined, messages: [u2] });
});
