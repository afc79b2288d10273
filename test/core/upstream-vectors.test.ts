import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import {
  type Address,
  type DmScope,
  type IdentityLinks,
  InvalidConfigError,
  InvalidSessionKeyError,
  isSessionKey,
  parseCommand,
  resolveSessionKey,
} from "../../src/core.js";

interface Vector {
  fn: string;
  input: [unknown];
  output?: unknown;
}

/** What OpenClaw's `buildAgentPeerSessionKey` takes. */
interface UpstreamAddress {
  agentId?: string;
  channel?: string | null;
  accountId?: string | null;
  peerId?: string | null;
  peerKind?: string;
  dmScope?: string;
  mainKey?: string;
  identityLinks?: unknown;
}

function vectors(file: string, fn: string): Vector[] {
  const all = JSON.parse(readFileSync(new URL(`../fixtures/vectors/${file}`, import.meta.url), "utf8")) as Vector[];
  return all.filter((vector) => vector.fn === fn);
}

const KEYS = vectors("keys.json", "buildAgentPeerSessionKey").map(({ input, output }) => ({
  given: input[0] as UpstreamAddress,
  key: output as string | undefined,
}));

function upstreamKey(wanted: UpstreamAddress): string | undefined {
  const same = (given: UpstreamAddress) =>
    [...new Set([...Object.keys(wanted), ...Object.keys(given)])].every(
      (name) =>
        JSON.stringify(given[name as keyof UpstreamAddress]) === JSON.stringify(wanted[name as keyof UpstreamAddress]),
    );
  return KEYS.find(({ given }) => same(given))?.key;
}

const folds = (text: string) => text !== text.trim() || text !== text.toLowerCase();
const PLAIN_NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** Why a vector says nothing about a key of ours; `undefined` when it does. */
function leftOut({ given, key }: { given: UpstreamAddress; key: string | undefined }): string | undefined {
  const { agentId, channel, accountId, peerId, peerKind, dmScope, mainKey, identityLinks } = given;
  if (key === undefined) return "OpenClaw throws";
  if (identityLinks !== undefined) return "links replace ids";
  if (!channel || !peerId?.trim()) return "a part is missing or empty";
  if (folds(channel) || folds(peerId)) return "an id is trimmed or folded";
  if (/:(thread|topic):/.test(peerId)) return "an id is read as a thread";
  if (agentId === undefined || !PLAIN_NAME.test(agentId) || !key.startsWith(`agent:${agentId}:`))
    return "the agent is renamed";
  if (accountId != null && (!PLAIN_NAME.test(accountId) || accountId === "constructor"))
    return "the account is renamed";
  if (mainKey !== undefined && !PLAIN_NAME.test(mainKey)) return "the main key is renamed";
  if (peerKind === "dm") return "dm is another word than direct";
  if (peerKind !== undefined && peerKind !== "direct" && peerKind !== "group")
    return "a kind of chat that is none of ours";
  if (dmScope !== undefined && !["main", "per-channel-peer", "per-account-channel-peer"].includes(dmScope))
    return dmScope === "per-peer" && peerKind === "group" ? undefined : "a scope with another meaning, or none";
  return undefined;
}

function ourKey({ agentId, channel, accountId, peerId, peerKind, dmScope, mainKey }: UpstreamAddress): string {
  const place = { channel: channel as string, accountId: accountId ?? undefined, agentId };
  const address: Address =
    peerKind === "group"
      ? { chatType: "group", groupId: peerId as string, ...place }
      : { chatType: "direct", peerId: peerId as string, ...place };
  return resolveSessionKey(address, { dmScope: scopeOf(dmScope), mainKey });
}

// OpenClaw's default is `main`.
function scopeOf(dmScope: string | undefined): DmScope {
  return (dmScope ?? "main") as DmScope;
}

