import { describe, expect, test } from "vitest";
import { compileScopePolicy } from "../../src/core/dm-scope.js";
import {
  type Address,
  type IdentityLinks,
  InvalidConfigError,
  parseConfig,
  resolveSessionKey,
  type ScopePolicy,
} from "../../src/core.js";
import { HOSTILE_IDS } from "./arbitraries.js";

const from = (channel: string, peerId: string, accountId?: string): Address => ({
  chatType: "dm",
  channel,
  peerId,
  accountId,
});

const LINKS: IdentityLinks = { alice: ["telegram:123456789", "discord:987654321012345678"] };

describe("under per-peer", () => {
  const policy: ScopePolicy = { dmScope: "per-peer", identityLinks: LINKS };

  test("G29 a linked person has one session across channels, named after them", () => {
    expect(resolveSessionKey(from("telegram", "123456789"), policy)).toBe("agent:main:dm:alice");
    expect(resolveSessionKey(from("discord", "987654321012345678"), policy)).toBe("agent:main:dm:alice");
  });

  test("G29 equal ids on two channels are not the same person unless linked", () => {
    expect(resolveSessionKey(from("telegram", "1"), policy)).not.toBe(resolveSessionKey(from("discord", "1"), policy));
    expect(resolveSessionKey(from("discord", "123456789"), policy)).toBe("agent:main:discord:dm:123456789");
  });

  test("G2 an id that reads like a person's name or link does not become that person", () => {
    for (const id of ["alice", "dm:alice", "telegram:123456789"])
      expect(resolveSessionKey(from("irc", id), policy)).not.toBe("agent:main:dm:alice");
    expect(resolveSessionKey(from("telegram", "alice"), policy)).toBe("agent:main:telegram:dm:alice");
  });

  test("G3 neither ids nor channels are folded when a link is looked up", () => {
    const identityLinks = { bob: ["matrix:@Bob%3Aserver.org"] };
    const key = (channel: string, id: string) => resolveSessionKey(from(channel, id), { ...policy, identityLinks });
    expect(key("matrix", "@Bob:server.org")).toBe("agent:main:dm:bob");
    expect(key("matrix", "@bob:server.org")).toBe("agent:main:matrix:dm:@bob%3Aserver.org");
    expect(key("Matrix", "@Bob:server.org")).toBe("agent:main:Matrix:dm:@Bob%3Aserver.org");
    expect(key("matrix", " @Bob:server.org")).toBe("agent:main:matrix:dm: @Bob%3Aserver.org");
  });

  test("a person may have any name that a key can hold", () => {
    for (const name of HOSTILE_IDS) {
      const identityLinks = Object.fromEntries([[name, ["telegram:1"]]]);
      const key = resolveSessionKey(from("telegram", "1"), { ...policy, identityLinks });
      expect(key).toMatch(/^agent:main:dm:[^:]+$/);
    }
  });

  test("an agent has a session of its own with the person", () => {
    const address = { ...from("telegram", "123456789"), agentId: "coder" };
    expect(resolveSessionKey(address, policy)).toBe("agent:coder:dm:alice");
  });
});

describe("under per-channel-peer", () => {
  const identityLinks: IdentityLinks = { alice: ["telegram:1", "discord:9", "telegram:2"] };
  const key = (channel: string, id: string, accountId?: string) =>
    resolveSessionKey(from(channel, id, accountId), { identityLinks });

  test("G29 two linked ids on a channel share the session of the one listed first", () => {
    expect(key("telegram", "2")).toBe("agent:main:telegram:dm:1");
    expect(key("telegram", "1")).toBe("agent:main:telegram:dm:1");
    expect(key("telegram", "2", "work")).toBe("agent:main:telegram:dm:1");
  });

  test("G29 the same person on another channel has another session", () => {
    expect(key("discord", "9")).toBe("agent:main:discord:dm:9");
  });

  test("G2 an unlinked person keeps their own", () => {
    expect(key("telegram", "3")).toBe("agent:main:telegram:dm:3");
    expect(key("discord", "1")).toBe("agent:main:discord:dm:1");
    expect(key("discord", "2")).toBe("agent:main:discord:dm:2");
  });

  test("G2 one id on two accounts cannot be two people, whom this scope's keys would mix up", () => {
    const twoPeople = { alice: ["irc:libera:nick"], bob: ["irc:oftc:nick"] };
    expect(() => resolveSessionKey(from("irc", "nick", "libera"), { identityLinks: twoPeople })).toThrow(
      InvalidConfigError,
    );
    expect(() => parseConfig({ session: { identityLinks: twoPeople } })).toThrow("per-account-channel-peer");
  });
});

