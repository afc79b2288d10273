import { describe, expect, test } from "vitest";
import { compileScopePolicy } from "../../src/core/dm-scope.js";
import { checkInbound } from "../../src/core/inbound.js";
import { type InboundMessage, InvalidMessageError, isSessionError, MAX_MESSAGE_BYTES } from "../../src/core.js";
import { BROKEN_IDS } from "./arbitraries.js";

const scope = compileScopePolicy({});
const check = (inbound: unknown) => checkInbound(inbound as InboundMessage, scope);

const dm = { channel: "telegram", chatType: "dm", peerId: "42", text: "Hello" } as const;
const group = { channel: "telegram", chatType: "group", groupId: "-100", text: "Hello" } as const;

describe("a good message", () => {
  test("comes out with its address, its key and its defaults filled in", () => {
    expect(check(dm)).toEqual({
      key: "agent:main:telegram:dm:42",
      address: { chatType: "dm", channel: "telegram", peerId: "42", accountId: "default", agentId: "main" },
      content: "Hello",
      text: "Hello",
      sender: { id: "42" },
      messageId: undefined,
      timestamp: undefined,
      mentioned: false,
      route: undefined,
    });
  });

  test("in a group keeps its topic and sender, and has none that nobody named", () => {
    expect(check({ ...group, topicId: "7", sender: { id: "1", name: "Ann" }, mentioned: true })).toMatchObject({
      key: "agent:main:telegram:group:-100:topic:7",
      sender: { id: "1", name: "Ann" },
      mentioned: true,
    });
    expect(check(group).sender).toBeUndefined();
  });

  test("has content of its own: what the host does to its object afterwards changes nothing", () => {
    const meta = { a: 1 };
    const { content } = check({ ...dm, text: undefined, content: [{ type: "text", text: "hi", meta }] });
    meta.a = 2;
    expect(content).toEqual([{ type: "text", text: "hi", meta: { a: 1 } }]);
  });

  test("in a dm may name a sender that is not the peer", () => {
    expect(check({ ...dm, sender: { id: "7", name: "Ann" } }).sender).toEqual({ id: "7", name: "Ann" });
    expect(check({ ...dm, sender: { id: "7", name: undefined } }).sender).toEqual({ id: "7" });
  });

  test("`direct` means `dm`", () => {
    expect(check({ ...dm, chatType: "direct" })).toEqual(check(dm));
  });

  test("G17 the route comes through untouched", () => {
    const route = { chat: new Map([["a", () => 1]]) };
    expect(check({ ...dm, route }).route).toBe(route);
  });

  test("only a message of nothing but words has a text, which alone can be a command", () => {
    const words = [
      { type: "text", text: "/cl" },
      { type: "text", text: "ear" },
    ];
    const image = { type: "image", mediaType: "image/png", url: "https://example.com/a.png" };
    const { text: _, ...bare } = dm;
    expect(check({ ...bare, content: words }).text).toBe("/clear");
    expect(check({ ...bare, content: [...words, image] }).text).toBeUndefined();
    expect(check({ ...bare, content: [image] }).content).toEqual([image]);
  });

  test.each<[given: string | number | Date, iso: string]>([
    ["2026-03-18T10:00:00Z", "2026-03-18T10:00:00.000Z"],
    ["2026-03-18T10:00:00.123456Z", "2026-03-18T10:00:00.123Z"],
    ["2026-03-18T10:00Z", "2026-03-18T10:00:00.000Z"],
    ["2026-03-18", "2026-03-18T00:00:00.000Z"],
    ["2026-03-18T12:00:00+0200", "2026-03-18T10:00:00.000Z"],
    ["2026-03-18T12:00:00+02:00", "2026-03-18T10:00:00.000Z"],
    [Date.UTC(2026, 2, 18, 10), "2026-03-18T10:00:00.000Z"],
    [new Date(Date.UTC(2026, 2, 18, 10)), "2026-03-18T10:00:00.000Z"],
  ])("its time %j is kept as UTC", (timestamp, iso) => {
    expect(check({ ...dm, timestamp }).timestamp).toBe(iso);
  });

  test("the text is what was said: neither trimmed nor normalised, half characters and all", () => {
    for (const text of [" x ", "u\u0308", "a\u2028b", "\ud800", "\u0000", "__proto__"])
      expect(check({ ...dm, text })).toMatchObject({ content: text, text });
  });
});

