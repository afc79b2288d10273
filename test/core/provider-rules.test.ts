import { generateText, type ModelMessage, modelMessageSchema } from "ai";
import { MockLanguageModelV3 } from "ai/test";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { textOf } from "../../src/core/message.js";
import { buildContext, type ContentPart, type Message, type TranscriptEntry } from "../../src/core.js";
import { builders } from "../../src/testing.js";
import { chat, turns } from "./compaction-arbitraries.js";
import { anyTranscript } from "./entry-arbitraries.js";
import {
  anthropicRules,
  anthropicViolations,
  openAiRules,
  openAiViolations,
  toModelMessages,
} from "./provider-rules.js";

const text = (words: string): ContentPart => ({ type: "text", text: words });
const call = (toolCallId: string, toolName = "search", input: unknown = {}): ContentPart => ({
  type: "tool-call",
  toolCallId,
  toolName,
  input,
});
const result = (toolCallId: string, output: unknown = "R"): ContentPart => ({
  type: "tool-result",
  toolCallId,
  toolName: "search",
  output,
});
const silent = { type: "tool-result", toolCallId: "a", toolName: "search" } as ContentPart;
const image: ContentPart = { type: "image", mediaType: "image/png", data: "iVBORw0KGgo=" };
const linked: ContentPart = { type: "image", mediaType: "image/png", url: "https://example.com/cat.png" };
const thought: ContentPart = { type: "reasoning", text: "hm", providerData: { signature: "abc" } };
const user = (content: Message["content"]): Message => ({ role: "user", content });
const assistant = (...content: ContentPart[]): Message => ({ role: "assistant", content });
const tool = (...content: ContentPart[]): Message => ({ role: "tool", content });
const system = (content: Message["content"]): Message => ({ role: "system", content });
const [hi, go] = [user("hi"), user("go on")];
const round = (...parts: ContentPart[]) => [hi, assistant(...parts), tool(result("a"))];

const good: [what: string, messages: Message[]][] = [
  ["a question", [hi]],
  ["a question, its answer and the next", [hi, assistant(text("hello")), go]],
  ["two people speaking in a row", [hi, hi, assistant(text("hello")), assistant(text("you two")), go]],
  ["a call and its result", round(text("let me see"), call("a"))],
  ["parallel calls, then speech", [hi, assistant(call("a"), call("b")), tool(result("b"), result("a")), go]],
  ["results in two messages", [hi, assistant(call("a"), call("b")), tool(result("a")), tool(result("b", { n: 1 }))]],
  ["a system message in between", [system("Be brief."), hi, assistant(text("ok")), system("Be long."), go]],
  ["a picture", [user([text("what is this?"), image, linked])]],
  ["signed reasoning before a call", round(thought, call("a"))],
];

/** For each rule, requests that break it. */
type Broken<Rule extends string> = Record<Rule, [Message[], ...Message[][]]>;

const badForAnthropic: Broken<keyof typeof anthropicRules> = {
  none: [[], [system("Be brief.")]],
  first: [[assistant(text("hello")), go]],
  empty: [
    [hi, assistant(), go],
    [user([]), assistant(text("hello")), go],
  ],
  blank: [[user("")], [user([text("hi"), text("")])], round(text(" \n"), call("a")), [system(""), hi]],
  systemText: [[system([image]), hi]],
  unanswered: [
    [hi, assistant(call("a"))],
    [hi, assistant(call("a")), go],
    round(call("a"), call("b")),
    [hi, assistant(call("a")), go, assistant(text("wait")), tool(result("a"))],
  ],
  resultsFirst: [[hi, assistant(call("a")), go, tool(result("a"))]],
  unasked: [
    [hi, tool(result("a"))],
    [hi, assistant(call("a")), tool(result("a"), result("b"))],
  ],
  twice: [[hi, assistant(call("a")), tool(result("a")), tool(result("a"))]],
  sameId: [
    [hi, assistant(call("a")), tool(result("a")), assistant(call("a")), tool(result("a"))],
    round(call("a"), call("a")),
  ],
  id: [
    [hi, assistant(call("functions.search:0")), tool(result("functions.search:0"))],
    [hi, assistant(call("")), tool(result(""))],
  ],
  name: [round(call("a", "x".repeat(201)))],
  input: [round(call("a", "search", '{"q":')), round(call("a", "search", [1]))],
  callRole: [[user([call("a")]), tool(result("a"))]],
  resultRole: [[hi, assistant(call("a"), result("a"))]],
  media: [[hi, assistant(image), go]],
  thinkingLast: [[hi, assistant(thought), go]],
  trailing: [[hi, assistant(text("hello "))]],
  prefill: [[hi, assistant(text("hello"))]],
  json: [[user("cut \ud83d")], round(call("a", "search", { q: "\udc00" }))],
};