describe("keys of OpenClaw", () => {
  const compared = KEYS.filter((vector) => leftOut(vector) === undefined);

  // Under per-peer only groups are compared: a dm there is keyed by the bare id, whatever its channel.
  test.each<[DmScope, number]>([
    ["main", 50],
    ["per-channel-peer", 30],
    ["per-account-channel-peer", 15],
    ["per-peer", 3],
  ])("G3 under %s two addresses share a key there exactly when they share one here", (scope, atLeast) => {
    const inScope = compared.filter(({ given }) => scopeOf(given.dmScope) === scope);
    expect(inScope.length).toBeGreaterThanOrEqual(atLeast);
    for (const a of inScope) {
      for (const b of inScope) {
        const pair = `${JSON.stringify(a.given)} and ${JSON.stringify(b.given)}`;
        expect(ourKey(a.given) === ourKey(b.given), pair).toBe(a.key === b.key);
      }
    }
  });

  test("only what OpenClaw folds, drops, renames or reads otherwise is left out", () => {
    const reasons = new Map<string, number>();
    for (const vector of KEYS) {
      const reason = leftOut(vector) ?? "compared";
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
    }
    expect(Object.fromEntries(reasons)).toEqual({
      "OpenClaw throws": 9,
      "a kind of chat that is none of ours": 5,
      "a part is missing or empty": 24,
      "a scope with another meaning, or none": 28,
      "an id is read as a thread": 8,
      "an id is trimmed or folded": 71,
      compared: 119,
      "dm is another word than direct": 1,
      "links replace ids": 203,
      "the account is renamed": 10,
      "the agent is renamed": 12,
      "the main key is renamed": 6,
    });
  });
});

describe("where OpenClaw mixes people up, this library does not", () => {
  const scopes = ["per-peer", "per-channel-peer", "per-account-channel-peer"] as const;
  const dm = (channel: string, peerId: string): Address => ({ chatType: "dm", channel, peerId });

  test("G3 letter case tells people apart: @Alice and @alice", () => {
    const upper = {
      agentId: "main",
      channel: "matrix",
      peerId: "@User:server.org",
      peerKind: "direct",
      dmScope: "per-peer",
    };
    expect(upstreamKey(upper)).toBe("agent:main:direct:@user:server.org");
    for (const dmScope of scopes) {
      const key = (peerId: string) => resolveSessionKey(dm("matrix", peerId), { dmScope });
      expect(key("@Alice")).not.toBe(key("@alice"));
      expect(key("@User:server.org")).not.toBe(key("@user:server.org"));
    }
  });

  test("G3 white space tells people apart", () => {
    const spaced = {
      agentId: "main",
      channel: "telegram",
      peerId: " 123456789 ",
      peerKind: "direct",
      dmScope: "per-channel-peer",
    };
    expect(upstreamKey(spaced)).toBe("agent:main:telegram:direct:123456789");
    expect(resolveSessionKey(dm("telegram", " 123456789 "))).not.toBe(resolveSessionKey(dm("telegram", "123456789")));
  });

  test.each([...scopes, "main" as const])(
    "G2 an empty or missing peer is an error under %s, not the main session",
    (dmScope) => {
      const nobody = {
        agentId: "main",
        channel: "webchat",
        peerId: "",
        peerKind: "direct",
        dmScope: "per-channel-peer",
      };
      expect(upstreamKey(nobody)).toBe("agent:main:main");
      for (const peerId of ["", undefined, null])
        expect(() => resolveSessionKey(dm("webchat", peerId as string), { dmScope })).toThrow(InvalidSessionKeyError);
    },
  );

  test("G2 a peer called 42:thread:7 is a person, not a thread of peer 42", () => {
    const posing = {
      agentId: "main",
      channel: "telegram",
      peerId: "42:thread:7",
      peerKind: "direct",
      dmScope: "per-channel-peer",
    };
    expect(upstreamKey(posing)).toBe("agent:main:telegram:direct:42:thread:7");
    expect(resolveSessionKey(dm("telegram", "42:thread:7"))).toBe("agent:main:telegram:dm:42%3Athread%3A7");
    expect(isSessionKey("agent:main:telegram:dm:42:thread:7")).toBe(false);
  });

  test("G29 a bare linked id would match on every channel, so it is an error", () => {
    const identityLinks: IdentityLinks = { alice: ["123456789"] };
    const linked = {
      agentId: "main",
      channel: "discord",
      peerId: "123456789",
      peerKind: "direct",
      dmScope: "per-channel-peer",
      identityLinks,
    };
    expect(upstreamKey(linked)).toBe("agent:main:discord:direct:alice");
    for (const dmScope of scopes)
      expect(() => resolveSessionKey(dm("discord", "123456789"), { dmScope, identityLinks })).toThrow(
        InvalidConfigError,
      );
  });

  test("G2 nobody becomes a linked person by calling themselves so", () => {
    const identityLinks: IdentityLinks = { alice: ["telegram:123456789", "discord:987654321012345678"] };
    const base = { agentId: "main", peerKind: "direct", dmScope: "per-channel-peer", identityLinks };
    const linked = { ...base, channel: "telegram", peerId: "123456789" };
    expect(upstreamKey({ ...base, channel: "telegram", peerId: "alice" })).toBe(upstreamKey(linked));
    expect(upstreamKey({ ...base, dmScope: "per-peer", channel: "irc", peerId: "telegram:123456789" })).toBe(
      "agent:main:direct:alice",
    );
    for (const dmScope of scopes) {
      const key = (channel: string, peerId: string) =>
        resolveSessionKey(dm(channel, peerId), { dmScope, identityLinks });
      expect(key("telegram", "alice")).not.toBe(key("telegram", "123456789"));
      expect(key("irc", "telegram:123456789")).not.toBe(key("telegram", "123456789"));
      expect(key("irc", "alice")).not.toBe(key("telegram", "123456789"));
    }
  });

  test("G3 under per-peer equal ids on two channels are two people", () => {
    const base = { agentId: "main", peerId: "42", peerKind: "direct", dmScope: "per-peer" };
    expect(upstreamKey({ ...base, channel: "Telegram" })).toBe(upstreamKey({ ...base, channel: "custom channel" }));
    expect(resolveSessionKey(dm("telegram", "42"), { dmScope: "per-peer" })).not.toBe(
      resolveSessionKey(dm("custom channel", "42"), { dmScope: "per-peer" }),
    );
  });

  test("G3 accounts are not renamed into each other", () => {
    const base = {
      agentId: "main",
      channel: "telegram",
      peerId: "42",
      peerKind: "direct",
      dmScope: "per-account-channel-peer",
    };
    expect(upstreamKey({ ...base, accountId: "日本" })).toBe("agent:main:telegram:default:direct:42");
    expect(upstreamKey({ ...base, accountId: "constructor" })).toBe("agent:main:telegram:default:direct:42");
    const key = (accountId: string) =>
      resolveSessionKey({ ...dm("telegram", "42"), accountId }, { dmScope: "per-account-channel-peer" });
    expect(new Set(["default", "日本", "constructor", "é", "a:b", "a-b"].map(key)).size).toBe(6);
  });

  test("G2 an unknown scope is an error, not the main session", () => {
    for (const dmScope of ["bogus", "Per-Peer"]) {
      expect(upstreamKey({ agentId: "main", channel: "telegram", peerId: "42", dmScope })).toBe("agent:main:main");
      expect(() => resolveSessionKey(dm("telegram", "42"), { dmScope: dmScope as DmScope })).toThrow(
        InvalidConfigError,
      );
    }
  });
});

