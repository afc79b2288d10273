import { type ContentPart, type Message, textOf } from "../../index.js";

/** A message as `/chat/completions` takes it. */
export type ChatMessage =
  | { role: "system" | "user"; content: string }
  | { role: "assistant"; content: string | null; tool_calls?: ToolCall[] }
  | { role: "tool"; tool_call_id: string; content: string };

interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

/** A context in the words of `/chat/completions`. Media stands as its name: a terminal has none, another host may. */
export function toChatMessages(messages: readonly Message[]): ChatMessage[] {
  return messages.flatMap(toChatMessage);
}

function toChatMessage(message: Message): ChatMessage[] {
  const { role } = message;
  const parts = typeof message.content === "string" ? [] : message.content;
  if (role === "tool") return parts.flatMap(toolResult);
  if (role !== "assistant") return [{ role, content: withMediaNames(message) }];
  const calls = parts.flatMap(toolCall);
  const text = withMediaNames(message);
  if (calls.length > 0) return [{ role, content: text === "" ? null : text, tool_calls: calls }];
  return text === "" ? [] : [{ role, content: text }];
}

function toolCall(part: ContentPart): ToolCall[] {
  if (part.type !== "tool-call") return [];
  const { toolCallId: id, toolName: name, input } = part;
  return [{ id, type: "function", function: { name, arguments: JSON.stringify(input ?? {}) } }];
}

function toolResult(part: ContentPart): ChatMessage[] {
  if (part.type !== "tool-result") return [];
  const { toolCallId, output } = part;
  const content = typeof output === "string" ? output : JSON.stringify(output ?? null);
  return [{ role: "tool", tool_call_id: toolCallId, content }];
}

function withMediaNames(message: Message): string {
  if (typeof message.content === "string") return message.content;
  const media = message.content.flatMap((part) =>
    part.type === "image" || part.type === "file" ? [`[${part.type}: ${part.filename ?? part.mediaType}]`] : [],
  );
  return [textOf(message), ...media].filter((text) => text !== "").join("\n");
}