describe("under per-account-channel-peer", () => {
  const dmScope = "per-account-channel-peer";

  test("G29 a link joins ids within the account", () => {
    const policy: ScopePolicy = { dmScope, identityLinks: { alice: ["telegram:1", "telegram:2"] } };
    expect(resolveSessionKey(from("telegram", "2", "work"), policy)).toBe("agent:main:telegram:work:dm:1");
    expect(resolveSessionKey(from("telegram", "2", "home"), policy)).toBe("agent:main:telegram:home:dm:1");
    expect(resolveSessionKey(from("telegram", "2"), policy)).toBe("agent:main:telegram:default:dm:1");
  });

  test("G29 the id listed first for that account is the one shared", () => {
    const policy: ScopePolicy = { dmScope, identityLinks: { alice: ["telegram:work:1", "telegram:2", "telegram:3"] } };
    expect(resolveSessionKey(from("telegram", "3", "work"), policy)).toBe("agent:main:telegram:work:dm:1");
    expect(resolveSessionKey(from("telegram", "3", "home"), policy)).toBe("agent:main:telegram:home:dm:2");
    expect(resolveSessionKey(from("telegram", "1", "home"), policy)).toBe("agent:main:telegram:home:dm:1");
  });

  test("G2 one id on two accounts may be two people", () => {
    const policy: ScopePolicy = { dmScope, identityLinks: { alice: ["irc:libera:nick"], bob: ["irc:oftc:nick"] } };
    expect(resolveSessionKey(from("irc", "nick", "libera"), policy)).toBe("agent:main:irc:libera:dm:nick");
    expect(resolveSessionKey(from("irc", "nick", "oftc"), policy)).toBe("agent:main:irc:oftc:dm:nick");
    const perPeer: ScopePolicy = { ...policy, dmScope: "per-peer" };
    expect(resolveSessionKey(from("irc", "nick", "libera"), perPeer)).toBe("agent:main:dm:alice");
    expect(resolveSessionKey(from("irc", "nick", "oftc"), perPeer)).toBe("agent:main:dm:bob");
    expect(resolveSessionKey(from("irc", "nick", "third"), perPeer)).toBe("agent:main:irc:dm:nick");
  });
});

test("G2 who is a second person in the shared session is told by links, channel, account and id", () => {
  const policy = compileScopePolicy({ dmScope: "main", identityLinks: LINKS });
  const person = (channel: string, id: string, accountId?: string) => {
    const address = policy.check(from(channel, id, accountId));
    return address.chatType === "dm" ? policy.person(address) : undefined;
  };
  expect(person("telegram", "123456789")).toBe(person("discord", "987654321012345678"));
  expect(person("telegram", "1")).toBe(person("telegram", "1", "default"));
  const strangers = [
    person("telegram", "1"),
    person("discord", "1"),
    person("telegram", "1", "work"),
    person("x", "alice"),
  ];
  expect(new Set([...strangers, person("telegram", "123456789")]).size).toBe(5);
});

test("links change nothing in the shared session nor in a group", () => {
  expect(resolveSessionKey(from("telegram", "123456789"), { dmScope: "main", identityLinks: LINKS })).toBe(
    "agent:main:main",
  );
  const group = { chatType: "group", channel: "telegram", groupId: "123456789" } as const;
  expect(resolveSessionKey(group, { dmScope: "per-peer", identityLinks: LINKS })).toBe(
    "agent:main:telegram:group:123456789",
  );
});

