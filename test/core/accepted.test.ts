import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { acceptedMessages } from "../../src/core/accepted.js";
import {
  buildContext,
  type ContentPart,
  type ContextOptions,
  DEFAULT_COMPACTION,
  isMessageEntry,
  type Message,
  type MessageEntry,
  planCompaction,
  type TranscriptEntry,
} from "../../src/core.js";
import { budget, chat, stored, turns } from "./compaction-arbitraries.js";
import { anyTranscript } from "./entry-arbitraries.js";
import { anthropicViolations, openAiViolations } from "./provider-rules.js";

const text = (words: string): ContentPart => ({ type: "text", text: words });
const call = (more: object = {}) =>
  ({ type: "tool-call", toolCallId: "1", toolName: "search", input: {}, ...more }) as ContentPart;
const result = (more: object = {}) =>
  ({ type: "tool-result", toolCallId: "1", toolName: "search", output: "R", ...more }) as ContentPart;
const user = (...content: ContentPart[]): Message => ({ role: "user", content });
const assistant = (...content: ContentPart[]): Message => ({ role: "assistant", content });
const tool = (...content: ContentPart[]): Message => ({ role: "tool", content });
const image: ContentPart = { type: "image", mediaType: "image/png", data: "AAAA", filename: "cat.png" };
const thought: ContentPart = { type: "reasoning", text: "hm", providerData: { signature: "abc" } };
const newer = { type: "source", url: "https://example.com" } as unknown as ContentPart;
const next: Message = { role: "user", content: "next" };

