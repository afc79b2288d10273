import { describe, expect, test } from "vitest";
import {
  type Address,
  formatSessionKey,
  InvalidSessionKeyError,
  isSessionKey,
  MAX_KEY_BYTES,
  type ParsedSessionKey,
  parseSessionKey,
  resolveSessionKey,
  type ScopePolicy,
} from "../../src/core.js";
import { BROKEN_IDS } from "./arbitraries.js";

const dm = (channel: string, peerId: string, agentId = "main"): ParsedSessionKey => ({
  kind: "dm",
  agentId,
  channel,
  peerId,
});

const telegramGroup = { chatType: "group", channel: "telegram", groupId: "-1001234567890" } as const;

// Every key the spec prints, with the address it describes.
const SPEC_KEYS: [key: string, parsed: ParsedSessionKey, address: Address, policy?: ScopePolicy][] = [
  [
    "agent:main:telegram:dm:123456789",
    dm("telegram", "123456789"),
    { chatType: "dm", channel: "telegram", peerId: "123456789" },
  ],
  [
    "agent:main:telegram:group:-1001234567890",
    { kind: "group", agentId: "main", channel: "telegram", groupId: "-1001234567890" },
    telegramGroup,
  ],
  [
    "agent:main:telegram:group:-1001234567890:topic:42",
    { kind: "group", agentId: "main", channel: "telegram", groupId: "-1001234567890", topicId: "42" },
    { ...telegramGroup, topicId: "42" },
  ],
  [
    "agent:coder:discord:dm:user#1234",
    dm("discord", "user#1234", "coder"),
    { chatType: "dm", channel: "discord", peerId: "user#1234", agentId: "coder" },
  ],
  ["agent:main:telegram:dm:userA", dm("telegram", "userA"), { chatType: "dm", channel: "telegram", peerId: "userA" }],
  ["agent:main:telegram:dm:userB", dm("telegram", "userB"), { chatType: "dm", channel: "telegram", peerId: "userB" }],
  [
    "agent:main:telegram:group:-1001234",
    { kind: "group", agentId: "main", channel: "telegram", groupId: "-1001234" },
    { chatType: "group", channel: "telegram", groupId: "-1001234" },
  ],
  [
    "agent:coder:main",
    { kind: "main", agentId: "coder", mainKey: "main" },
    { chatType: "dm", channel: "telegram", peerId: "123456789", agentId: "coder" },
    { dmScope: "main" },
  ],
];

describe("the keys the spec prints", () => {
  test.each(SPEC_KEYS)(
    "%s parses, formats back, and is what its address resolves to",
    (key, parsed, address, policy) => {
      expect(parseSessionKey(key)).toEqual(parsed);
      expect(formatSessionKey(parsed)).toBe(key);
      expect(isSessionKey(key)).toBe(true);
      expect(resolveSessionKey(address, policy)).toBe(key);
    },
  );

  test("agent:main:subagent:a1b2c3d4 parses and formats back; no address leads to it", () => {
    const parsed = { kind: "subagent", agentId: "main", subagentId: "a1b2c3d4" } as const;
    expect(parseSessionKey("agent:main:subagent:a1b2c3d4")).toEqual(parsed);
    expect(formatSessionKey(parsed)).toBe("agent:main:subagent:a1b2c3d4");
  });
});

