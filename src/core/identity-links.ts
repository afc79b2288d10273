import { InvalidConfigError } from "../errors.js";
import type { CheckedAddress } from "./address.js";
import { DEFAULT_ACCOUNT } from "./address.js";
import { assertPlace } from "./key.js";
import { assertSegment, escapeSegment, unescapeSegment } from "./segment.js";

/**
 * Who is the same person where: a person's name to the ids they have, each as `channel:peer` or `channel:account:peer`.
 * A `:` or `%` inside an id is written `%3A` or `%25`, as in a session key (`matrix:@ada%3Aserver.org`).
 *
 * Links come from the operator, never from a message.
 */
export type IdentityLinks = Readonly<Record<string, readonly string[]>>;

interface LinkedId {
  channel: string;
  accountId: string | undefined;
  peerId: string;
}

/** A person an address was linked to. */
interface Identity {
  name: string;
  /** The first id listed for this person on the address's channel (and account, when `accountId` is given). */
  firstPeer(channel: string, accountId?: string): string | undefined;
}

/** Looks up the person behind a DM address, or `undefined` for someone nobody linked. */
export type IdentityLookup = (address: CheckedAddress & { chatType: "dm" }) => Identity | undefined;

/**
 * `accountsApart` says whether the keys can tell two people apart who have the same id on two accounts of a channel. Under
 * `per-channel-peer` they cannot: both would be `channel:dm:id`.
 * @throws InvalidConfigError for a bare id (also one with a colon of its own, such as `@ada:server.org`), a malformed one, or one linked to two people.
 */
export function compileIdentityLinks(links: IdentityLinks = {}, accountsApart = true): IdentityLookup {
  const ids = new Map<string, { identity: Identity; accountId: string | undefined }[]>();
  for (const [name, texts] of Object.entries(links)) {
    const listed = texts.map((text, index) =>
      parseLinkedId(text, `session.identityLinks ${JSON.stringify(name)}[${index}]`),
    );
    const identity: Identity = {
      name,
      firstPeer: (channel, accountId) =>
        listed.find((id) => id.channel === channel && (accountId === undefined || covers(id, accountId)))?.peerId,
    };
    assertName(name);
    for (const id of listed) {
      const slot = JSON.stringify([id.channel, id.peerId]);
      const others = ids.get(slot) ?? [];
      const rival = others.find(
        (other) =>
          other.identity.name !== name &&
          (!accountsApart ||
            other.accountId === undefined ||
            id.accountId === undefined ||
            other.accountId === id.accountId),
      );
      if (rival !== undefined) {
        throw new InvalidConfigError(
          `session.identityLinks gives one id to two people, ${JSON.stringify(rival.identity.name)} and ${JSON.stringify(name)}: ` +
            "they would read each other's conversation. Keep it under one name" +
            (accountsApart ? "." : ", or use dmScope per-account-channel-peer if its accounts tell them apart."),
        );
      }
      ids.set(slot, [...others, { identity, accountId: id.accountId }]);
    }
  }
  return (address) =>
    ids
      .get(JSON.stringify([address.channel, address.peerId]))
      ?.find((id) => id.accountId === undefined || id.accountId === address.accountId)?.identity;
}

function covers(id: LinkedId, accountId: string): boolean {
  return id.accountId === undefined || id.accountId === accountId;
}

function assertName(name: string): void {
  try {
    assertSegment(name, "The name of a person in session.identityLinks");
  } catch (cause) {
    throw new InvalidConfigError((cause as Error).message, { cause });
  }
}

function parseLinkedId(text: string, where: string): LinkedId {
  refuseBareId(text, where);
  const segments = text.split(":").map(unescapeSegment);
  const [channel, middle, last] = segments;
  if (
    channel === undefined ||
    middle === undefined ||
    segments.length > 3 ||
    (segments.length === 3 && last === undefined)
  ) {
    throw new InvalidConfigError(
      `${where} must read channel:peer or channel:account:peer, with a ":" or "%" inside an id written %3A or %25; ` +
        "a bare id could be anyone's on another channel.",
    );
  }
  const linked =
    last === undefined
      ? { channel, accountId: undefined, peerId: middle }
      : { channel, accountId: middle, peerId: last };
  refuseBlanks(linked.channel, where);
  refuseBlanks(linked.accountId, where);
  try {
    assertPlace(linked.channel, "its channel");
    assertPlace(linked.accountId ?? DEFAULT_ACCOUNT, "its account");
  } catch (cause) {
    throw new InvalidConfigError(`${where}: ${(cause as Error).message}`, { cause });
  }
  return linked;
}

// What ids look like whose own colon was not escaped, and what no host calls a channel: ids of Matrix (`@user:server`, `!room:server`,
// `#alias:server`), of WhatsApp (`+49…:2`, `49…:2@…`), of Teams (`29:1bSn…`), of Bluesky (`did:plc:…`), and links to a profile.
const BARE_IDS: readonly { is: RegExp; on: string }[] = [
  { is: /^[@!#][^:]*:/, on: "matrix" },
  { is: /^(?:\+[^:]*|\d+):/, on: "the-channel" },
  { is: /^did:[a-z0-9]+:/, on: "bluesky" },
  { is: /:\/\//, on: "the-channel" },
];

/** Such an id reads as a channel and a peer that nobody has: it would link no one, and nobody would notice. */
function refuseBareId(text: string, where: string): void {
  const bare = BARE_IDS.find(({ is }) => is.test(text));
  if (bare === undefined) return;
  const id = text.split(":").map((part) => unescapeSegment(part) ?? part);
  throw new InvalidConfigError(
    `${where} is an id without its channel. Write ${bare.on}:${escapeSegment(id.join(":"))}, with the name your host has for the channel.`,
  );
}

function refuseBlanks(place: string | undefined, where: string): void {
  if (place === place?.trim()) return;
  throw new InvalidConfigError(`${where} has a blank before or after its channel or account; ids are never trimmed.`);
}