test("G3 of the texts OpenClaw repairs into a key, only the canonical ones are keys here", () => {
  const accepted = vectors("keys.json", "parseAgentSessionKey")
    .filter(({ input: [text], output }) => output !== null && isSessionKey(text))
    .map(({ input: [text] }) => text);
  expect(accepted).toEqual([
    "agent:main:main",
    "agent:main:telegram:dm:123456789",
    "agent:main:telegram:group:-1001234567890:topic:42",
    "agent:coder:discord:dm:user#1234",
    "agent:main:whatsapp:group:120363@g.us",
    "agent:main:feishu:group:oc_AbC",
    "agent:main:heartbeat",
  ]);
});

describe("/activation of OpenClaw", () => {
  const texts = vectors("activation.json", "parseActivationCommand").filter(
    ({ input }) => typeof input[0] === "string",
  );

  /** Read here as a command given wrongly, and answered with its usage: what was meant for the session is not for the model. */
  const ANSWERED_WITH_USAGE = ["/activation bogus", "/activation always now"];

  test.each(texts.filter(({ input: [text] }) => !ANSWERED_WITH_USAGE.includes(text as string)))(
    "$input.0 is read the same here",
    ({ input: [text], output }) => {
      const { hasCommand, mode } = output as { hasCommand: boolean; mode?: string };
      const expected = hasCommand ? { name: "activation", ...(mode === undefined ? {} : { mode }) } : undefined;
      expect(parseCommand(text as string)).toEqual(expected);
    },
  );

  test.each(ANSWERED_WITH_USAGE)("%s is answered with its usage here", (text) => {
    expect(texts.find(({ input }) => input[0] === text)?.output).not.toHaveProperty("mode");
    expect(parseCommand(text)).toEqual({ name: "usage", of: "activation" });
  });
});
