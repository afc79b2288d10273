import { fittingName } from "./accepted.js";
import { type ContentPart, type Message, saysNothing } from "./message.js";

type ToolResult = Extract<ContentPart, { type: "tool-result" }>;

/** What a call whose outcome was never written down is answered with. */
const LOST_RESULT = {
  output: "The outcome of this call is unknown: the process ended before it was recorded.",
  isError: true,
};

/** And one that still runs, for those who look on meanwhile. */
const NO_RESULT_YET = { output: "This call is still running; its result is not there yet." };

/**
 * A copy of the messages in which every tool call is followed at once by its result, and every result has its call.
 *
 * Providers refuse anything else, for ever after, so one crash between a call and its result would end the
 * conversation. A result that was never written becomes an error result; one without a call, or a second one, is left
 * out. So are calls that are not the assistant's, and messages that say nothing. A call in a message that `isRunning`
 * is answered as such.
 *
 * In the copy the ids of calls are `[a-zA-Z0-9_-]`, 40 characters at most, and each has one of its own: some providers
 * begin anew with every turn, and others refuse a request in which two calls have one id, or what another provider
 * calls an id. The first call of an id that fits keeps it, and results go with their calls.
 */
export function pairToolCalls(
  messages: readonly Message[],
  isRunning: (place: number) => boolean = () => false,
): Message[] {
  const paired: Message[] = [];
  const names = new CallNames(messages);
  const results = resultsIn(messages);
  for (const [index, message] of messages.entries()) {
    if (message.role === "tool") continue;
    const content = withoutToolTraffic(message);
    if (saysNothing(content)) continue;
    const calls = message.role === "assistant" ? callsOf(message) : [];
    const named = calls.map(({ toolCallId }) => names.next(toolCallId));
    paired.push(withNames(content === message.content ? message : { ...message, content }, calls, named));
    if (calls.length === 0) continue;
    const missing = isRunning(index) ? NO_RESULT_YET : LOST_RESULT;
    const answers = calls.map(({ toolCallId, toolName }, at): ToolResult => {
      const result = results[index]?.get(at) ?? { type: "tool-result", toolCallId, toolName, ...missing };
      return withId(result, named[at] as string);
    });
    paired.push({ role: "tool", content: answers });
  }
  return paired;
}

// OpenAI takes ids of at most so many characters.
const ID_CHARACTERS = 40;
// With a number of seven digits behind it that is as long as an id may be.
const STEM_CHARACTERS = 32;

/** Gives each call a name of its own: its id, if that fits and no earlier call has it. */
class CallNames {
  readonly #taken = new Set<string>();
  readonly #theirs: ReadonlySet<string>;
  readonly #counts = new Map<string, number>();

  constructor(messages: readonly Message[]) {
    this.#theirs = new Set(messages.flatMap(callIdsOf));
  }

  next(id: string): string {
    const fitting = fittingName(id, ID_CHARACTERS);
    const isFree = !this.#taken.has(fitting) && (fitting === id || !this.#theirs.has(fitting));
    const name = isFree ? fitting : this.#numbered(fitting.slice(0, STEM_CHARACTERS));
    this.#taken.add(name);
    return name;
  }

  // Counts go on where they were: to begin anew each time would take the square of the calls.
  #numbered(stem: string): string {
    let count = this.#counts.get(stem) ?? 2;
    while (this.#taken.has(`${stem}_${count}`) || this.#theirs.has(`${stem}_${count}`)) count += 1;
    this.#counts.set(stem, count + 1);
    return `${stem}_${count}`;
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

/**
 * For each message the results of its calls, by their places, as far as they have one. A result belongs to the last
 * message before it that calls its id, or to the one it stands in, where tools run by the provider leave theirs.
 * Parallel calls of one id get the results of that id in order.
 */
function resultsIn(messages: readonly Message[]): Map<number, ToolResult>[] {
  // The calls of an id that wait for a result, the next one last.
  const waiting = new Map<string, { results: Map<number, ToolResult>; at: number }[]>();
  return messages.map((message) => {
    const results = new Map<number, ToolResult>();
    const ids = callIdsOf(message);
    for (const id of ids) waiting.set(id, []);
    for (const [at, id] of [...ids.entries()].reverse()) waiting.get(id)?.push({ results, at });
    for (const part of typeof message.content === "string" ? [] : message.content) {
      if (part.type !== "tool-result") continue;
      const call = waiting.get(part.toolCallId)?.pop();
      call?.results.set(call.at, part);
    }
    return results;
  });
}
