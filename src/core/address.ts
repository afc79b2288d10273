import { InvalidSessionKeyError } from "../errors.js";
import { assertAgentId, assertPlace, MAX_KEY_BYTES } from "./key.js";
import { assertSegment, escapeSegment, unescapeSegment } from "./segment.js";

/**
 * Where an inbound message came from, before scoping. `direct` is accepted for `dm`.
 *
 * An absent `accountId` counts as `default`, an absent `agentId` as `main`. Nothing else is ever filled in: a missing
 * `peerId` or `groupId` is an error, because a guess would put one person's words into another's conversation.
 */
export type Address =
  | {
      chatType: "dm" | "direct";
      channel: string;
      peerId: string;
      accountId?: string | undefined;
      agentId?: string | undefined;
    }
  | {
      chatType: "group";
      channel: string;
      groupId: string;
      topicId?: string | undefined;
      accountId?: string | undefined;
      agentId?: string | undefined;
    };

/** The account an address is on when the host has only one and names none. */
export const DEFAULT_ACCOUNT = "default";

/** The agent that answers when neither the address nor the config names one. */
export const DEFAULT_AGENT = "main";

/** An address with its parts checked and its defaults filled in. */
export type CheckedAddress =
  | { chatType: "dm"; channel: string; peerId: string; accountId: string; agentId: string }
  | {
      chatType: "group";
      channel: string;
      groupId: string;
      topicId: string | undefined;
      accountId: string;
      agentId: string;
    };

/** @throws InvalidSessionKeyError naming the part that is missing or malformed. */
export function checkAddress(address: Address, defaultAgentId: string = DEFAULT_AGENT): CheckedAddress {
  if (typeof address !== "object" || address === null)
    throw new InvalidSessionKeyError("An address must be an object.");
  const checked = checkParts(address, defaultAgentId);
  // Also where no part of it reaches the key, as under dmScope `main`: the address is kept with every message.
  if (new TextEncoder().encode(formatAddress(checked)).length > MAX_KEY_BYTES) {
    throw new InvalidSessionKeyError(
      `The address exceeds ${MAX_KEY_BYTES} bytes; an id this long is not a platform's.`,
    );
  }
  return checked;
}

function checkParts(address: Address, defaultAgentId: string): CheckedAddress {
  const { chatType, channel, accountId = DEFAULT_ACCOUNT, agentId = defaultAgentId } = address;
  assertAgentId(agentId);
  assertPlace(channel, "channel");
  assertPlace(accountId, "accountId");
  const parts = address as { peerId?: unknown; groupId?: unknown; topicId?: unknown };
  if (chatType === "dm" || chatType === "direct") {
    assertSegment(parts.peerId, "peerId");
    refuse(parts.groupId, "groupId", "a dm");
    refuse(parts.topicId, "topicId", "a dm");
    return { chatType: "dm", channel, peerId: parts.peerId, accountId, agentId };
  }
  if (chatType === "group") {
    assertSegment(parts.groupId, "groupId");
    refuse(parts.peerId, "peerId", "a group (who spoke goes into `sender`)");
    if (parts.topicId !== undefined) assertSegment(parts.topicId, "topicId");
    return { chatType, channel, groupId: parts.groupId, topicId: parts.topicId, accountId, agentId };
  }
  throw new InvalidSessionKeyError('chatType must be "dm" (or "direct") or "group".');
}

/**
 * The address as one text: `telegram:default:dm:42`. Always with its account, so that two accounts whose platforms number
 * their messages alike never share a message id.
 */
export function formatAddress(address: CheckedAddress): string {
  const place = [address.channel, address.accountId];
  const rest =
    address.chatType === "dm"
      ? ["dm", address.peerId]
      : ["group", address.groupId, ...(address.topicId === undefined ? [] : ["topic", address.topicId])];
  return [...place, ...rest].map(escapeSegment).join(":");
}

/** Reads what `formatAddress` wrote; its agent is not part of it. `undefined` for any other text. */
export function parseAddress(text: string): CheckedAddress | undefined {
  const [channel, accountId, word, id, , topicId] = text.split(":").map(unescapeSegment);
  if (channel === undefined || accountId === undefined || id === undefined) return undefined;
  const place = { channel, accountId, agentId: DEFAULT_AGENT };
  const address: CheckedAddress =
    word === "dm" ? { chatType: "dm", peerId: id, ...place } : { chatType: "group", groupId: id, topicId, ...place };
  return formatAddress(address) === text ? address : undefined;
}

function refuse(value: unknown, name: string, where: string): void {
  if (value === undefined) return;
  throw new InvalidSessionKeyError(
    `${name} does not belong in ${where}: the host has mixed up two kinds of chat. Leave it out.`,
  );
}
