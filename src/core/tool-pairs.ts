import { type ContentPart, type Message, saysNothing } from "./message.js";

type ToolResult = Extract<ContentPart, { type: "tool-result" }>;

/** What a call whose outcome was never written down is answered with. */
const LOST_RESULT = "The outcome of this call is unknown: the process ended before it was recorded.";

/**
 * A copy of the messages in which every tool call is followed at once by its result, and every result has its call.
 *
 * Providers refuse anything else, for ever after, so one crash between a call and its result would end the conversation.
 * A result that was never written becomes an error result; one without a call, or a second one, is left out. So are calls
 * that are not the assistant's, and messages that say nothing. An id that was used before gets another name in the copy, with
 * its result: some providers begin anew with every turn, and others refuse a request in which two calls have one id.
 */
export function pairToolCalls(messages: readonly Message[]): Message[] {
  const paired: Message[] = [];
  const names = new CallNames(messages);
  for (const [index, message] of messages.entries()) {
    if (message.role === "tool") continue;
    const content = withoutToolTraffic(message);
    if (saysNothing(content)) continue;
    const calls = message.role === "assistant" ? callsOf(message) : [];
    const named = calls.map(({ toolCallId }) => names.next(toolCallId));
    paired.push(withNames(content === message.content ? message : { ...message, content }, calls, named));
    if (calls.length === 0) continue;
    const results = resultsFor(calls, messages, index);
    paired.push({ role: "tool", content: results.map((result, at) => withId(result, named[at] as string)) });
  }
  return paired;
}

/** Gives each call a name of its own: its id, unless an earlier call has that. */
class CallNames {
  readonly #taken = new Set<string>();
  readonly #theirs: ReadonlySet<string>;

  constructor(messages: readonly Message[]) {
    this.#theirs = new Set(messages.flatMap((message) => callsOf(message).map(({ toolCallId }) => toolCallId)));
  }

  next(id: string): string {
    let name = id;
    for (let count = 2; this.#taken.has(name) || (name !== id && this.#theirs.has(name)); count += 1)
      name = `${id}_${count}`;
    this.#taken.add(name);
    return name;
  }
}

function withNames(message: Message, calls: readonly ToolCall[], named: readonly string[]): Message {
  if (typeof message.content === "string" || calls.every(({ toolCallId }, at) => toolCallId === named[at]))
    return message;
  let at = 0;
  const content = message.content.map((part) =>
    part.type === "tool-call" ? withId(part, named[at++] as string) : part,
  );
  return { ...message, content };
}

function withId<T extends { toolCallId: string }>(part: T, toolCallId: string): T {
  return part.toolCallId === toolCallId ? part : { ...part, toolCallId };
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
// that makes a call of the same id. Parallel calls of one id get the results of that id in order.
function resultsFor(calls: readonly ToolCall[], messages: readonly Message[], from: number): ToolResult[] {
  const wanted = new Map<string, number>();
  for (const { toolCallId } of calls) wanted.set(toolCallId, (wanted.get(toolCallId) ?? 0) + 1);
  const found = new Map<string, ToolResult[]>();
  for (let at = from; at < messages.length && wanted.size > 0; at += 1) {
    const message = messages[at] as Message;
    if (at > from) for (const id of callIdsOf(message)) wanted.delete(id);
    if (typeof message.content === "string") continue;
    for (const part of message.content) {
      const left = part.type === "tool-result" ? wanted.get(part.toolCallId) : undefined;
      if (part.type !== "tool-result" || left === undefined) continue;
      found.set(part.toolCallId, [...(found.get(part.toolCallId) ?? []), part]);
      if (left > 1) wanted.set(part.toolCallId, left - 1);
      else wanted.delete(part.toolCallId);
    }
  }
  return calls.map(({ toolCallId, toolName }) => {
    const lost: ToolResult = { type: "tool-result", toolCallId, toolName, output: LOST_RESULT, isError: true };
    return found.get(toolCallId)?.shift() ?? lost;
  });
}
