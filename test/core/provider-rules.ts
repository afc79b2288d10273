import type { AssistantContent, ModelMessage, ToolResultPart, UserContent } from "ai";
import { textOf } from "../../src/core/message.js";
import type { ContentPart, Message } from "../../src/core.js";

/**
 * What Anthropic's Messages API refuses, in the words of its own error texts where they are known. From its pages "Messages" and
 * "Handle tool calls" (results at once after their calls, and before any text), and for the rest from answers users reported:
 * anthropics/claude-code issues 6774, 3277 and 23369, lobehub 1601, langchain 35071, forgecode 2107, bifrost 5097, Rivet 487, cua 524,
 * Semoss 2323, openclaw 13134, anthropic-sdk-typescript 648, agentic-ai-engineering 43.
 */
export const anthropicRules = {
  none: "at least one message is required",
  first: "first message must use the user role",
  empty: "all messages must have non-empty content except for the optional final assistant message",
  blank: "text content blocks must contain non-whitespace text",
  systemText: "system takes text only",
  unanswered: "tool_use ids were found without tool_result blocks immediately after",
  resultsFirst: "messages following tool_use blocks must begin with tool_result blocks",
  unasked: "unexpected tool_use_id found in tool_result blocks",
  twice: "each tool_use must have a single result",
  sameId: "tool_use ids must be unique",
  id: "tool_use.id: should match ^[a-zA-Z0-9_-]+$",
  name: "tool_use.name: should have at most 200 characters",
  input: "tool_use.input: should be a valid dictionary",
  callRole: "tool_use blocks can only be in assistant messages",
  resultRole: "tool_result blocks can only be in user messages",
  media: "image blocks are not permitted within assistant turns",
  thinkingLast: "the final block in an assistant message cannot be thinking",
  trailing: "final assistant content cannot end with trailing whitespace",
  prefill: "the conversation must end with a user message",
  json: "not valid JSON: lone surrogate in string",
} as const;

/**
 * What OpenAI's Chat Completions API refuses. From its reference page "Create chat completion" and the OpenAPI description behind it
 * (content is required but beside tool calls, an array of parts has one at least, 64 characters for names), and from answers users
 * reported: simonw/llm 937, goose 11893, agno 5116 and 5382, mcp-use 90, extended_openai_conversation 251, openai-node 1030,
 * vercel/ai 14950, CopilotKit 529. Some endpoints have taken ids longer than 40 since; those that have not are meant here.
 * Lone surrogates are what strict parsers behind the same API refuse (oai-compatible-copilot 206).
 */
export const openAiRules = {
  none: "messages: expected an array with minimum length 1",
  content: "content: expected a string or an array of parts",
  emptyArray: "content: expected an array with minimum length 1",
  unasked: "messages with role 'tool' must be a response to a preceding message with 'tool_calls'",
  unanswered: "'tool_calls' must be followed by tool messages responding to each 'tool_call_id'",
  sameId: "duplicate value for 'tool_call_id'",
  id: "tool_calls.id: expected a string with maximum length 40",
  function: "function.name: should match ^[a-zA-Z0-9_-]{1,64}$",
  arguments: "function.arguments: expected a string",
  callRole: "tool_calls are the assistant's",
  name: "name: should match ^[a-zA-Z0-9_-]{1,64}$",
  media: "image URLs are only allowed for messages with role 'user'",
  json: "not valid JSON: lone surrogate in string",
} as const;

type Block =
  | { type: "text"; text: string }
  | { type: "thinking"; thinking: string; signature: string }
  | { type: "image" | "document"; source: unknown }
  | { type: "tool_use"; id: string; name: string; input: unknown }
  | { type: "tool_result"; tool_use_id: string; content: string | undefined };

interface AnthropicMessage {
  role: "user" | "assistant";
  content: Block[];
}

/**
 * What Anthropic has against a request with these messages; nothing when it takes them. `prefill`: the model takes the beginning of
 * its own answer as the last message, as those before Claude 4.6 do.
 */
