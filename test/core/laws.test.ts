import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkAddress, formatAddress, parseAddress } from "../../src/core/address.js";
import { escapeSegment, unescapeSegment } from "../../src/core/segment.js";
import {
  type Address,
  DM_SCOPES,
  type DmScope,
  formatSessionKey,
  type IdentityLinks,
  InvalidSessionKeyError,
  isSessionKey,
  parseSessionKey,
  resolveSessionKey,
} from "../../src/core.js";
import {
  addressPair,
  anyAddress,
  anyAgentId,
  anyDm,
  anyId,
  anyParsedKey,
  BROKEN_IDS,
  type DmAddress,
  dmPair,
} from "./arbitraries.js";

const SEPARATING = DM_SCOPES.filter((scope) => scope !== "main");
const anyScope = fc.constantFrom(...DM_SCOPES);
const anySeparatingScope = fc.constantFrom(...SEPARATING);
const many = { numRuns: 2000 };

const isDm = (address: Address): address is DmAddress => address.chatType !== "group";
const account = (address: Address) => address.accountId ?? "default";
const agent = (address: Address) => address.agentId ?? "main";

/** The table of what each scope means, written without looking at how keys are made. */
function share(a: Address, b: Address, scope: DmScope): boolean {
  if (agent(a) !== agent(b) || isDm(a) !== isDm(b)) return false;
  if (isDm(a) && scope === "main") return true;
  if (a.channel !== b.channel) return false;
  if (scope === "per-account-channel-peer" && account(a) !== account(b)) return false;
  if (isDm(a) && isDm(b)) return a.peerId === b.peerId;
  return !isDm(a) && !isDm(b) && a.groupId === b.groupId && a.topicId === b.topicId;
}

describe("G3 keys are a bijection", () => {
  test("parsing a key gives back the parts it was made of", () => {
    fc.assert(
      fc.property(anyParsedKey, (parsed) => {
        const key = formatSessionKey(parsed);
        expect(parseSessionKey(key)).toEqual(parsed);
        expect(formatSessionKey(parseSessionKey(key))).toBe(key);
      }),
      many,
    );
  });

  test("different parts make different keys", () => {
    fc.assert(
      fc.property(anyParsedKey, anyParsedKey, (a, b) => {
        const parts = (parsed: object) => JSON.stringify(Object.entries(parsed).sort());
        const equal = parts(a) === parts(b);
        expect(formatSessionKey(a) === formatSessionKey(b)).toBe(equal);
      }),
      many,
    );
  });

  test("a text that parses is exactly what its parts format to", () => {
    const piece = fc.constantFrom(
      "agent",
      "main",
      "dm",
      "group",
      "topic",
      "subagent",
      "a",
      "",
      "%3A",
      "%3a",
      "%",
      "%41",
      "\n",
    );
    const text = fc.oneof(
      fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(":")),
      fc.array(piece, { maxLength: 7 }).map((pieces) => ["agent", "main", ...pieces].join(":")),
      fc.tuple(anyParsedKey, fc.nat(), anyId).map(([parsed, at, id]) => {
        const key = formatSessionKey(parsed);
        return key.slice(0, at % key.length) + id + key.slice(at % key.length);
      }),
    );
    fc.assert(
      fc.property(text, (candidate) => {
        if (isSessionKey(candidate)) expect(formatSessionKey(parseSessionKey(candidate))).toBe(candidate);
        else expect(() => parseSessionKey(candidate)).toThrow(InvalidSessionKeyError);
      }),
      many,
    );
  });

  test("a segment is a bijection too, and holds nothing that structures a key", () => {
    fc.assert(
      fc.property(anyId, (id) => {
        expect(unescapeSegment(escapeSegment(id))).toBe(id);
        expect(escapeSegment(id)).not.toMatch(/[:\p{Cc}]/u);
      }),
      many,
    );
  });

  test("an address as text is one too", () => {
    fc.assert(
      fc.property(anyAddress, (address) => {
        const checked = checkAddress({ ...address, agentId: undefined });
        expect(parseAddress(formatAddress(checked))).toEqual(checked);
      }),
      many,
    );
  });

  test("an id as long as 900 bytes is kept whole, one of 10 kB is refused", () => {
    const long = (bytes: number) =>
      fc
        .constantFrom("x", "0", "é", "模", "😀", " ")
        .map((char) => char.repeat(Math.floor(bytes / Buffer.byteLength(char))));
    fc.assert(
      fc.property(long(900), long(10_000), anyScope, (id, endless, dmScope) => {
        const parsed = { kind: "dm", agentId: "main", channel: "x", peerId: id } as const;
        expect(parseSessionKey(formatSessionKey(parsed))).toEqual(parsed);
        expect(() => formatSessionKey({ ...parsed, peerId: endless })).toThrow(InvalidSessionKeyError);
        const address = { chatType: "dm", channel: "x", peerId: endless } as const;
        expect(() => resolveSessionKey(address, { dmScope })).toThrow(InvalidSessionKeyError);
      }),
    );
  });
});

