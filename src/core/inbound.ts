import { z } from "zod";
import { InvalidMessageError, isSessionError } from "../errors.js";
import type { Address, CheckedAddress } from "./address.js";
import type { CompiledScopePolicy } from "./dm-scope.js";
import { copyJson, jsonBytes } from "./json.js";
import type { SessionKey } from "./key.js";
import { type ContentPart, contentSchema, describeIssues, saysNothing } from "./message.js";

/** A message from a person: an address and what was said. */
export interface InboundMessage {
  /** The platform: `telegram`, `discord`, … */
  channel: string;
  /** `direct` is accepted for `dm`. */
  chatType: "dm" | "direct" | "group";
  /** The bot's identity on the channel. Default `default`. */
  accountId?: string | undefined;
  /** Who answers. Default: the config's default agent. */
  agentId?: string | undefined;
  /** In a dm: the person. */
  peerId?: string | undefined;
  /** In a group: the room. */
  groupId?: string | undefined;
  /** In a group: the thread. */
  topicId?: string | undefined;
  /** Who spoke. In a dm: the peer, unless said otherwise. */
  sender?: { id: string; name?: string | undefined } | undefined;
  /** What was said: this or `content`. At most 1 MiB. */
  text?: string | undefined;
  content?: ContentPart[] | undefined;
  /** The platform's id of the message: a second message with it is a redelivery and changes nothing. At most 256 characters. */
  messageId?: string | undefined;
  /** When it was said: ISO 8601, milliseconds since 1970, or a Date. Default: now. */
  timestamp?: string | number | Date | undefined;
  /** In a group: whether the message names the agent. */
  mentioned?: boolean | undefined;
  /** Whatever the channel needs to answer: handed back to its hook untouched and never stored. */
  route?: unknown;
}

/** What was said, checked, with what follows from it. */
export interface CheckedInbound {
  key: SessionKey;
  address: CheckedAddress;
  content: string | ContentPart[];
  /** The words alone, when the message is nothing but words: only then can it be a command. */
  text: string | undefined;
  sender: { id: string; name?: string } | undefined;
  messageId: string | undefined;
  timestamp: string | undefined;
  mentioned: boolean;
  route: unknown;
}

/** The largest message in bytes of JSON. Platforms stop far below; a larger one is an accident or an attack. */
export const MAX_MESSAGE_BYTES = 1_048_576;

// Below this a number of milliseconds lies before 1973: it was meant in seconds, as Telegram's `date` is.
const FIRST_PLAUSIBLE_MS = 100_000_000_000;

// Date reads any text that ends in a number as some year.
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/;

// What a person can say. A tool result from outside would pass for the outcome of a call of the agent's.
const SPOKEN: ReadonlySet<ContentPart["type"]> = new Set(["text", "image", "file"]);

// Clocks of platforms differ from ours, and by less than this.
const ONE_DAY_MS = 86_400_000;

const optionalText = z.string().optional();

const inboundSchema = z.strictObject({
  channel: z.string(),
  chatType: z.enum(["dm", "direct", "group"]),
  accountId: optionalText,
  agentId: optionalText,
  peerId: optionalText,
  groupId: optionalText,
  topicId: optionalText,
  sender: z.strictObject({ id: z.string().min(1).max(512), name: z.string().max(512).optional() }).optional(),
  text: optionalText,
  content: contentSchema.optional(),
  messageId: z.string().min(1).max(256).optional(),
  timestamp: z.union([z.string(), z.number(), z.date()]).optional(),
  mentioned: z.boolean().optional(),
  route: z.unknown().optional(),
});