const badForOpenAi: Broken<keyof typeof openAiRules> = {
  none: [[]],
  content: [
    [hi, assistant(), go],
    [hi, assistant({ type: "reasoning", text: "hm" }), go],
    [hi, assistant(call("a")), tool(silent)],
  ],
  emptyArray: [[user([])]],
  unasked: [
    [hi, tool(result("a"))],
    [hi, assistant(call("a")), tool(result("a")), tool(result("a"))],
    [hi, assistant(call("a")), go, tool(result("a"))],
  ],
  unanswered: [
    [hi, assistant(call("a"))],
    [hi, assistant(call("a"), call("b")), tool(result("b")), go],
  ],
  sameId: [[hi, assistant(call("a")), tool(result("a")), assistant(call("a")), tool(result("a"))]],
  id: [[hi, assistant(call("x".repeat(41))), tool(result("x".repeat(41)))]],
  function: [round(call("a", "functions.search")), round(call("a", "x".repeat(65)))],
  arguments: [round({ type: "tool-call", toolCallId: "a", toolName: "t" } as ContentPart)],
  callRole: [[user([text("hi"), call("a")]), tool(result("a"))]],
  name: [[{ ...hi, name: "Ann Lee" }]],
  media: [[hi, assistant(text("look"), image), go]],
  json: [[user("cut \ud83d")]],
};

describe("the rules are rules", () => {
  const named = (violations: readonly string[]) => violations.map((violation) => violation.replace(/^\S+: /, ""));

  test.each(good)("%s is taken by both", (_, messages) => {
    expect(anthropicViolations(messages)).toEqual([]);
    expect(openAiViolations(messages)).toEqual([]);
  });

  const anthropic = Object.keys(anthropicRules) as (keyof typeof anthropicRules)[];
  const openAi = Object.keys(openAiRules) as (keyof typeof openAiRules)[];

  test.each(anthropic)("Anthropic refuses by its rule %s, the same where the answer may have begun", (rule) => {
    for (const messages of badForAnthropic[rule]) {
      expect(named(anthropicViolations(messages))).toContain(anthropicRules[rule]);
      const begun = named(anthropicViolations(messages, { prefill: true }));
      expect(begun.includes(anthropicRules[rule])).toBe(rule !== "prefill");
    }
  });

  test.each(openAi)("OpenAI refuses by its rule %s", (rule) => {
    for (const messages of badForOpenAi[rule]) expect(named(openAiViolations(messages))).toContain(openAiRules[rule]);
  });

  test("an escape somebody wrote out is no lone surrogate, and neither is an emoji", () => {
    const messages = [user("\\ud83d 😀 \\\\udc00")];
    expect([...anthropicViolations(messages), ...openAiViolations(messages)]).toEqual([]);
  });
});

const asked: TranscriptEntry = { role: "user", content: "and now?", id: "asked", timestamp: "" };

/**
 * What both have against the requests that follow a crash after any append: with the context as it stands, which a model may continue
 * that takes the beginning of its answer, and when the next message has come.
 */
function refusals(entries: readonly TranscriptEntry[], nameSenders = false): string[] {
  return Array.from({ length: entries.length + 1 }, (_, cut) => {
    const stands = buildContext(entries.slice(0, cut), { nameSenders }).messages;
    const next = buildContext([...entries.slice(0, cut), asked], { nameSenders }).messages;
    return [
      // Without a word of the conversation there is nothing to ask a model.
      ...(stands.every(({ role }) => role === "system")
        ? []
        : [...anthropicViolations(stands, { prefill: true }), ...openAiViolations(stands)]),
      ...anthropicViolations(next),
      ...openAiViolations(next),
    ].map((violation) => `after ${cut}: ${violation}`);
  }).flat();
}