describe("G1 a message comes out as one that every provider takes", () => {
  const line = expect.objectContaining({
    type: "text",
    text: expect.stringMatching(/^\[image image\/png .*: cat\.png]$/),
  });
  const { input: _, ...noInput } = call() as Extract<ContentPart, { type: "tool-call" }>;
  const { output: __, ...silent } = result() as Extract<ContentPart, { type: "tool-result" }>;

  test.each<[what: string, before: Message[], after: Message[]]>([
    ["a blank text beside others is left out", [user(text("hi"), text(" \n"), image)], [user(text("hi"), image)]],
    ["a message of blanks is left out", [{ role: "system", content: " " }, user(text("")), next], [next]],
    ["reasoning alone is left out, with the message", [next, assistant(thought, text(""))], [next]],
    ["reasoning before speech stays", [assistant(thought, text("so"))], [assistant(thought, text("so"))]],
    [
      "reasoning that nothing follows is left out",
      [assistant(thought, text("so"), thought, newer)],
      [assistant(thought, text("so"), newer)],
    ],
    ["reasoning that is nobody's is left out", [user(thought, text("so"))], [user(text("so"))]],
    ["what a newer version wrote stays beside speech", [user(newer, text("hi"))], [user(newer, text("hi"))]],
    ["what a newer version wrote says nothing alone", [user(newer), next], [next]],
    [
      "the assistant and the host show no images but name them",
      [{ role: "system", content: [image] }, assistant(image), user(image)],
      [{ role: "system", content: [line] }, assistant(line), user(image)],
    ],
    ["a speaker's name that does not fit is left out", [{ ...next, name: "Ann Lee" }], [next]],
    ["one that fits stays", [{ ...next, name: "Ann_Lee" }], [{ ...next, name: "Ann_Lee" }]],
    ["one that is too long is left out", [{ ...next, name: "x".repeat(65) }], [next]],
    [
      "a call and its result get a name of a tool that may be",
      [
        assistant(call({ toolName: "functions.gr\u00fc\u00df" })),
        tool(result({ toolName: "functions.gr\u00fc\u00df" })),
      ],
      [assistant(call({ toolName: "functions_gr__" })), tool(result({ toolName: "functions_gr__" }))],
    ],
    [
      "and not a long one",
      [assistant(call({ toolName: "x".repeat(300) })), tool(result({ toolName: "" }))],
      [assistant(call({ toolName: "x".repeat(64) })), tool(result({ toolName: "_" }))],
    ],
    [
      "the input of a call is an object",
      [assistant(call({ input: '{"q":' }), call({ input: [1] }), call({ input: null }), noInput as ContentPart), next],
      [
        assistant(
          call({ input: { input: '{"q":' } }),
          call({ input: { input: [1] } }),
          call({ input: { input: null } }),
          call(),
        ),
        next,
      ],
    ],
    [
      "a result that holds nothing says so, and null is something",
      [assistant(call()), tool(silent as ContentPart, result({ output: null }))],
      [assistant(call()), tool(result({ output: expect.stringMatching(/no output/) }), result({ output: null }))],
    ],
    [
      "blanks at the end of the last answer are cut off",
      [assistant(text("a\n"), text("b \n"))],
      [assistant(text("a\n"), text("b"))],
    ],
    ["behind which nothing shows", [assistant(text("b \n"), newer)], [assistant(text("b"), newer)]],
    [
      "which a system message may follow",
      [
        { role: "assistant", content: "b \n" },
        { role: "system", content: "s " },
      ],
      [
        { role: "assistant", content: "b" },
        { role: "system", content: "s " },
      ],
    ],
    ["but not of one that was answered", [assistant(text("b \n")), next], [assistant(text("b \n")), next]],
    [
      "and an answer that ends in something else stays",
      [assistant(text("b "), call())],
      [assistant(text("b "), call())],
    ],
  ])("%s", (_what, before, after) => {
    expect(acceptedMessages(before)).toEqual(after);
  });

  test("half an emoji becomes U+FFFD wherever it stands, and nothing else changes", () => {
    const odd = JSON.parse('{"__proto__":{"\\ud83d":["\\udc00 \\ud83d\\ude00",1,null]},"same":"a"}') as object;
    const message = assistant({ ...thought, text: "\ud83d" } as ContentPart, call({ input: odd }), text("cut \ud83d"));
    const copy = structuredClone(message);
    const [out] = acceptedMessages([message, next]);
    const mended = '{"__proto__":{"\ufffd":["\ufffd \ud83d\ude00",1,null]},"same":"a"}';
    expect(JSON.stringify(out?.content)).toBe(
      JSON.stringify(message.content)
        .replaceAll(/\\ud83d|\\udc00/g, "\ufffd")
        .replace(/"input":\{.*\},/, `"input":${mended}},`),
    );
    expect(message).toEqual(copy);
    expect(acceptedMessages([{ ...next, content: "a\udc00b" }])).toEqual([{ ...next, content: "a\ufffdb" }]);
  });

  test("a message that needs nothing is the same object", () => {
    const messages = [
      { ...next, name: "ann", providerData: { x: ["y"] } },
      assistant(thought, text("see "), newer, call({ input: { q: "\ud83d\ude00" } })),
      tool(result({ output: { rows: [1] } })),
      user(text("and"), image),
    ];
    for (const [at, message] of acceptedMessages(messages).entries()) expect(message).toBe(messages[at]);
  });

  const inputOf = (message: Message | undefined) => {
    const part = message?.content[0];
    return typeof part === "object" && part.type === "tool-call" ? part.input : undefined;
  };

  test("a value of any depth is looked into, and one that contains itself", () => {
    const deep = (leaf: string) => JSON.parse(`${'{"a":['.repeat(20_000)}"${leaf}"${"]}".repeat(20_000)}`) as unknown;
    const [fine, bad] = [deep("x"), deep("\ud83d")];
    const [first, second] = acceptedMessages([assistant(call({ input: fine })), assistant(call({ input: bad })), next]);
    expect(inputOf(first)).toBe(fine);
    let inner = inputOf(second);
    while (typeof inner === "object") inner = Array.isArray(inner) ? inner[0] : (inner as { a: unknown }).a;
    expect(inner).toBe("\ufffd");
    const round: Record<string, unknown> = { x: "\ud83d" };
    round.self = round;
    const [out] = acceptedMessages([assistant(call({ input: round }))]);
    const input = inputOf(out) as typeof round;
    expect([input.x, input.self]).toEqual(["\ufffd", input]);
  });
});