/** @throws InvalidMessageError saying what is missing, mixed up, of the wrong type or too large. Nothing has been stored. */
export function checkInbound(
  inbound: InboundMessage,
  scope: CompiledScopePolicy,
  now = Number.POSITIVE_INFINITY,
): CheckedInbound {
  const result = inboundSchema.safeParse(inbound);
  if (!result.success) {
    const wrongId = result.error.issues.some(({ path }) => /Id$/.test(String(path[0])));
    throw refusal(`${describeIssues(result.error)}.${wrongId ? " Ids are text: pass String(id)." : ""}`);
  }
  const message = result.data;
  if ((message.text === undefined) === (message.content === undefined)) {
    throw refusal(
      message.text === undefined ? "neither text nor content is given." : "give text or content, not both.",
    );
  }
  const content = message.text ?? asWritten(message.content);
  if (saysNothing(content)) throw refusal("it says nothing: text or content is empty.");
  if (typeof content !== "string" && !content.every((part) => SPOKEN.has(part.type))) {
    throw refusal("content may hold text, image and file parts; tool traffic and reasoning are the model's.");
  }
  checkSize(content);
  const { address, key } = locate(message as InboundMessage, scope);
  const sender = message.sender ?? (address.chatType === "dm" ? { id: address.peerId } : undefined);
  return {
    key,
    address,
    content,
    text: plainText(content),
    sender:
      sender === undefined ? undefined : { id: sender.id, ...(sender.name === undefined ? {} : { name: sender.name }) },
    messageId: message.messageId,
    timestamp: message.timestamp === undefined ? undefined : isoTime(message.timestamp, now),
    mentioned: message.mentioned ?? false,
    route: message.route,
  };
}

// Cut off from what the host holds, and as a transcript keeps it: an object may be written as something else than it shows.
function asWritten(content: unknown): string | ContentPart[] {
  let copy: unknown;
  try {
    copy = copyJson(content);
  } catch (cause) {
    throw refusal("content: it cannot be written as JSON.", cause);
  }
  const result = contentSchema.safeParse(copy);
  if (!result.success) throw refusal(`content: ${describeIssues(result.error)}.`);
  return result.data as string | ContentPart[];
}

function locate(message: InboundMessage, scope: CompiledScopePolicy): { address: CheckedAddress; key: SessionKey } {
  const { channel, chatType, accountId, agentId, peerId, groupId, topicId } = message;
  try {
    const address = scope.check({ channel, chatType, accountId, agentId, peerId, groupId, topicId } as Address);
    return { address, key: scope.resolve(address) };
  } catch (cause) {
    if (!isSessionError(cause, "INVALID_SESSION_KEY")) throw cause;
    throw refusal(cause.message, cause);
  }
}

function checkSize(content: string | ContentPart[]): void {
  let bytes: number;
  try {
    bytes = jsonBytes(content);
  } catch (cause) {
    throw refusal("its content cannot be written as JSON.", cause);
  }
  if (bytes > MAX_MESSAGE_BYTES) {
    throw refusal(
      `it takes ${bytes} bytes as JSON; at most ${MAX_MESSAGE_BYTES} are accepted. Pass large media by url.`,
    );
  }
}

function plainText(content: string | ContentPart[]): string | undefined {
  if (typeof content === "string") return content;
  return content.every((part) => part.type === "text") ? content.map((part) => part.text).join("") : undefined;
}

function isoTime(timestamp: string | number | Date, now: number): string {
  if (typeof timestamp === "number" && Math.abs(timestamp) < FIRST_PLAUSIBLE_MS) {
    throw refusal("timestamp is a number of milliseconds; this one looks like seconds. Multiply it by 1000.");
  }
  const date = new Date(timestamp);
  if (Number.isNaN(date.getTime()) || (typeof timestamp === "string" && !ISO_TIME.test(timestamp)))
    throw refusal("timestamp is not a time.");
  // It would stand as the latest activity of its session, before every real one, until that day.
  if (date.getTime() > now + ONE_DAY_MS) throw refusal("timestamp lies in the future.");
  return date.toISOString();
}

function refusal(why: string, cause?: unknown): InvalidMessageError {
  return new InvalidMessageError(`The message was not accepted: ${why}`, { operation: "handle", cause });
}
