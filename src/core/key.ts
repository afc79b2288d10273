import { InvalidSessionKeyError } from "../errors.js";
import { assertSegment, escapeSegment, unescapeSegment } from "./segment.js";

/**
 * The stable name of a conversation.
 *
 * ```text
 * key      = "agent:" agentId ":" body
 * body     = mainKey                                         agent:main:main
 *          | channel ":dm:" peer                             agent:main:telegram:dm:123456789
 *          | channel ":" account ":dm:" peer                 agent:main:telegram:work:dm:42
 *          | "dm:" identity                                  agent:main:dm:alice
 *          | channel ":group:" group [":topic:" topic]       agent:main:telegram:group:-1001234567890:topic:42
 *          | channel ":" account ":group:" group [":topic:" topic]
 *          | "subagent:" id                                  agent:main:subagent:a1b2c3d4
 * agentId  = [a-z0-9][a-z0-9_-]{0,63}
 * ```
 *
 * Every segment after the agent is opaque: never trimmed, folded or guessed. `:`, `%` and control characters inside a
 * segment are percent-escaped; everything else stands as it is. The number of segments and the fixed words tell the
 * forms apart, so formatting is a bijection and no platform id can pose as another form.
 */
export type SessionKey = string & { readonly __sessionKey: unique symbol };

/** The parts of a session key. `peerId` without `channel` is a person known across channels (an identity link). */
export type ParsedSessionKey =
  | { kind: "main"; agentId: string; mainKey: string }
  | { kind: "dm"; agentId: string; peerId: string; channel?: string; accountId?: string }
  | { kind: "group"; agentId: string; channel: string; groupId: string; topicId?: string; accountId?: string }
  | { kind: "subagent"; agentId: string; subagentId: string };

/** The longest key in bytes of UTF-8, so that a key fits wherever a path component or an index row must. */
export const MAX_KEY_BYTES = 1024;

const AGENT_ID = /^[a-z0-9][a-z0-9_-]{0,63}$/;

// These words stand at fixed places in a key. As a channel or an account they would make two forms look alike.
const RESERVED: ReadonlySet<string> = new Set(["main", "dm", "group", "topic", "subagent"]);

/** Whether a text can name an agent: it is also the name of a directory. */
export function isAgentId(value: unknown): value is string {
  return typeof value === "string" && AGENT_ID.test(value);
}

/** Throws unless `value` can name an agent; `name` says which field it came from. */
export function assertAgentId(value: unknown, name = "agentId"): asserts value is string {
  if (!isAgentId(value)) {
    throw new InvalidSessionKeyError(
      `${name} must be 1 to 64 characters of a-z, 0-9, "_" and "-", starting with a letter or digit; it is also a directory name.`,
    );
  }
}

/** Throws unless `value` can be a channel or an account: an opaque id that is none of the words of the key grammar. */
export function assertPlace(value: unknown, name: string): asserts value is string {
  assertSegment(value, name);
  if (RESERVED.has(value)) {
    throw new InvalidSessionKeyError(
      `${name} must not be one of ${[...RESERVED].join(", ")}: these words structure session keys.`,
    );
  }
}

/**
 * Writes a key from its parts.
 * @throws InvalidSessionKeyError when a part is missing, empty, malformed or reserved, or the key exceeds 1,024 bytes.
 */
export function formatSessionKey(parsed: ParsedSessionKey): SessionKey {
  assertAgentId(parsed.agentId);
  const text = ["agent", parsed.agentId, ...bodySegments(parsed).map(escapeSegment)].join(":");
  if (byteLength(text) > MAX_KEY_BYTES) {
    throw new InvalidSessionKeyError(
      `The session key would exceed ${MAX_KEY_BYTES} bytes; an id this long is not a platform's.`,
    );
  }
  return text as SessionKey;
}

/**
 * Reads a key into its parts. `parseSessionKey(formatSessionKey(x))` gives `x` back.
 * @throws InvalidSessionKeyError when the text is not exactly what `formatSessionKey` writes: nothing is repaired.
 */