export function anthropicViolations(context: readonly Message[], { prefill = false } = {}): string[] {
  const { system, messages } = toAnthropic(context);
  const rules = anthropicRules;
  const found: string[] = [];
  const add = noteIn(found);
  const isBlank = (block: Block) => block.type === "text" && block.text.trim() === "";
  add("system", rules.systemText, !system.every(({ type }) => type === "text"));
  add("system", rules.blank, system.some(isBlank));
  add("messages", rules.none, messages.length === 0);
  add("messages.0", rules.first, messages[0]?.role === "assistant");
  add("messages", rules.json, hasLoneSurrogate({ system, messages }));
  const ids = new Set<string>();
  for (const [index, { role, content }] of messages.entries()) {
    const at = `messages.${index}`;
    const isFinalAssistant = index === messages.length - 1 && role === "assistant";
    const last = content.at(-1);
    const calls = blocksOf(content, "tool_use");
    const results = blocksOf(content, "tool_result").map(({ tool_use_id }) => tool_use_id);
    const before = blocksOf(messages[index - 1]?.content ?? [], "tool_use").map(({ id }) => id);
    const next = blocksOf(messages[index + 1]?.content ?? [], "tool_result").map(({ tool_use_id }) => tool_use_id);
    add(at, rules.empty, content.length === 0 && !isFinalAssistant);
    add(at, rules.blank, content.some(isBlank));
    add(at, rules.callRole, role === "user" && calls.length > 0);
    add(at, rules.resultRole, role === "assistant" && results.length > 0);
    add(at, rules.media, role === "assistant" && content.some((block) => "source" in block));
    add(at, rules.thinkingLast, role === "assistant" && last?.type === "thinking");
    add(at, rules.prefill, isFinalAssistant && !prefill);
    add(at, rules.trailing, isFinalAssistant && last?.type === "text" && last.text.trimEnd() !== last.text);
    add(at, rules.unasked, !results.every((id) => before.includes(id)));
    add(at, rules.twice, new Set(results).size < results.length);
    add(
      at,
      rules.resultsFirst,
      content.slice(0, results.length).some(({ type }) => type !== "tool_result"),
    );
    for (const { id, name, input } of calls) {
      add(at, rules.unanswered, !next.includes(id));
      add(at, rules.sameId, ids.has(id));
      add(at, rules.id, !/^[a-zA-Z0-9_-]+$/.test(id));
      add(at, rules.name, name.length > 200);
      add(at, rules.input, typeof input !== "object" || input === null || Array.isArray(input));
      ids.add(id);
    }
  }
  return found;
}

/** The request a host makes of it: system messages apart, results in the mouth of the user, one message for each change of role. */
function toAnthropic(context: readonly Message[]): { system: Block[]; messages: AnthropicMessage[] } {
  const system: Block[] = [];
  const messages: AnthropicMessage[] = [];
  for (const { role: author, content } of context) {
    const blocks = partsOf(content).flatMap(toBlock);
    const role = author === "assistant" ? "assistant" : "user";
    if (author === "system") system.push(...blocks);
    else if (messages.at(-1)?.role === role) messages.at(-1)?.content.push(...blocks);
    else messages.push({ role, content: blocks });
  }
  return { system, messages };
}

function toBlock(part: ContentPart): Block[] {
  switch (part.type) {
    case "text":
      return [{ type: "text", text: part.text }];
    case "reasoning": {
      // Without the signature that came with it there is no way to send it, here as elsewhere.
      const signature = (part.providerData as { signature?: string } | undefined)?.signature;
      return signature === undefined ? [] : [{ type: "thinking", thinking: part.text, signature }];
    }
    case "tool-call":
      return [{ type: "tool_use", id: part.toolCallId, name: part.toolName, input: part.input }];
    case "tool-result":
      return [{ type: "tool_result", tool_use_id: part.toolCallId, content: toText(part.output) }];
    case "image":
    case "file": {
      const { url, data, mediaType: media_type } = part;
      const source = url === undefined ? { type: "base64", media_type, data } : { type: "url", url };
      return [{ type: part.type === "image" ? "image" : "document", source }];
    }
    default:
      // A part of a type that a newer version knows.
      return [];
  }
}

interface OpenAiMessage {
  role: Message["role"];
  content: string | { type: "text" | "image_url" | "file"; [field: string]: unknown }[] | null | undefined;
  name?: string;
  tool_call_id?: string;
  tool_calls?: { id: string; type: "function"; function: { name: string; arguments: string | undefined } }[];
}

/** What OpenAI has against a request with these messages; nothing when it takes them. */
export function openAiViolations(context: readonly Message[]): string[] {
  const messages = context.flatMap(toOpenAi);
  const rules = openAiRules;
  const found: string[] = [];
  const add = noteIn(found);
  add("messages", rules.none, messages.length === 0);
  add("messages", rules.json, hasLoneSurrogate(messages));
  const ids = new Set<string>();
  // Calls of the last assistant message whose results are still to come.
  let waiting = new Set<string>();
  for (const [index, { role, content, name, tool_call_id, tool_calls = [] }] of messages.entries()) {
    const at = `messages[${index}]`;
    add(at, rules.content, (content ?? undefined) === undefined && tool_calls.length === 0);
    add(at, rules.emptyArray, Array.isArray(content) && content.length === 0);
    add(at, rules.media, role !== "user" && Array.isArray(content) && content.some(({ type }) => type !== "text"));
    add(at, rules.name, name !== undefined && !/^[a-zA-Z0-9_-]{1,64}$/.test(name));
    add(at, rules.callRole, role !== "assistant" && tool_calls.length > 0);
    if (tool_call_id !== undefined) {
      add(at, rules.unasked, !waiting.delete(tool_call_id));
      continue;
    }
    add(at, rules.unanswered, waiting.size > 0);
    waiting = new Set(tool_calls.map(({ id }) => id));
    for (const { id, function: called } of tool_calls) {
      add(at, rules.sameId, ids.has(id));
      add(at, rules.id, id.length > 40);
      add(at, rules.function, !/^[a-zA-Z0-9_-]{1,64}$/.test(called.name));
      add(at, rules.arguments, called.arguments === undefined);
      ids.add(id);
    }
  }
  add("messages", rules.unanswered, waiting.size > 0);
  return found;
}

