import fc from "fast-check";
import type { Address, ParsedSessionKey } from "../../src/core.js";

/** Ids that have broken a key, a path, a terminal or an object somewhere. */
export const HOSTILE_IDS = [
  ":",
  "%",
  "%3A",
  "%253A",
  "a:b",
  ":lead",
  "trail:",
  "a::b",
  "/",
  "..",
  "../../etc/passwd",
  "a\\b",
  "CON",
  "NUL",
  "__proto__",
  "constructor",
  "toString",
  "@Alice",
  "@alice",
  "\u00fc",
  "u\u0308",
  "\u212aelvin",
  "Kelvin",
  "\u0130",
  " ",
  " 42 ",
  "\t",
  "new\nline",
  "a\u0000b",
  "\u001b[31mred",
  "\u007f",
  "\u0085",
  "\u009b2J",
  "\u202egnp.exe",
  "\u05e9\u05dc\u05d5\u05dd",
  "\u200b",
  "\ufeff",
  "\u2028",
  "😀",
  "👩‍👩‍👧‍👦",
  "main",
  "dm",
  "direct",
  "group",
  "topic",
  "subagent",
  "agent",
  "default",
  "42:thread:7",
  "x:topic:9",
  "dm:42",
  "agent:other:main",
  '"',
] as const;

/** Texts no segment can be: nothing at all, and half of a character. */
export const BROKEN_IDS = ["", "\ud800", "\udc00", "a\ud83d", "\ude00b"] as const;

const isWellFormed = (text: string) => text !== "" && !/\p{Surrogate}/u.test(text);

// Made of the pieces of the grammar, so that two of them are often one step away from reading the same.
const confusableId = fc
  .array(fc.constantFrom(":", "%", "3A", "%3A", "dm", "group", "topic", "main", "a", "A", "/", "1", "\n"), {
    minLength: 1,
    maxLength: 3,
  })
  .map((pieces) => pieces.join(""));

const arbitraryText = fc
  .array(fc.integer({ min: 0, max: 0xffff }), { minLength: 1, maxLength: 16 })
  .map((units) => String.fromCharCode(...units))
  .filter(isWellFormed);

/** Any id a platform or an attacker could come up with, short enough that four of them fit in a key. */
export const anyId: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...HOSTILE_IDS),
  confusableId,
  arbitraryText,
  fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }).filter(isWellFormed),
);

const RESERVED = ["main", "dm", "group", "topic", "subagent"];

/** An id that may name a channel or an account. */
const anyPlace: fc.Arbitrary<string> = anyId.filter((id) => !RESERVED.includes(id));

export const anyAgentId: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom("main", "coder", "dm", "0"),
  fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,63}$/),
);

export const anyParsedKey: fc.Arbitrary<ParsedSessionKey> = fc.oneof(
  fc.record({ kind: fc.constant("main" as const), agentId: anyAgentId, mainKey: anyAgentId }),
  fc.record({ kind: fc.constant("dm" as const), agentId: anyAgentId, peerId: anyId }),
  fc.record(
    { kind: fc.constant("dm" as const), agentId: anyAgentId, channel: anyPlace, accountId: anyPlace, peerId: anyId },
    { requiredKeys: ["kind", "agentId", "channel", "peerId"] },
  ),
  fc.record(
    {
      kind: fc.constant("group" as const),
      agentId: anyAgentId,
      channel: anyPlace,
      accountId: anyPlace,
      groupId: anyId,
      topicId: anyId,
    },
    { requiredKeys: ["kind", "agentId", "channel", "groupId"] },
  ),
  fc.record({ kind: fc.constant("subagent" as const), agentId: anyAgentId, subagentId: anyId }),
);

export type DmAddress = Extract<Address, { peerId: string }>;
type GroupAddress = Extract<Address, { groupId: string }>;

function addressOf(place: fc.Arbitrary<string>, id: fc.Arbitrary<string>, agentId: fc.Arbitrary<string>) {
  const dm: fc.Arbitrary<DmAddress> = fc.record(
    {
      chatType: fc.constantFrom("dm" as const, "direct" as const),
      channel: place,
      accountId: place,
      agentId,
      peerId: id,
    },
    { requiredKeys: ["chatType", "channel", "peerId"] },
  );
  const group: fc.Arbitrary<GroupAddress> = fc.record(
    { chatType: fc.constant("group" as const), channel: place, accountId: place, agentId, groupId: id, topicId: id },
    { requiredKeys: ["chatType", "channel", "groupId"] },
  );
  return { dm, group };
}

const wide = addressOf(anyPlace, anyId, anyAgentId);
export const anyDm: fc.Arbitrary<DmAddress> = wide.dm;
export const anyAddress: fc.Arbitrary<Address> = fc.oneof(wide.dm, wide.group);

// Few values for every part: two addresses are often the same, or differ in one place only.
const narrow = addressOf(
  fc.constantFrom("a", "A", "a:b", "b", "default"),
  fc.constantFrom("1", "1:topic:2", "topic", "dm:1", "b:dm:1", "\u00fc", "u\u0308"),
  fc.constantFrom("main", "coder"),
);
const narrowAddress: fc.Arbitrary<Address> = fc.oneof(narrow.dm, narrow.group);

const PARTS = ["channel", "accountId", "agentId", "peerId", "groupId", "topicId"] as const;

// The first again, with some of its parts taken from a second.
function altered<T extends Address>(address: fc.Arbitrary<T>): fc.Arbitrary<[T, T]> {
  return fc.tuple(address, address, fc.subarray([...PARTS], { maxLength: 2 })).map(([a, other, parts]) => {
    const taken = Object.fromEntries(
      parts.flatMap((part) => (part in a && part in other ? [[part, other[part as keyof T]]] : [])),
    );
    return [a, { ...a, ...taken }];
  });
}

/** Two addresses that are often equal or nearly so. */
export const addressPair: fc.Arbitrary<[Address, Address]> = fc.oneof(
  altered(narrow.dm),
  altered(narrow.group),
  fc.tuple(narrowAddress, narrowAddress),
  fc.tuple(anyAddress, anyAddress),
);

/** Two DM addresses that are often equal or nearly so. */
export const dmPair: fc.Arbitrary<[DmAddress, DmAddress]> = fc.oneof(
  altered(narrow.dm),
  fc.tuple(narrow.dm, narrow.dm),
  fc.tuple(anyDm, anyDm),
);