// Said by a person, so it must not come back in an error, which ends up in logs.
const SAID = "my PIN is 4711";
const { text: _, ...silent } = dm;
const call = { toolCallId: "1", toolName: SAID };
const circular: Record<string, unknown> = { type: "text", text: SAID };
circular.self = circular;

const BAD: [what: string, inbound: unknown][] = [
  ["nothing", undefined],
  ["null", null],
  ["a text", SAID],
  ["a list", [dm]],
  ["an empty object", {}],
  ["no channel", { chatType: "dm", peerId: "42", text: SAID }],
  ["an empty channel", { ...dm, channel: "", text: SAID }],
  ["a reserved channel", { ...dm, channel: "group", text: SAID }],
  ["a reserved account", { ...dm, accountId: "main", text: SAID }],
  ["an agent that is no agent's name", { ...dm, agentId: "The Agent", text: SAID }],
  ["no chat type", { channel: "telegram", peerId: "42", text: SAID }],
  ["an unknown chat type", { ...dm, chatType: SAID, text: SAID }],
  ["no peer", { channel: "telegram", chatType: "dm", text: SAID }],
  ["a peer that is a number", { ...dm, peerId: 42, text: SAID }],
  ["a peer that is null", { ...dm, peerId: null, text: SAID }],
  ...BROKEN_IDS.map((id): [string, unknown] => [`the peer ${JSON.stringify(id)}`, { ...dm, peerId: id, text: SAID }]),
  ["an endless peer", { ...dm, peerId: "x".repeat(10_000), text: SAID }],
  ["a peer whose key is too long", { ...dm, peerId: ":".repeat(400), text: SAID }],
  ["a group without its id", { channel: "telegram", chatType: "group", text: SAID }],
  ["a group with a peer", { ...group, peerId: "42", text: SAID }],
  ["a dm with a group", { ...dm, groupId: "-100", text: SAID }],
  ["a dm with a topic", { ...dm, topicId: "7", text: SAID }],
  ["a topic that is a number", { ...group, topicId: 7, text: SAID }],
  ["neither text nor content", silent],
  ["both text and content", { ...dm, text: SAID, content: [{ type: "text", text: SAID }] }],
  ["a text that is a number", { ...dm, text: 4711 }],
  ["a text that is null", { ...dm, text: null }],
  ["an empty text", { ...dm, text: "" }],
  ["a text of blanks", { ...dm, text: " \n" }],
  ["empty content", { ...silent, content: [] }],
  ["content of empty text", { ...silent, content: [{ type: "text", text: "" }] }],
  ["content that is a text", { ...silent, content: { text: SAID } }],
  ["content with a bare text in it", { ...silent, content: [SAID] }],
  ["content of an unknown type", { ...silent, content: [{ type: SAID, text: SAID }] }],
  ["a text part without text", { ...silent, content: [{ type: "text", words: SAID }] }],
  ["an image without its media type", { ...silent, content: [{ type: "image", data: SAID }] }],
  ["a tool call", { ...silent, content: [{ type: "tool-call", ...call, input: SAID }] }],
  ["a tool result", { ...silent, content: [{ type: "tool-result", ...call, output: SAID }] }],
  ["reasoning", { ...silent, content: [{ type: "reasoning", text: SAID }] }],
  ["content that is a circle", { ...silent, content: [circular] }],
  ["content with a BigInt", { ...silent, content: [{ type: "text", text: SAID, extra: 4711n }] }],
  ["a text of 2 MB", { ...dm, text: SAID.repeat(150_000) }],
  ["content of 2 MB", { ...silent, content: [{ type: "file", mediaType: "x/y", data: SAID.repeat(150_000) }] }],
  ["a message id that is a number", { ...dm, messageId: 17, text: SAID }],
  ["an empty message id", { ...dm, messageId: "", text: SAID }],
  ["an endless message id", { ...dm, messageId: "x".repeat(257), text: SAID }],
  ["a time that is none", { ...dm, timestamp: SAID, text: SAID }],
  ["a number as a text", { ...dm, timestamp: "5", text: SAID }],
  ["a time as people say it", { ...dm, timestamp: "March 7, 10:00", text: SAID }],
  ["a day no month has", { ...dm, timestamp: "2026-02-45T10:00:00Z", text: SAID }],
  ["a time in seconds", { ...dm, timestamp: 1_774_000_000, text: SAID }],
  ["a time that is not a number", { ...dm, timestamp: Number.NaN, text: SAID }],
  ["an endless time", { ...dm, timestamp: Number.POSITIVE_INFINITY, text: SAID }],
  ["a date that is none", { ...dm, timestamp: new Date(Number.NaN), text: SAID }],
  ["a time beyond all dates", { ...dm, timestamp: 1e300, text: SAID }],
  ["a sender that is a text", { ...dm, sender: SAID, text: SAID }],
  ["a sender without an id", { ...dm, sender: { name: SAID }, text: SAID }],
  ["a sender with more than a name", { ...dm, sender: { id: "1", phone: "4711" }, text: SAID }],
  ["a sender with an endless name", { ...dm, sender: { id: "1", name: SAID.repeat(100) }, text: SAID }],
  ["a mention that is a word", { ...dm, mentioned: "yes", text: SAID }],
  ["a field that is none of ours", { ...dm, chatId: "42", text: SAID }],
];

