import { type ContentPart, type Message, saysNothing } from "./message.js";

type ToolResult = Extract<ContentPart, { type: "tool-result" }>;

/** What a call whose outcome was never written down is answered with. */
const LOST_RESULT = "The outcome of this call is unknown: the process ended before it was recorded.";

/**
 * A copy of the messages in which every tool call is followed at once by its result, and every result has its call.
 *
 * Providers refuse anything else, for ever after, so one crash between a call and its result would end the conversation.
 * A result that was never written becomes an error result; one without a call, or a second one, is left out. So are calls
 * that are not the assistant's, and messages that say nothing.
 */
export function pairToolCalls(messages: readonly Message[]): Message[] {
  const paired: Message[] = [];
  for (const [index, message] of messages.entries()) {
    if (message.role === "tool") continue;
    const content = withoutToolTraffic(message);
    if (saysNothing(content)) continue;
    const answered = content === message.content ? message : { ...message, content };
    paired.push(answered);
    const calls = message.role === "assistant" ? callsOf(message) : [];
    if (calls.length > 0) paired.push({ role: "tool", content: resultsFor(calls, messages, index) });
  }
  return paired;
}

/** The calls that a message of the assistant makes. */
export function callIdsOf(message: Pick<Message, "role" | "content">): string[] {
  return message.role === "assistant" ? callsOf(message).map(({ toolCallId }) => toolCallId) : [];
}

/** The calls that a message has the results of. */
export function resultIdsOf({ content }: Pick<Message, "content">): string[] {
  if (typeof content === "string") return [];
  return content.flatMap((part) => (part.type === "tool-result" ? [part.toolCallId] : []));
}

type ToolCall = Extract<ContentPart, { type: "tool-call" }>;

function callsOf(message: Pick<Message, "content">): ToolCall[] {
  if (typeof message.content === "string") return [];
  return message.content.filter((part): part is ToolCall => part.type === "tool-call");
}

function withoutToolTraffic({ role, content }: Message): Message["content"] {
  if (typeof content === "string") return content;
  const kept = content.filter(
    (part) => part.type !== "tool-result" && (role === "assistant" || part.type !== "tool-call"),
  );
  return kept.length === content.length ? content : kept;
}

// Results are looked for from the call's own message, where tools run by the provider leave theirs, up to the next message
// that makes a call of the same id: some providers reuse ids per turn.
function resultsFor(calls: readonly ToolCall[], messages: readonly Message[], from: number): ToolResult[] {
  const wanted = new Map(calls.map((call) => [call.toolCallId, undefined as ToolResult | undefined]));
  for (const [distance, message] of messages.slice(from).entries()) {
    if (distance > 0 && message.role === "assistant" && callsOf(message).some((call) => wanted.has(call.toolCallId)))
      break;
    if (typeof message.content === "string") continue;
    for (const part of message.content) {
      if (part.type === "tool-result" && wanted.has(part.toolCallId) && wanted.get(part.toolCallId) === undefined) {
        wanted.set(part.toolCallId, part);
      }
    }
    if ([...wanted.values()].every((result) => result !== undefined)) break;
  }
  return calls.map(
    (call) =>
      wanted.get(call.toolCallId) ?? {
        type: "tool-result",
        toolCallId: call.toolCallId,
        toolName: call.toolName,
        output: LOST_RESULT,
        isError: true,
      },
  );
}