describe("the grammar", () => {
  const group = { kind: "group", agentId: "main", channel: "telegram", groupId: "-100" } as const;
  test.each<[form: string, key: string, parsed: ParsedSessionKey]>([
    ["the shared session", "agent:main:main", { kind: "main", agentId: "main", mainKey: "main" }],
    ["a shared session of another name", "agent:main:home", { kind: "main", agentId: "main", mainKey: "home" }],
    ["a person on a channel", "agent:main:telegram:dm:42", dm("telegram", "42")],
    [
      "a person on an account",
      "agent:main:telegram:work:dm:42",
      { ...dm("telegram", "42"), accountId: "work" } as ParsedSessionKey,
    ],
    ["a person across channels", "agent:main:dm:alice", { kind: "dm", agentId: "main", peerId: "alice" }],
    ["a group", "agent:main:telegram:group:-100", group],
    ["a topic", "agent:main:telegram:group:-100:topic:42", { ...group, topicId: "42" }],
    ["a group on an account", "agent:main:telegram:work:group:-100", { ...group, accountId: "work" }],
    [
      "a topic on an account",
      "agent:main:telegram:work:group:-100:topic:42",
      { ...group, accountId: "work", topicId: "42" },
    ],
    ["a sub-agent", "agent:main:subagent:a1", { kind: "subagent", agentId: "main", subagentId: "a1" }],
    ["a person called dm", "agent:main:telegram:dm:dm", dm("telegram", "dm")],
    ["a group called topic", "agent:main:telegram:group:topic", { ...group, groupId: "topic" }],
    [
      "a topic called topic of a group called topic",
      "agent:main:telegram:group:topic:topic:topic",
      { ...group, groupId: "topic", topicId: "topic" },
    ],
    ["an identity called subagent", "agent:main:dm:subagent", { kind: "dm", agentId: "main", peerId: "subagent" }],
    ["a channel called agent", "agent:main:agent:dm:main", dm("agent", "main")],
  ])("has a form for %s", (_form, key, parsed) => {
    expect(parseSessionKey(key)).toEqual(parsed);
    expect(formatSessionKey(parsed)).toBe(key);
  });

  test.each<[platform: string, id: string, segment: string]>([
    ["a Telegram chat", "-1001234567890", "-1001234567890"],
    ["a Discord snowflake", "987654321012345678", "987654321012345678"],
    ["a Discord tag", "user#1234", "user#1234"],
    ["a Matrix person", "@user:server.org", "@user%3Aserver.org"],
    ["a Matrix person on a port", "@user:server.org:8448", "@user%3Aserver.org%3A8448"],
    ["a Matrix room", "!room:server.org", "!room%3Aserver.org"],
    ["a Slack channel", "C0123ABCD", "C0123ABCD"],
    ["a Slack thread", "1700000000.000100", "1700000000.000100"],
    ["a WhatsApp number", "49123@s.whatsapp.net", "49123@s.whatsapp.net"],
    ["a WhatsApp group", "120363012345678901@g.us", "120363012345678901@g.us"],
    ["a Signal number", "+4915112345678", "+4915112345678"],
    ["a Signal uuid", "uuid:AbCdEf01-2345", "uuid%3AAbCdEf01-2345"],
    ["an email address", "Ann.O'Nym+bot@example.com", "Ann.O'Nym+bot@example.com"],
    ["an emoji", "😀", "😀"],
    ["an IRC nick", "nick[m]", "nick[m]"],
    ["a Teams thread", "19:AbC@thread.tacv2", "19%3AAbC@thread.tacv2"],
    ["a Google Chat person", "users/1234567890", "users/1234567890"],
    ["an iMessage chat", "iMessage;+;chat123", "iMessage;+;chat123"],
    ["a percent sign", "100%", "100%25"],
    ["an escape taken literally", "a%3Ab", "a%253Ab"],
    ["spaces at both ends", " 42 ", " 42 "],
    ["a line break", "a\nb", "a%0Ab"],
    ["an escape sequence of a terminal", "\u001b[2J", "%1B[2J"],
    ["a C1 control", "\u009b2J", "%C2%9B2J"],
    ["a path", "../../etc/passwd", "../../etc/passwd"],
  ])("G3 keeps %s as it is", (_platform, id, segment) => {
    const key = formatSessionKey(dm("x", id));
    expect(key).toBe(`agent:main:x:dm:${segment}`);
    expect(parseSessionKey(key)).toEqual(dm("x", id));
  });

  test("G3 letter case and Unicode normal forms tell people apart", () => {
    const keys = ["@Alice", "@alice", "\u00fc", "u\u0308", "\u212aelvin", "Kelvin"].map((id) =>
      formatSessionKey(dm("matrix", id)),
    );
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe("formatSessionKey refuses", () => {
  const refused = (parsed: unknown) => () => formatSessionKey(parsed as ParsedSessionKey);

  test.each(["main", "dm", "group", "topic", "subagent"])("%s as a channel and as an account", (word) => {
    expect(refused(dm(word, "42"))).toThrow(InvalidSessionKeyError);
    expect(refused({ ...dm("telegram", "42"), accountId: word })).toThrow(InvalidSessionKeyError);
    expect(refused({ kind: "group", agentId: "main", channel: word, groupId: "1" })).toThrow(InvalidSessionKeyError);
  });

  test.each(["", "Main", "a b", "a.b", "-a", "_a", "é", "../x", "a:b", "a".repeat(65), undefined, null, 5])(
    "%j as an agent or a main key",
    (id) => {
      expect(refused({ ...dm("telegram", "42"), agentId: id })).toThrow(InvalidSessionKeyError);
      expect(refused({ kind: "main", agentId: "main", mainKey: id })).toThrow(InvalidSessionKeyError);
    },
  );

  test.each([...BROKEN_IDS, undefined, null, 42, {}])("%j as any opaque part", (id) => {
    expect(refused(dm("telegram", id as string))).toThrow(InvalidSessionKeyError);
    expect(refused({ kind: "group", agentId: "main", channel: "x", groupId: id })).toThrow(InvalidSessionKeyError);
    expect(refused({ kind: "subagent", agentId: "main", subagentId: id })).toThrow(InvalidSessionKeyError);
    if (id === undefined) return;
    expect(refused(dm(id as string, "42"))).toThrow(InvalidSessionKeyError);
    expect(refused({ ...dm("telegram", "42"), accountId: id })).toThrow(InvalidSessionKeyError);
    expect(refused({ kind: "group", agentId: "main", channel: "x", groupId: "1", topicId: id })).toThrow(
      InvalidSessionKeyError,
    );
  });

  test("an account without a channel, a group without a channel, and an unknown kind", () => {
    expect(refused({ kind: "dm", agentId: "main", peerId: "42", accountId: "work" })).toThrow(InvalidSessionKeyError);
    expect(refused({ kind: "group", agentId: "main", groupId: "1" })).toThrow(InvalidSessionKeyError);
    expect(refused({ kind: "thread", agentId: "main" })).toThrow(InvalidSessionKeyError);
  });

  test("a key longer than 1,024 bytes of UTF-8, and not one byte earlier", () => {
    const room = MAX_KEY_BYTES - "agent:main:x:dm:".length;
    expect(formatSessionKey(dm("x", "a".repeat(room)))).toHaveLength(MAX_KEY_BYTES);
    expect(isSessionKey(`agent:main:x:dm:${"a".repeat(room)}`)).toBe(true);
    expect(isSessionKey(`agent:main:x:dm:${"a".repeat(room + 1)}`)).toBe(false);
    expect(isSessionKey(`agent:main:x:dm:${"ü".repeat(room)}`)).toBe(false);
    expect(refused(dm("x", "ü".repeat(room)))).toThrow(InvalidSessionKeyError);
    expect(refused(dm("x", "a".repeat(room + 1)))).toThrow(InvalidSessionKeyError);
    expect(refused(dm("x", "ü".repeat(room / 2 + 1)))).toThrow(InvalidSessionKeyError);
    expect(refused(dm("x", ":".repeat(room / 3 + 1)))).toThrow(InvalidSessionKeyError);
    expect(refused(dm("x", "a".repeat(10_000)))).toThrow(InvalidSessionKeyError);
  });
});

describe("parseSessionKey repairs nothing", () => {
  test.each([
    "",
    "agent",
    "agent:",
    "agent:main",
    "agent:main:",
    "main",
    "telegram:dm:42",
    "Agent:main:main",
    "agent:Main:main",
    "agent:main:Main",
    "agent::main",
    "agent:main::dm:42",
    "agent:main:telegram:dm:",
    "agent:main:telegram:dm:42:",
    ":agent:main:main",
    " agent:main:main",
    "agent:main:main\n",
    "agent:main:telegram:42",
    "agent:main:telegram:direct:42",
    "agent:main:telegram:DM:42",
    "agent:main:telegram:dm:42:thread:7",
    "agent:main:telegram:dm:42:topic:7",
    "agent:main:telegram:work:dm:42:topic:7",
    "agent:main:telegram:channel:5",
    "agent:main:telegram:group:-100:thread:42",
    "agent:main:telegram:group:-100:topic:",
    "agent:main:telegram:group:-100:topic",
    "agent:main:telegram:group:-100:topic:1:2",
    "agent:main:dm:telegram:dm:42",
    "agent:main:main:dm:42",
    "agent:main:subagent:dm:42",
    "agent:main:topic:dm:42",
    "agent:main:telegram:main:dm:42",
    "agent:main:telegram:topic:dm:42",
    "agent:main:subagent:a:subagent:b",
    "agent:main:matrix:dm:@user:server.org",
    "agent:main:matrix:dm:@user%3aserver.org",
    "agent:main:matrix:dm:@user%2Dserver",
    "agent:main:x:dm:%41",
    "agent:main:x:dm:%C3%BC",
    "agent:main:x:dm:100%",
    "agent:main:x:dm:%zz",
    "agent:main:x:dm:%C2",
    "agent:main:x:dm:%ED%A0%80",
    "agent:main:x:dm:a\nb",
    "agent:main:x:dm:a\u0085b",
    "agent:main:x:dm:\ud800",
    `agent:main:x:dm:${"a".repeat(1024)}`,
  ])("%j is no key", (text) => {
    expect(isSessionKey(text)).toBe(false);
    expect(() => parseSessionKey(text)).toThrow(InvalidSessionKeyError);
  });

  test.each([undefined, null, 42, {}, ["agent:main:main"]])("%j is no key", (value) => {
    expect(isSessionKey(value)).toBe(false);
    expect(() => parseSessionKey(value as string)).toThrow(InvalidSessionKeyError);
  });
});