describe("G3 addresses share a key exactly when the table says so", () => {
  test.each(DM_SCOPES)("under %s", (dmScope) => {
    let shared = 0;
    fc.assert(
      fc.property(addressPair, ([a, b]) => {
        const equal = resolveSessionKey(a, { dmScope }) === resolveSessionKey(b, { dmScope });
        expect(equal).toBe(share(a, b, dmScope));
        if (equal) shared += 1;
      }),
      { numRuns: 4000 },
    );
    expect(shared).toBeGreaterThan(100);
  });

  test("under per-account-channel-peer different addresses have different keys", () => {
    fc.assert(
      fc.property(addressPair, ([a, b]) => {
        const key = (address: Address) => resolveSessionKey(address, { dmScope: "per-account-channel-peer" });
        expect(key(a) === key(b)).toBe(JSON.stringify(checkAddress(a)) === JSON.stringify(checkAddress(b)));
      }),
      many,
    );
  });

  test("topics of a group share its key when threads are shared, and nothing else changes", () => {
    fc.assert(
      fc.property(addressPair, anyScope, ([a, b], dmScope) => {
        const key = (address: Address) => resolveSessionKey(address, { dmScope, threads: "shared" });
        const whole = (address: Address): Address => (isDm(address) ? address : { ...address, topicId: undefined });
        expect(key(a) === key(b)).toBe(share(whole(a), whole(b), dmScope));
      }),
      many,
    );
  });
});

describe("G2 nothing falls back to the shared session", () => {
  test("under any scope but main different unlinked people have different keys, none of them main", () => {
    fc.assert(
      fc.property(
        anyDm,
        anyDm,
        anySeparatingScope,
        fc.dictionary(anyId, fc.constant(["nowhere:nobody"]), { maxKeys: 1 }),
        (a, b, dmScope, identityLinks) => {
          const [first, second] = [a, b].map((address) => resolveSessionKey(address, { dmScope, identityLinks }));
          if (a.peerId !== b.peerId) expect(first).not.toBe(second);
          expect(parseSessionKey(first as string)).toMatchObject({ kind: "dm", channel: a.channel, peerId: a.peerId });
        },
      ),
      many,
    );
  });

  test("a group is never the shared session, whatever the scope", () => {
    fc.assert(
      fc.property(anyAddress, anyScope, anyAgentId, (address, dmScope, mainKey) => {
        const { kind } = parseSessionKey(resolveSessionKey(address, { dmScope, mainKey }));
        expect(kind).toBe(isDm(address) ? (dmScope === "main" ? "main" : "dm") : "group");
      }),
      many,
    );
  });

  test("an address with one part broken or missing throws", () => {
    const broken = fc.constantFrom<unknown>(...BROKEN_IDS, undefined, null, 42, {});
    const part = fc.constantFrom("channel", "peerId", "groupId", "topicId", "accountId", "agentId");
    fc.assert(
      fc.property(anyAddress, part, broken, anyScope, (address, name, value, dmScope) => {
        fc.pre(value !== undefined || !["accountId", "agentId", "topicId"].includes(name));
        fc.pre(value !== undefined || name in address);
        const spoilt = { ...address, [name]: value } as Address;
        expect(() => resolveSessionKey(spoilt, { dmScope })).toThrow(InvalidSessionKeyError);
      }),
      many,
    );
  });
});

describe("G29 linked people", () => {
  // A few ids dealt out to three people; what is left over belongs to nobody.
  const IDS = ["a", "b"].flatMap((channel) => ["1", "alice", "b:1"].map((id) => ({ channel, id })));
  const dealt = fc.array(fc.constantFrom("alice", "bob", "1", undefined), {
    minLength: IDS.length,
    maxLength: IDS.length,
  });

  function deal(owners: (string | undefined)[]) {
    const owner = new Map(IDS.map(({ channel, id }, n) => [JSON.stringify([channel, id]), owners[n]]));
    const identityLinks: IdentityLinks = Object.fromEntries(
      ["alice", "bob", "1"].map((name) => [
        name,
        IDS.filter((_, n) => owners[n] === name).map(({ channel, id }) => `${channel}:${escapeSegment(id)}`),
      ]),
    );
    return { identityLinks, owner: ({ channel, peerId }: DmAddress) => owner.get(JSON.stringify([channel, peerId])) };
  }

  test.each(SEPARATING)("under %s two share a session exactly when they are one person in one place", (dmScope) => {
    const someone = fc.record({
      chatType: fc.constant("dm" as const),
      channel: fc.constantFrom("a", "b", "alice"),
      accountId: fc.constantFrom("default", "work"),
      peerId: fc.constantFrom("1", "alice", "b:1", "bob"),
    });
    fc.assert(
      fc.property(dealt, someone, someone, (owners, a, b) => {
        const { identityLinks, owner } = deal(owners);
        const key = (address: DmAddress) => resolveSessionKey(address, { dmScope, identityLinks });
        const samePerson =
          owner(a) === undefined || owner(b) === undefined
            ? owner(a) === owner(b) && a.channel === b.channel && a.peerId === b.peerId
            : owner(a) === owner(b);
        const samePlace =
          (dmScope === "per-peer" || a.channel === b.channel) &&
          (dmScope !== "per-account-channel-peer" || a.accountId === b.accountId);
        expect(key(a) === key(b)).toBe(samePerson && samePlace);
      }),
      many,
    );
  });

  test("unlinked pairs fare as if there were no links at all", () => {
    fc.assert(
      fc.property(dmPair, anySeparatingScope, ([a, b], dmScope) => {
        const identityLinks = { someone: ["elsewhere:1", "elsewhere:2"] };
        expect(resolveSessionKey(a, { dmScope, identityLinks })).toBe(resolveSessionKey(a, { dmScope }));
        expect(
          resolveSessionKey(a, { dmScope, identityLinks }) === resolveSessionKey(b, { dmScope, identityLinks }),
        ).toBe(share(a, b, dmScope));
      }),
      many,
    );
  });
});
