import type { ContentPart, Message } from "./message.js";

type ToolResult = Extract<ContentPart, { type: "tool-result" }>;

/** What a call whose outcome was never written down is answered with. */
export const LOST_RESULT = "The outcome of this call is unknown: the process ended before it was recorded.";

/**
 * A copy of the messages in which every tool call is followed at once by its result, and every result has its call.
 *
 * Providers refuse anything else, for ever after, so one crash between a call and its result would end the conversation.
 * A result that was never written becomes an error result; one without a call, or a second one, is left out.
 */
export function pairToolCalls(messages: readonly Message[]): Message[] {
  const paired: Message[] = [];
  for (const [index, message] of messages.entries()) {
    if (message.role === "tool") continue;
    const content = withoutResults(message.content);
    if (content.length === 0 && message.content.length > 0) continue;
    const answered = content === message.content ? message : { ...message, content };
    paired.push(answered);
    const calls = message.role === "assistant" ? callsOf(message) : [];
    if (calls.length > 0) paired.push({ role: "tool", content: resultsFor(calls, messages, index) });
  }
  return paired;
}

type ToolCall = Extract<ContentPart, { type: "tool-call" }>;

function callsOf(message: Message): ToolCall[] {
  if (typeof message.content === "string") return [];
  return message.content.filter((part): part is ToolCall => part.type === "tool-call");
}

function withoutResults(content: Message["content"]): Message["content"] {
  if (typeof content === "string" || !content.some((part) => part.type === "tool-result")) return content;
  return content.filter((part) => part.type !== "tool-result");
}

// Results are looked for up to the next message that makes a call of the same id: some providers reuse ids per turn.
function resultsFor(calls: readonly ToolCall[], messages: readonly Message[], from: number): ToolResult[] {
  const wanted = new Map(calls.map((call) => [call.toolCallId, undefined as ToolResult | undefined]));
  for (const message of messages.slice(from + 1)) {
    if (message.role === "assistant" && callsOf(message).some((call) => wanted.has(call.toolCallId))) break;
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