describe("links that are an error of the config", () => {
  test.each<[why: string, links: IdentityLinks]>([
    ["a bare id", { alice: ["123456789"] }],
    ["a Matrix id whose colon is not escaped", { alice: ["matrix:@user:server.org:8448"] }],
    ["a bare Matrix id", { alice: ["@user:server.org"] }],
    ["a bare Matrix id with a port", { alice: ["@user:server.org:8448"] }],
    ["a Matrix room", { alice: ["!id:server.org"] }],
    ["the alias of a Matrix room", { alice: ["#room:server.org"] }],
    ["a number of WhatsApp with its device", { alice: ["+491701234567:2"] }],
    ["a JID of WhatsApp with its device", { alice: ["491701234567:2@s.whatsapp.net"] }],
    ["a bare id of Teams", { alice: ["29:1bSnHZ7Js2STWrgk6ScEErLk1Lp2zQuD5H2qQ960rtvstKp8tKLl"] }],
    ["a bare id of Bluesky", { alice: ["did:plc:z72i7hdynmk6r22z27h6tvur"] }],
    ["a link to a profile", { alice: ["https://matrix.to/#/@user"] }],
    ["a link behind a channel", { alice: ["mastodon:https://example.org/@ann"] }],
    ["a blank before the channel", { alice: [" telegram:1"] }],
    ["a blank behind the channel", { alice: ["telegram :1"] }],
    ["a blank around the account", { alice: ["telegram: work:1"] }],
    ["an id in two identities", { alice: ["telegram:1"], bob: ["discord:2", "telegram:1"] }],
    ["an id for all accounts and for one of them", { alice: ["telegram:1"], bob: ["telegram:work:1"] }],
    ["an id for one account and for all of them", { alice: ["telegram:work:1"], bob: ["telegram:1"] }],
    ["an id on one account in two identities", { alice: ["telegram:work:1"], bob: ["telegram:work:1"] }],
    ["an empty id", { alice: ["telegram:"] }],
    ["an empty channel", { alice: [":1"] }],
    ["an empty text", { alice: [""] }],
    ["an empty account", { alice: ["telegram::1"] }],
    ["an escape that is not canonical", { alice: ["telegram:%41"] }],
    ["a reserved word as the channel", { alice: ["dm:1"] }],
    ["a reserved word as the account", { alice: ["telegram:group:1"] }],
    ["a person without a name", { "": ["telegram:1"] }],
    ["a person whose name is half a character", { "\ud800": ["telegram:1"] }],
  ])("G29 %s", (_why, identityLinks) => {
    for (const dmScope of ["main", "per-peer", "per-channel-peer", "per-account-channel-peer"] as const) {
      expect(() => resolveSessionKey(from("telegram", "1"), { dmScope, identityLinks })).toThrow(InvalidConfigError);
      expect(() => parseConfig({ session: { dmScope, identityLinks } })).toThrow(InvalidConfigError);
    }
  });

  test("the error names the person and the place in the list", () => {
    expect(() => resolveSessionKey(from("x", "1"), { identityLinks: { alice: ["telegram:1", "42"] } })).toThrow(
      'identityLinks "alice"[1]',
    );
    expect(() => parseConfig({ session: { identityLinks: { alice: ["x:1"], bob: ["x:1"] } } })).toThrow(
      '"alice" and "bob"',
    );
  });

  test.each([
    ["@user:server.org", "matrix:@user%3Aserver.org"],
    ["@user%25:server.org", "matrix:@user%25%3Aserver.org"],
    ["did:plc:z72i7", "bluesky:did%3Aplc%3Az72i7"],
    ["29:1bSnHZ", "the-channel:29%3A1bSnHZ"],
    ["https://example.org/@ann", "the-channel:https%3A//example.org/@ann"],
  ])("the error for %j says to write %s, which links", (id, written) => {
    const policy = (identityLinks: IdentityLinks): ScopePolicy => ({ dmScope: "per-peer", identityLinks });
    expect(() => resolveSessionKey(from("x", "1"), policy({ alice: [id] }))).toThrow(` ${written},`);
    const [channel = "", ...rest] = written.split(":");
    const address = from(channel, decodeURIComponent(rest.join(":")));
    expect(resolveSessionKey(address, policy({ alice: [written] }))).toBe("agent:main:dm:alice");
  });

  test.each(["web chat:1", "telegram@work:1", "x2:+49170", "matrix:!x", "tel:+49170", "irc:libera:#ann", "web: 1"])(
    "%j is a channel and an id",
    (id) => {
      expect(() => resolveSessionKey(from("x", "1"), { identityLinks: { alice: [id] } })).not.toThrow();
    },
  );

  test("the same id twice for one person is no contradiction", () => {
    const identityLinks = { alice: ["telegram:1", "telegram:1", "telegram:work:1"] };
    expect(resolveSessionKey(from("telegram", "1"), { dmScope: "per-peer", identityLinks })).toBe(
      "agent:main:dm:alice",
    );
  });

  test("a person called __proto__ is refused in a file instead of being dropped unseen", () => {
    const links: unknown = JSON.parse('{"__proto__": ["telegram:1"]}');
    expect(() => parseConfig({ session: { identityLinks: links } })).toThrow(InvalidConfigError);
  });
});