describe("a bad message is refused with a typed error that does not repeat what was said", () => {
  test.each(BAD)("%s", (_what, inbound) => {
    let error: unknown;
    try {
      check(inbound);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(InvalidMessageError);
    expect(isSessionError(error, "INVALID_MESSAGE")).toBe(true);
    const { message, stack } = error as Error;
    for (const text of [message, stack]) {
      expect(text).not.toContain("PIN");
      expect(text).not.toContain("4711");
    }
    expect(message.length).toBeLessThan(1000);
  });
});

test("a time more than a day ahead of the clock is refused, because it would stay the latest of its session", () => {
  const now = Date.UTC(2026, 2, 18, 10);
  const at = (timestamp: number) => checkInbound({ ...dm, timestamp }, scope, now).timestamp;
  expect(at(now + 86_400_000)).toBe("2026-03-19T10:00:00.000Z");
  expect(() => at(now + 86_400_001)).toThrow(InvalidMessageError);
  expect(at(Date.UTC(2001, 0))).toBe("2001-01-01T00:00:00.000Z");
});

test("the largest message is 1 MiB as JSON, and not one byte more", () => {
  const room = MAX_MESSAGE_BYTES - '""'.length;
  expect(check({ ...dm, text: "x".repeat(room) }).text).toHaveLength(room);
  expect(() => check({ ...dm, text: "x".repeat(room + 1) })).toThrow(InvalidMessageError);
  expect(() => check({ ...dm, text: "\u0000".repeat(Math.ceil(room / 6)) })).toThrow(InvalidMessageError);
});

test("a message that JSON would keep as something else, or not at all, is refused", () => {
  const cyclic: { type: string; text: string; self?: unknown } = { type: "text", text: "hi" };
  cyclic.self = cyclic;
  for (const part of [
    { type: "text", text: "hi", toJSON: () => 5 },
    { type: "text", text: "hi", toJSON: () => undefined },
    { type: "text", text: "hi", big: 1n },
    cyclic,
  ])
    expect(() => check({ ...dm, text: undefined, content: [part] })).toThrow(InvalidMessageError);
});