export function parseSessionKey(text: string): ParsedSessionKey {
  const parsed = typeof text === "string" ? tryParse(text) : undefined;
  if (parsed === undefined) {
    throw new InvalidSessionKeyError(
      "Not a session key. A key reads like agent:main:telegram:dm:123456789; a `:` or `%` inside an id is written %3A or %25.",
    );
  }
  return parsed;
}

/** Whether a value is a canonical session key. */
export function isSessionKey(value: unknown): value is SessionKey {
  return typeof value === "string" && tryParse(value) !== undefined;
}

function bodySegments(parsed: ParsedSessionKey): string[] {
  switch (parsed.kind) {
    case "main":
      assertAgentId(parsed.mainKey, "mainKey");
      return [parsed.mainKey];
    case "dm":
      assertSegment(parsed.peerId, "peerId");
      if (parsed.channel === undefined) {
        if (parsed.accountId !== undefined)
          throw new InvalidSessionKeyError("A dm key with an accountId needs its channel too.");
        return ["dm", parsed.peerId];
      }
      return [...placeSegments(parsed.channel, parsed.accountId), "dm", parsed.peerId];
    case "group": {
      const segments = placeSegments(parsed.channel, parsed.accountId);
      assertSegment(parsed.groupId, "groupId");
      segments.push("group", parsed.groupId);
      if (parsed.topicId !== undefined) {
        assertSegment(parsed.topicId, "topicId");
        segments.push("topic", parsed.topicId);
      }
      return segments;
    }
    case "subagent":
      assertSegment(parsed.subagentId, "subagentId");
      return ["subagent", parsed.subagentId];
    default:
      throw new InvalidSessionKeyError("A parsed key's kind must be main, dm, group or subagent.");
  }
}

function placeSegments(channel: unknown, accountId: unknown): string[] {
  assertPlace(channel, "channel");
  if (accountId === undefined) return [channel];
  assertPlace(accountId, "accountId");
  return [channel, accountId];
}

function tryParse(text: string): ParsedSessionKey | undefined {
  if (byteLength(text) > MAX_KEY_BYTES) return undefined;
  const [word, agentId, ...raw] = text.split(":");
  if (word !== "agent" || !isAgentId(agentId)) return undefined;
  const body: string[] = [];
  for (const segment of raw) {
    const value = unescapeSegment(segment);
    if (value === undefined) return undefined;
    body.push(value);
  }
  return matchBody(agentId, body);
}

function matchBody(agentId: string, body: string[]): ParsedSessionKey | undefined {
  const [first, second] = body as [string | undefined, string | undefined];
  if (first === undefined) return undefined;
  if (second === undefined) return isAgentId(first) ? { kind: "main", agentId, mainKey: first } : undefined;
  if (body.length === 2) {
    if (first === "dm") return { kind: "dm", agentId, peerId: second };
    if (first === "subagent") return { kind: "subagent", agentId, subagentId: second };
    return undefined;
  }
  const hasAccount = second !== "dm" && second !== "group";
  if (RESERVED.has(first) || (hasAccount && RESERVED.has(second))) return undefined;
  const place = hasAccount ? { channel: first, accountId: second } : { channel: first };
  const [word, id, topicWord, topicId, ...rest] = body.slice(hasAccount ? 2 : 1);
  if (id === undefined || rest.length > 0) return undefined;
  if (word === "dm" && topicWord === undefined) return { kind: "dm", agentId, peerId: id, ...place };
  if (word !== "group") return undefined;
  if (topicWord === undefined) return { kind: "group", agentId, groupId: id, ...place };
  if (topicWord !== "topic" || topicId === undefined) return undefined;
  return { kind: "group", agentId, groupId: id, topicId, ...place };
}

function byteLength(text: string): number {
  // A UTF-16 unit is at least one byte, so a long text need not be encoded to be refused.
  return text.length > MAX_KEY_BYTES ? text.length : new TextEncoder().encode(text).length;
}