describe("G1 Anthropic and OpenAI take every context, whenever the process died", () => {
  test("of transcripts no host would write, and all it could", () => {
    fc.assert(
      fc.property(anyTranscript, fc.boolean(), (entries, nameSenders) => {
        expect(refusals(entries, nameSenders)).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  test("of conversations with parallel, late and unanswered calls", () => {
    fc.assert(
      fc.property(turns, fc.boolean(), (conversation, reuse) => {
        expect(refusals(chat(conversation, { reuse }))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  const b = builders();
  const long = "x".repeat(64);
  const newer = { type: "source" } as unknown as ContentPart;
  const called = (...parts: ContentPart[]) => [b.user("q"), b.assistant(parts), b.tool([result("a")])];
  test.each<[what: string, entries: TranscriptEntry[]]>([
    ["that begins with the bot's greeting", [b.assistant("Welcome!"), b.user("hi")]],
    ["with a call under an id of another provider", [b.user("q"), b.assistant([call("functions.search:0")])]],
    ["whose every word is the assistant's", [b.assistant("Welcome!"), b.assistant("Ask me.")]],
    ["with a call under a long id", [b.user("q"), b.assistant([call(long)])]],
    ["with long ids that end differently", [b.user("q"), b.assistant([call(`${long}1`), call(`${long}2`)])]],
    ["with ids that differ in what is refused", [b.user("q"), b.assistant([call("a.1"), call("a:1"), call("a_1")])]],
    ["with an empty text beside a call", called(text(""), call("a"))],
    ["with blanks beside a call", called(text("\n\n"), call("a"))],
    ["with an empty caption", [b.user([image, text("")])]],
    ["with blanks at the end of the last answer", [b.user("q"), b.assistant("Here you are:\n")]],
    ["with half an emoji", [b.user("cut \ud83d"), b.assistant("what?")]],
    ["with half an emoji in a result", [b.user("q"), b.assistant([call("a")]), b.tool([result("a", "cut \ud83d")])]],
    ["with half an emoji in a call", called(call("a", "search", { q: "cut \ud83d" }))],
    ["with a call of a tool that cannot be", called(call("a", "functions.search"))],
    ["with a call of a tool with a long name", called(call("a", "x".repeat(300)))],
    ["with a call whose input did not parse", called(call("a", "search", '{"q":'))],
    ["with a call that has no input", called({ type: "tool-call", toolCallId: "a", toolName: "t" } as ContentPart)],
    ["with a result that has no output", [b.user("q"), b.assistant([call("a")]), b.tool([silent])]],
    ["with an answer that is reasoning only", [b.user("q"), b.assistant([{ type: "reasoning", text: "hm" }])]],
    ["with an answer that is signed reasoning only", [b.user("q"), b.assistant([thought])]],
    ["with reasoning and an empty text", [b.user("q"), b.assistant([thought, text("")])]],
    ["with a picture the assistant made", [b.user("draw"), b.assistant([text("Here:"), image])]],
    ["with a system message that has a picture", [b.user("q"), { ...b.user([text("s"), image]), role: "system" }]],
    ["with a name of two words", [b.user("q", { name: "Ann Lee" })]],
    ["with a part that a newer version knows", [b.user("q"), b.assistant([newer])]],
  ])("of one %s", (_, entries) => {
    expect(refusals(entries)).toEqual([]);
  });
});

type Prompt = MockLanguageModelV3["doGenerateCalls"][number]["prompt"];

/** What the AI SDK sends to a provider for these messages, after its own checks. */
async function promptFor(messages: ModelMessage[]): Promise<Prompt> {
  const tokens = { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0, text: 1, reasoning: 0 };
  const model = new MockLanguageModelV3({
    // What a model fetches itself is not downloaded.
    supportedUrls: { "*/*": [/^https:/] },
    doGenerate: {
      content: [{ type: "text", text: "ok" }],
      finishReason: { unified: "stop", raw: undefined },
      usage: { inputTokens: tokens, outputTokens: tokens },
      warnings: [],
    },
  });
  await generateText({ model, messages, maxRetries: 0, allowSystemInMessages: true });
  const [sent] = model.doGenerateCalls;
  if (sent === undefined) throw new Error("the model was not called");
  return sent.prompt;
}

/** Each part as its role, type and what it says, without empty texts, which the AI SDK leaves out. */
function partsIn(messages: readonly (Message | Prompt[number])[]): unknown[] {
  return messages.flatMap(({ role, content }) =>
    (typeof content === "string" ? [text(content)] : content).flatMap((part) => {
      if (part.type === "text") return part.text === "" ? [] : [[role, part.type, part.text]];
      if (part.type === "tool-call") return [[role, part.type, part.toolCallId, part.input]];
      if (part.type !== "tool-result") return [[role, part.type === "image" ? "file" : part.type]];
      const { output } = part;
      const value = typeof output === "object" && output !== null && "value" in output ? output.value : output;
      return [[role, part.type, part.toolCallId, value]];
    }),
  );
}

describe("G1 the AI SDK takes every context, and passes all of it on", () => {
  const takes = async (messages: Message[]) => {
    const mapped = toModelMessages(messages);
    expect(mapped.filter((message) => !modelMessageSchema.safeParse(message).success)).toEqual([]);
    const joined = messages.map((message) =>
      message.role === "system" ? { ...message, content: textOf(message) } : message,
    );
    expect(partsIn(await promptFor(mapped))).toEqual(partsIn(joined));
  };

  test.each(good)("%s", (_, messages) => takes(messages));

  test.each<[what: string, messages: Message[]]>([
    ["a call without its result", [hi, assistant(call("a"))]],
    ["a late result", [hi, assistant(call("a")), go, tool(result("a"))]],
  ])("but not %s", async (_, messages) => {
    await expect(promptFor(toModelMessages(messages))).rejects.toThrow(/Tool results? (is|are) missing/);
  });

  test("of transcripts no host would write, cut anywhere", async () => {
    await fc.assert(
      fc.asyncProperty(anyTranscript, fc.nat(20), async (entries, cut) => {
        await takes(buildContext([...entries.slice(0, cut), asked]).messages);
      }),
      { numRuns: 100 },
    );
  });

  test("of conversations with parallel, late and unanswered calls, cut anywhere", async () => {
    await fc.assert(
      fc.asyncProperty(turns, fc.boolean(), fc.nat(100), async (conversation, reuse, cut) => {
        await takes(buildContext([...chat(conversation, { reuse }).slice(0, cut), asked]).messages);
      }),
      { numRuns: 50 },
    );
  });
});
