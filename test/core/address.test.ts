import { describe, expect, test } from "vitest";
import { type CheckedAddress, checkAddress, formatAddress, parseAddress } from "../../src/core/address.js";
import { type Address, DM_SCOPES, InvalidSessionKeyError, resolveSessionKey } from "../../src/core.js";
import { BROKEN_IDS, HOSTILE_IDS } from "./arbitraries.js";

const ann = { chatType: "dm", channel: "telegram", peerId: "42" } as const;
const room = { chatType: "group", channel: "telegram", groupId: "-100" } as const;

describe("checkAddress", () => {
  test("an absent account counts as `default`, an absent agent as the default agent", () => {
    expect(checkAddress(ann)).toEqual({ ...ann, accountId: "default", agentId: "main" });
    expect(checkAddress(ann, "coder").agentId).toBe("coder");
    expect(checkAddress({ ...ann, agentId: "main" }, "coder").agentId).toBe("main");
    for (const dmScope of DM_SCOPES)
      expect(resolveSessionKey({ ...ann, accountId: "default" }, { dmScope })).toBe(
        resolveSessionKey(ann, { dmScope }),
      );
  });

  test("G3 `direct` is accepted for `dm` and means the same session", () => {
    expect(checkAddress({ ...ann, chatType: "direct" })).toEqual(checkAddress(ann));
    for (const dmScope of DM_SCOPES)
      expect(resolveSessionKey({ ...ann, chatType: "direct" }, { dmScope })).toBe(resolveSessionKey(ann, { dmScope }));
  });

  // The part, and an address that has everything but it.
  test.each<[part: string, address: object]>([
    ["peerId", { chatType: "dm", channel: "telegram" }],
    ["channel", { chatType: "dm", peerId: "42" }],
    ["chatType", { channel: "telegram", peerId: "42" }],
    ["groupId", { chatType: "group", channel: "telegram" }],
    ["groupId", { chatType: "group", channel: "telegram", topicId: "7" }],
    ["channel", { chatType: "group", groupId: "-100" }],
  ])("G2 a missing %s throws under every scope; nothing falls back to main", (part, address) => {
    for (const dmScope of DM_SCOPES) {
      const resolve = () => resolveSessionKey(address as Address, { dmScope });
      expect(resolve).toThrow(InvalidSessionKeyError);
      expect(resolve).toThrow(part);
    }
  });

  test.each([...BROKEN_IDS, null, 42, ["42"], true])("G2 %j as any part throws under every scope", (id) => {
    const bad: object[] = [
      { ...ann, peerId: id },
      { ...ann, channel: id },
      { ...ann, accountId: id },
      { ...room, groupId: id },
      { ...room, topicId: id },
      { ...room, channel: id },
      { ...room, accountId: id },
      { ...ann, agentId: id },
    ];
    for (const address of bad)
      for (const dmScope of DM_SCOPES)
        expect(() => resolveSessionKey(address as Address, { dmScope })).toThrow(InvalidSessionKeyError);
  });

  test.each(["main", "dm", "group", "topic", "subagent"])("%s is refused as a channel and as an account", (word) => {
    for (const address of [ann, room]) {
      expect(() => checkAddress({ ...address, channel: word })).toThrow(InvalidSessionKeyError);
      expect(() => checkAddress({ ...address, accountId: word })).toThrow(InvalidSessionKeyError);
    }
    expect(checkAddress({ ...ann, peerId: word })).toMatchObject({ peerId: word });
    expect(checkAddress({ ...room, groupId: word, topicId: word })).toMatchObject({ groupId: word, topicId: word });
  });

  test.each<[what: string, address: object]>([
    ["a dm with a group", { ...ann, groupId: "-100" }],
    ["a dm with a topic", { ...ann, topicId: "7" }],
    ["a group with a peer", { ...room, peerId: "42" }],
    ["another kind of chat", { ...ann, chatType: "channel" }],
    ["another case of the word", { ...ann, chatType: "DM" }],
    ["no object", [] as object],
  ])("%s is an error, not a guess", (_what, address) => {
    expect(() => checkAddress(address as Address)).toThrow(InvalidSessionKeyError);
  });

  test.each([undefined, null, "telegram:dm:42"])("%j is an error, not a guess", (address) => {
    expect(() => checkAddress(address as unknown as Address)).toThrow(InvalidSessionKeyError);
  });

  test("an id no key could hold is refused also where the key would not hold it", () => {
    const endless = "x".repeat(10_000);
    for (const dmScope of DM_SCOPES)
      expect(() => resolveSessionKey({ ...ann, peerId: endless }, { dmScope })).toThrow(InvalidSessionKeyError);
    const longest = "x".repeat(1024 - "telegram:default:dm:".length);
    expect(resolveSessionKey({ ...ann, peerId: longest }, { dmScope: "main" })).toBe("agent:main:main");
    expect(() => resolveSessionKey({ ...ann, peerId: `${longest}x` }, { dmScope: "main" })).toThrow(
      InvalidSessionKeyError,
    );
    expect(() => resolveSessionKey({ ...ann, accountId: endless })).toThrow(InvalidSessionKeyError);
    expect(() => resolveSessionKey({ ...room, topicId: endless }, { threads: "shared" })).toThrow(
      InvalidSessionKeyError,
    );
  });
});

describe("an address as text", () => {
  test("always names the account, and the topic where there is one", () => {
    expect(formatAddress(checkAddress(ann))).toBe("telegram:default:dm:42");
    expect(formatAddress(checkAddress({ ...ann, accountId: "work" }))).toBe("telegram:work:dm:42");
    expect(formatAddress(checkAddress(room))).toBe("telegram:default:group:-100");
    expect(formatAddress(checkAddress({ ...room, topicId: "7" }))).toBe("telegram:default:group:-100:topic:7");
  });

  test("reads back as the address it was written from, whatever the ids", () => {
    for (const id of HOSTILE_IDS) {
      const addresses: CheckedAddress[] = [
        checkAddress({ ...ann, peerId: id }),
        checkAddress({ ...room, groupId: id }),
        checkAddress({ ...room, topicId: id }),
      ];
      for (const address of addresses) expect(parseAddress(formatAddress(address))).toEqual(address);
    }
  });

  test.each([
    "",
    "telegram",
    "telegram:default",
    "telegram:default:dm",
    "telegram:default:dm:",
    "telegram:default:dm:42:",
    "telegram:default:dm:42:more",
    "telegram:default:dm:42:topic:7",
    "telegram:default:dm:%41",
    "telegram:default:channel:42",
    "telegram:default:group:-100:topic",
    "telegram:default:group:-100:topic:",
    "telegram:default:group:-100:topic:%zz",
    "telegram:default:group:-100:thread:7",
    "telegram:default:group:-100:topic:7:8",
    "telegram::dm:42",
  ])("%j is none, so it reads as nothing", (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});
