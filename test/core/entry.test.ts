import { describe, expect, test } from "vitest";
import { readHeader } from "../../src/core/header.js";
import { isEntryOf, isMessageEntry, readEntry, TRANSCRIPT_VERSION, type TranscriptEntry } from "../../src/core.js";

const base = { id: "01J0000000000000000000000A", timestamp: "2026-03-18T10:00:00.000Z" };

const LINES: [type: string, line: object][] = [
  ["message", { role: "user", content: "Hello", ...base, messageId: "17", sender: { id: "123456789", name: "Ann" } }],
  ["message", { role: "assistant", content: "Hi!", ...base, usage: { input: 3, output: 2 }, model: "m", of: "e1" }],
  [
    "message",
    { role: "user", content: "psst", ...base, unanswered: "not-mentioned", address: "telegram:default:dm:1" },
  ],
  ["message", { role: "user", content: "late", ...base, turn: true, cleared: true }],
  ["state", { type: "state", ...base, patch: { modelOverride: "gpt-4o", extra: { lang: "de" } } }],
  ["turn", { type: "turn", ...base, of: "e1", status: "failed", error: { code: "HOOK" } }],
  ["turn", { type: "turn", ...base, of: "e1", status: "completed", usage: { input: 3, output: 2 } }],
  ["clear", { type: "clear", ...base }],
  ["compaction", { type: "compaction", ...base, summary: "s", firstKept: "e1", tokensBefore: 9, tokensAfter: 1 }],
  ["command", { type: "command", ...base, command: "clear", reply: "Done.", refused: true, messageId: "18" }],
  ["delivery", { type: "delivery", ...base, of: "e1", status: "failed", error: { code: "HOOK" } }],
];

describe("readEntry", () => {
  test.each(LINES)("reads a %s line as it stands", (type, line) => {
    const entry = readEntry(line, "@0");
    expect(entry).toEqual(line);
    expect(isMessageEntry(entry as TranscriptEntry)).toBe(type === "message");
  });

  test("the lines the spec prints read as messages, named after their place", () => {
    const line = { role: "user", content: "What's the weather?", timestamp: "2026-03-18T10:01:00Z" };
    expect(readEntry(line, "@112")).toEqual({ ...line, id: "@112" });
  });

  test("a line without a time is kept", () => {
    expect(readEntry({ role: "user", content: "hi" }, "@0")).toEqual({
      role: "user",
      content: "hi",
      id: "@0",
      timestamp: "",
    });
  });

  test("unknown fields and unknown types are kept", () => {
    const message = { role: "user", content: "hi", ...base, fromTheFuture: { a: 1 } };
    expect(readEntry(message, "@0")).toEqual(message);
    const clear = { type: "clear", ...base, by: "ann" };
    expect(readEntry(clear, "@0")).toEqual(clear);
    const unknown = { type: "reaction", ...base, emoji: "👍" };
    expect(readEntry(unknown, "@0")).toEqual(unknown);
    for (const type of ["constructor", "__proto__", "toString"])
      expect(readEntry({ type, ...base }, "@0")).toEqual({ type, ...base });
  });

  test("a message may also have a type, and is a message", () => {
    const entry = readEntry({ role: "user", content: "hi", type: "clear", ...base }, "@0") as TranscriptEntry;
    expect(isMessageEntry(entry)).toBe(true);
    expect(isEntryOf(entry, "clear")).toBe(false);
  });

  test.each<[what: string, value: unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a text", "Hello"],
    ["a list", [{ role: "user", content: "hi" }]],
    ["neither role nor type", { content: "hi", ...base }],
    ["an empty type", { type: "", ...base }],
    ["a role that is none", { role: null, content: "hi", ...base }],
    ["content that is none", { role: "user", content: 5, ...base }],
    ["an id that is no text", { role: "user", content: "hi", ...base, id: 5 }],
    ["an empty id", { role: "user", content: "hi", ...base, id: "" }],
    ["a clear with an empty id", { type: "clear", ...base, id: "" }],
    ["a turn without its message", { type: "turn", ...base, status: "completed" }],
    ["a turn that ended in an unknown way", { type: "turn", ...base, of: "e1", status: "exploded" }],
    ["a state without a patch", { type: "state", ...base }],
    ["a state with a value that is not allowed", { type: "state", ...base, patch: { activationMode: "never" } }],
    ["a compaction without a summary", { type: "compaction", ...base, firstKept: "e1" }],
  ])("%s is no entry", (_what, value) => {
    expect(readEntry(value, "@0")).toBeUndefined();
  });

  test("a value nested as deep as a file can hold it does not stop the reading of a transcript", () => {
    const deep: unknown = JSON.parse(`${"[".repeat(50_000)}${"]".repeat(50_000)}`);
    expect(readEntry({ type: "state", ...base, patch: { extra: { deep } } }, "@0")).toBeDefined();
    const call = { type: "tool-call", toolCallId: "c", toolName: "x", input: deep };
    expect(readEntry({ role: "assistant", content: [call], ...base }, "@0")).toBeDefined();
    expect(readEntry({ type: "future", ...base, deep }, "@0")).toBeDefined();
  });
});

describe("isEntryOf", () => {
  test("tells the types apart", () => {
    for (const [type, line] of LINES.slice(4)) {
      const entry = readEntry(line, "@0") as TranscriptEntry;
      for (const other of ["state", "turn", "clear", "compaction", "command", "delivery"] as const)
        expect(isEntryOf(entry, other)).toBe(other === type);
    }
  });
});

describe("readHeader", () => {
  const header = {
    type: "session",
    version: TRANSCRIPT_VERSION,
    uuid: "f8282125-d96c-45a0-84cb-eb5fb6843d0a",
    key: "agent:main:telegram:dm:123456789",
    created: "2026-03-15T08:00:00.000Z",
    ancestors: [],
  };

  test("reads a header, also of a newer version and with fields it does not know", () => {
    expect(readHeader(header)).toEqual(header);
    expect(readHeader({ ...header, version: 99, note: "x" })).toEqual({ ...header, version: 99, note: "x" });
    const { ancestors: _, ...short } = header;
    expect(readHeader(short)).toEqual(header);
  });

  test.each<[what: string, value: unknown]>([
    ["a message", { role: "user", content: "hi" }],
    ["null", null],
    ["a header without a key", { ...header, key: undefined }],
    ["a header without a uuid", { ...header, uuid: 5 }],
    ["a version that is no number", { ...header, version: "1" }],
    ["version 0", { ...header, version: 0 }],
  ])("%s is no header", (_what, value) => {
    expect(readHeader(value)).toBeUndefined();
  });
});