/** The messages a host makes of one: a message for each result, reasoning left out, which has no place there. */
function toOpenAi({ role, content, name }: Message): OpenAiMessage[] {
  const parts = partsOf(content);
  const results = parts.flatMap<OpenAiMessage>((part) =>
    part.type === "tool-result" ? [{ role: "tool", tool_call_id: part.toolCallId, content: toText(part.output) }] : [],
  );
  if (role === "tool") return results;
  const calls = parts.flatMap((part) =>
    part.type === "tool-call"
      ? [
          {
            id: part.toolCallId,
            type: "function" as const,
            function: { name: part.toolName, arguments: toText(part.input) },
          },
        ]
      : [],
  );
  const shown = parts.flatMap<Exclude<OpenAiMessage["content"], string | null | undefined>[number]>((part) => {
    if (part.type === "text") return [{ type: "text", text: part.text }];
    if (part.type === "image")
      return [{ type: "image_url", image_url: { url: part.url ?? `data:;base64,${part.data}` } }];
    return part.type === "file" ? [{ type: "file", file: { filename: part.filename, file_data: part.data } }] : [];
  });
  const said = typeof content === "string" ? content : shown;
  const own: OpenAiMessage = {
    role,
    content: role === "assistant" && said.length === 0 && typeof said !== "string" ? null : said,
    ...(name === undefined ? {} : { name }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
  return [own, ...results];
}

/** The same messages as the AI SDK takes them. */
export function toModelMessages(messages: readonly Message[]): ModelMessage[] {
  return messages.map(({ role, content }): ModelMessage => {
    const parts = partsOf(content);
    if (role === "system") return { role, content: textOf({ content }) };
    if (role === "tool") return { role, content: parts.flatMap(toToolResult) };
    if (typeof content === "string") return { role, content };
    if (role === "user") return { role, content: parts.flatMap(toUserPart) };
    return { role, content: parts.flatMap(toAssistantPart) };
  });
}

type PartOf<Content> = Exclude<Content, string>[number & keyof Exclude<Content, string>];

function toUserPart(part: ContentPart): PartOf<UserContent>[] {
  if (part.type === "text") return [{ type: "text", text: part.text }];
  return part.type === "image" || part.type === "file" ? [toFilePart(part)] : [];
}

function toAssistantPart(part: ContentPart): PartOf<AssistantContent>[] {
  if (part.type === "tool-result") return toToolResult(part);
  if (part.type === "image" || part.type === "file") return [toFilePart(part)];
  if (part.type === "tool-call") return [part];
  return "text" in part ? [{ type: part.type, text: part.text }] : [];
}

function toFilePart({ mediaType, data, url }: Extract<ContentPart, { type: "image" | "file" }>) {
  return { type: "file" as const, mediaType, data: url === undefined ? (data ?? "") : new URL(url) };
}

function toToolResult(part: ContentPart): ToolResultPart[] {
  if (part.type !== "tool-result") return [];
  const { toolCallId, toolName, output, isError = false } = part;
  const value =
    typeof output === "string"
      ? { type: isError ? ("error-text" as const) : ("text" as const), value: output }
      : { type: isError ? ("error-json" as const) : ("json" as const), value: (output ?? null) as never };
  return [{ type: "tool-result", toolCallId, toolName, output: value }];
}

function noteIn(found: string[]) {
  return (place: string, rule: string, isBroken: boolean) => {
    if (isBroken) found.push(`${place}: ${rule}`);
  };
}

function partsOf(content: Message["content"]): ContentPart[] {
  return typeof content === "string" ? [{ type: "text", text: content }] : content;
}

function blocksOf<T extends Block["type"]>(content: readonly Block[], type: T): Extract<Block, { type: T }>[] {
  return content.filter((block): block is Extract<Block, { type: T }> => block.type === type);
}

function toText(value: unknown): string | undefined {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function hasLoneSurrogate(request: unknown): boolean {
  // What JSON.stringify writes as an escape, unless the backslash before it is itself an escaped one.
  return /(?<!\\)(?:\\\\)*\\ud[89a-f]/.test(JSON.stringify(request));
}
