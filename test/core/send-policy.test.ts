import { describe, expect, test } from "vitest";
import { maySend } from "../../src/core/send-policy.js";
import { type Address, resolveSessionKey, type SendPolicy } from "../../src/core.js";

const dm: Address = { chatType: "dm", channel: "telegram", peerId: "42" };
const group: Address = { chatType: "group", channel: "discord", groupId: "7" };

function allows(policy: SendPolicy | undefined, address: Address): boolean {
  const chatType = address.chatType === "direct" ? "dm" : address.chatType;
  return maySend({ channel: address.channel, chatType }, resolveSessionKey(address), policy);
}

test("without a policy, or with an empty one, the agent may speak", () => {
  for (const policy of [undefined, {}, { rules: [] }]) expect(allows(policy, dm)).toBe(true);
});

test("the default decides where no rule does", () => {
  const policy: SendPolicy = { default: "deny", rules: [{ action: "allow", match: { channel: "telegram" } }] };
  expect(allows(policy, dm)).toBe(true);
  expect(allows(policy, group)).toBe(false);
});

test("the first rule that fits decides", () => {
  const deny = { action: "deny", match: { channel: "telegram" } } as const;
  const allow = { action: "allow", match: { chatType: "dm" } } as const;
  expect(allows({ rules: [deny, allow] }, dm)).toBe(false);
  expect(allows({ rules: [allow, deny] }, dm)).toBe(true);
});

test("a rule without conditions fits everything", () => {
  expect(allows({ rules: [{ action: "deny" }] }, dm)).toBe(false);
  expect(allows({ default: "allow", rules: [{ action: "deny", match: {} }] }, group)).toBe(false);
});

describe("a rule fits when all its conditions do", () => {
  test.each<[conditions: object, fitsDm: boolean, fitsGroup: boolean]>([
    [{ channel: "telegram" }, true, false],
    [{ channel: "Telegram" }, false, false],
    [{ chatType: "dm" }, true, false],
    [{ chatType: "direct" }, true, false],
    [{ chatType: "group" }, false, true],
    [{ channel: "discord", chatType: "group" }, false, true],
    [{ channel: "discord", chatType: "dm" }, false, false],
    [{ keyPrefix: "telegram:" }, true, false],
    [{ keyPrefix: "agent:main:discord:group:" }, false, true],
    [{ keyPrefix: "dm:" }, false, false],
    [{ keyPrefix: "agent:" }, true, true],
    [{ channel: "telegram", keyPrefix: "discord:" }, false, false],
  ])("%j", (match, fitsDm, fitsGroup) => {
    const policy: SendPolicy = { rules: [{ action: "deny", match }] };
    expect(allows(policy, dm)).toBe(!fitsDm);
    expect(allows(policy, group)).toBe(!fitsGroup);
  });
});