// What providers refuse somewhere, and what they do not.
const words = fc.constantFrom("", " \n", "hi", "hi \n", "cut \ud83d", "\ud83d\ude00");
const odd = fc.constantFrom(
  "1",
  "a.1",
  "a:1",
  "a_1",
  "",
  "\ud83d",
  "ann lee",
  `${"x".repeat(64)}1`,
  `${"x".repeat(64)}2`,
);
const value = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, 1, [1], '{"q":', "", "\udc00"),
  fc.dictionary(odd, words),
);
const part: fc.Arbitrary<ContentPart> = fc.oneof(
  { weight: 2, arbitrary: words.map(text) },
  fc.constantFrom(image, newer, thought, { type: "reasoning" as const, text: "hm" }),
  fc.record({ toolCallId: odd, toolName: odd, input: value }).map(call),
  fc.record({ toolCallId: odd, toolName: odd, output: value, isError: fc.boolean() }).map(result),
);
const oddMessage = fc.record(
  {
    role: fc.constantFrom(
      "user" as const,
      "assistant" as const,
      "assistant" as const,
      "tool" as const,
      "system" as const,
    ),
    content: fc.oneof(words, fc.array(part, { maxLength: 4 })),
    name: odd,
    sender: fc.record({ id: odd }),
  },
  { requiredKeys: ["role", "content"] },
);

const shown: fc.Arbitrary<ContextOptions> = fc.record({
  nameSenders: fc.boolean(),
  maxResultCharacters: fc.constantFrom(undefined, 200, 250),
  media: fc.constantFrom("all", "last-turn", "none"),
});

const asked: TranscriptEntry = { role: "user", content: "and now?", id: "asked", timestamp: "" };

/** What providers have against the request that follows, and against that which a model may continue. */
function refusals(entries: readonly TranscriptEntry[], options: ContextOptions): string[] {
  const next = buildContext([...entries, asked], options).messages;
  const stands = buildContext(entries, options).messages;
  const isSaid = stands.some(({ role }) => role !== "system");
  return [
    ...anthropicViolations(next),
    ...openAiViolations(next),
    ...(isSaid ? [...anthropicViolations(stands, { prefill: true }), ...openAiViolations(stands)] : []),
  ];
}

describe("G1 Anthropic and OpenAI take every context", () => {
  const entry = (message: object, id: string) => ({ ...message, id, timestamp: "" }) as TranscriptEntry;

  test("whatever hosts and other providers wrote, and wherever the process died", () => {
    fc.assert(
      fc.property(fc.array(oddMessage, { maxLength: 8 }), shown, (messages, options) => {
        const entries = messages.map((message, at) => entry(message, `o${at}`));
        for (let cut = 0; cut <= entries.length; cut += 1) expect(refusals(entries.slice(0, cut), options)).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  test("after any run of compactions to any token budget, while turns run", () => {
    const said = fc.oneof(turns.map(chat), fc.array(oddMessage, { maxLength: 8 }), anyTranscript);
    let compacted = 0;
    fc.assert(
      fc.property(
        fc.array(fc.tuple(said, budget), { minLength: 1, maxLength: 4 }),
        shown,
        words,
        (rounds, how, summary) => {
          let entries: TranscriptEntry[] = [];
          for (const [round, [more, settings]] of rounds.entries()) {
            entries = inTurns([...entries, ...more.map((message, at) => entry(message, `${round}.${at}`))]);
            const messages = entries.filter(isMessageEntry);
            const questions = messages.filter(({ role }) => role === "user").map(({ id }) => id);
            const openTurns = settings.running === 0 ? [] : questions.slice(-settings.running);
            const plan = planCompaction(entries, {
              policy: { ...DEFAULT_COMPACTION, keepRecentTokens: settings.keep },
              countTokens: ({ content }) => JSON.stringify(content).length,
              contextWindow: settings.contextWindow,
              overheadTokens: settings.overheadTokens,
              openTurns,
              isPinned: ({ id }) => settings.pins > 0 && Number(id.replace(/^.*\D/, "")) % settings.pins === 1,
            });
            if (plan !== undefined) {
              compacted += 1;
              entries.push(stored(entries, plan, summary, `c${round}`));
            }
            expect(refusals(entries, { ...how, openTurns })).toEqual([]);
          }
        },
      ),
      { numRuns: 300 },
    );
    expect(compacted).toBeGreaterThan(100);
  });

  /** Each message with the question it is part of the answer to. */
  function inTurns(entries: readonly TranscriptEntry[]): TranscriptEntry[] {
    let of: string | undefined;
    return entries.map((entry) => {
      if (!isMessageEntry(entry)) return entry;
      if (entry.role === "user") of = entry.id;
      return of === undefined || entry.role === "user" ? entry : ({ ...entry, of } satisfies MessageEntry);
    });
  }
});
