import { describe, expect, test } from "vitest";
import {
  type Address,
  DEFAULT_DM_SCOPE,
  DM_SCOPES,
  type DmScope,
  InvalidConfigError,
  resolveSessionKey,
  type ScopePolicy,
  type ThreadMode,
} from "../../src/core.js";

const ann = { chatType: "dm", channel: "telegram", peerId: "42", accountId: "work" } as const;
const room = { chatType: "group", channel: "telegram", groupId: "-100", accountId: "work" } as const;

test("G2 the default is per-channel-peer", () => {
  expect(DEFAULT_DM_SCOPE).toBe("per-channel-peer");
  expect(resolveSessionKey(ann)).toBe(resolveSessionKey(ann, { dmScope: "per-channel-peer" }));
  expect(resolveSessionKey(ann, {})).toBe("agent:main:telegram:dm:42");
  expect(resolveSessionKey(ann, { dmScope: undefined })).toBe("agent:main:telegram:dm:42");
});

test.each<[DmScope, string]>([
  ["main", "agent:main:main"],
  ["per-peer", "agent:main:telegram:dm:42"],
  ["per-channel-peer", "agent:main:telegram:dm:42"],
  ["per-account-channel-peer", "agent:main:telegram:work:dm:42"],
])("a dm under %s has the key %s", (dmScope, key) => {
  expect(resolveSessionKey(ann, { dmScope })).toBe(key);
});

test.each<[DmScope, string]>([
  ["main", "agent:main:telegram:group:-100"],
  ["per-peer", "agent:main:telegram:group:-100"],
  ["per-channel-peer", "agent:main:telegram:group:-100"],
  ["per-account-channel-peer", "agent:main:telegram:work:group:-100"],
])("a group under %s has the key %s", (dmScope, key) => {
  expect(resolveSessionKey(room, { dmScope })).toBe(key);
});

test("the shared session is named by mainKey, one for each agent", () => {
  const policy: ScopePolicy = { dmScope: "main", mainKey: "home" };
  expect(resolveSessionKey(ann, policy)).toBe("agent:main:home");
  expect(resolveSessionKey({ ...ann, agentId: "coder" }, policy)).toBe("agent:coder:home");
});

test("the default agent answers an address that names none", () => {
  expect(resolveSessionKey(ann, { defaultAgentId: "coder" })).toBe("agent:coder:telegram:dm:42");
});

test("G2 an id never poses as an identity, a group or the shared session", () => {
  const posing = ["dm:alice", "main", "group:-100", "42:topic:7", "subagent:a1"].flatMap((peerId) =>
    (["per-peer", "per-channel-peer", "per-account-channel-peer"] as const).map((dmScope) =>
      resolveSessionKey({ ...ann, peerId }, { dmScope }),
    ),
  );
  for (const key of posing) expect(key).toMatch(/^agent:main:telegram:(work:)?dm:[^:]+$/);
});

describe("what is not allowed is an error of the config", () => {
  test.each(["per-chanel-peer", "Per-Peer", "MAIN", "", null, 5, ["main"]])("G2 dmScope %j", (dmScope) => {
    const resolve = () => resolveSessionKey(ann, { dmScope: dmScope as DmScope });
    expect(resolve).toThrow(InvalidConfigError);
    for (const word of DM_SCOPES) expect(resolve).toThrow(`"${word}"`);
  });

  test.each(["seperate", "", null])("threads %j", (threads) => {
    const resolve = () => resolveSessionKey(room, { threads: threads as ThreadMode });
    expect(resolve).toThrow(InvalidConfigError);
    expect(resolve).toThrow('"separate", "shared"');
  });

  test.each(["", "Main", "a:b", "日本"])("mainKey and default agent %j", (id) => {
    expect(() => resolveSessionKey(ann, { dmScope: "main", mainKey: id })).toThrow(InvalidConfigError);
    expect(() => resolveSessionKey(ann, { defaultAgentId: id })).toThrow(InvalidConfigError);
  });
});

// A host gives the id of the thread for every message in it, the first included.
const slack = { chatType: "group", channel: "slack", groupId: "C0123ABCD" } as const;
const THREADS: [what: string, address: Address, separate: string, shared: string][] = [
  [
    "a Telegram forum topic",
    { chatType: "group", channel: "telegram", groupId: "-1001234567890", topicId: "42" },
    "agent:main:telegram:group:-1001234567890:topic:42",
    "agent:main:telegram:group:-1001234567890",
  ],
  [
    "a Telegram group without topics",
    { chatType: "group", channel: "telegram", groupId: "-1001234567890" },
    "agent:main:telegram:group:-1001234567890",
    "agent:main:telegram:group:-1001234567890",
  ],
  [
    "the root of a Slack thread, by its own ts",
    { ...slack, topicId: "1700000000.000100" },
    "agent:main:slack:group:C0123ABCD:topic:1700000000.000100",
    "agent:main:slack:group:C0123ABCD",
  ],
  [
    "a reply in a Slack thread, by its thread_ts",
    { ...slack, topicId: "1700000000.000100" },
    "agent:main:slack:group:C0123ABCD:topic:1700000000.000100",
    "agent:main:slack:group:C0123ABCD",
  ],
  [
    "another Slack thread",
    { ...slack, topicId: "1700000000.000200" },
    "agent:main:slack:group:C0123ABCD:topic:1700000000.000200",
    "agent:main:slack:group:C0123ABCD",
  ],
  [
    "a Discord thread",
    { chatType: "group", channel: "discord", groupId: "111222333", topicId: "444555666" },
    "agent:main:discord:group:111222333:topic:444555666",
    "agent:main:discord:group:111222333",
  ],
  [
    "a Matrix thread",
    { chatType: "group", channel: "matrix", groupId: "!room:server.org", topicId: "$event:server.org" },
    "agent:main:matrix:group:!room%3Aserver.org:topic:$event%3Aserver.org",
    "agent:main:matrix:group:!room%3Aserver.org",
  ],
];

describe("threads", () => {
  test.each(THREADS)("G23 %s has its key in both modes", (_what, address, separate, shared) => {
    expect(resolveSessionKey(address)).toBe(separate);
    expect(resolveSessionKey(address, { threads: "separate" })).toBe(separate);
    expect(resolveSessionKey(address, { threads: "shared" })).toBe(shared);
  });

  test("G23 the account stays in a topic's key under per-account-channel-peer, in both modes", () => {
    const topic = { ...room, topicId: "42" };
    const dmScope = "per-account-channel-peer";
    expect(resolveSessionKey(topic, { dmScope })).toBe("agent:main:telegram:work:group:-100:topic:42");
    expect(resolveSessionKey(topic, { dmScope, threads: "shared" })).toBe("agent:main:telegram:work:group:-100");
  });

  test("G23 a malformed topic is an error also where topics share the group's session", () => {
    expect(() => resolveSessionKey({ ...room, topicId: "" }, { threads: "shared" })).toThrow("topicId");
  });
});
