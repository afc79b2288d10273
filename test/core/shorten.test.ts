import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hasMedia, type ShortenOptions, shortenMessage } from "../../src/core/shorten.js";
import { isMedia, textOfValue } from "../../src/core/tokens.js";
import type { ContentPart, Message } from "../../src/core.js";

const resultOf = (output: unknown): Message => ({
  role: "tool",
  content: [{ type: "tool-result", toolCallId: "1", toolName: "read", output, isError: true }],
});
const outputOf = (message: Message): unknown => (message.content[0] as { output: unknown }).output;
const shortened = (output: unknown, options: ShortenOptions) => outputOf(shortenMessage(resultOf(output), options));
const MARKER = / \[… (\d+) characters left out, the whole is in the transcript of the session …\] /;

/** How many halves of characters are in it that JSON has to escape. */
const halves = (value: unknown) => JSON.stringify(value).match(/\\ud[89a-f]/g)?.length ?? 0;

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) freeze(part);
  }
  return value;
}

describe("G6 one large result of a tool is cut with a marker", () => {
  test("given one 1 MB tool result, then head and tail stay around a marker that says how much is missing", () => {
    const text = `begin ${"x".repeat(1_000_000)} end`;
    const cut = shortened(text, { maxResultCharacters: 1000 }) as string;
    expect(cut).toMatch(/^begin x+ \[… \d+ characters left out, .*\] x+ end$/);
    expect(cut.length).toBeLessThanOrEqual(1000);
    expect(cut.length).toBeGreaterThan(990);
    const [head = "", missing, tail = ""] = cut.split(MARKER);
    expect(head.length + Number(missing) + tail.length).toBe(text.length);
    expect(head.length / (head.length + tail.length)).toBeCloseTo(0.7, 2);
  });

  const long = "y".repeat(5000);
  test.each<[string, output: unknown, like: unknown]>([
    ["a text of the AI SDK", { type: "text", value: long }, { type: "text", value: expect.stringMatching(MARKER) }],
    [
      "JSON of the AI SDK",
      { type: "json", value: { n: 1, rows: [{ a: long }, null] } },
      { type: "json", value: { n: 1, rows: [{ a: expect.stringMatching(MARKER) }, null] } },
    ],
    [
      "content of the AI SDK",
      { type: "content", value: [{ type: "text", text: long }] },
      { type: "content", value: [{ type: "text", text: expect.stringMatching(MARKER) }] },
    ],
    [
      "a result of MCP",
      { content: [{ type: "text", text: long }], isError: false },
      { content: [{ type: "text", text: expect.stringMatching(MARKER) }], isError: false },
    ],
    ["a field named __proto__", JSON.parse(`{"__proto__":"${long}"}`), expect.objectContaining({})],
  ])("%s keeps its shape", (_what, output, like) => {
    const cut = shortened(output, { maxResultCharacters: 200 });
    expect(cut).toEqual(like);
    expect(Object.keys(cut as object)).toEqual(Object.keys(output as object));
    expect(JSON.stringify(cut).length).toBeLessThanOrEqual(200);
  });

  test("the longest texts are cut to one length, and short ones stay whole", () => {
    const output = { a: "a".repeat(9000), b: "b".repeat(300), c: "c".repeat(4000) };
    const cut = shortened(output, { maxResultCharacters: 2000 }) as typeof output;
    expect(cut.b).toBe(output.b);
    expect(cut.a.length).toBe(cut.c.length);
    expect(JSON.stringify(cut).length).toBeGreaterThan(1990);
  });

  const numbers = Array.from({ length: 100_000 }, (_, at) => at);
  test.each<[string, output: unknown, like: unknown]>([
    ["an array", numbers, expect.stringMatching(/^\[0,1,2,.*99999\]$/)],
    ["a result of MCP", { structuredContent: numbers }, expect.stringMatching(/^\{"structuredContent":\[0,.*\]\}$/)],
    ["JSON of the AI SDK", { type: "json", value: numbers }, { type: "text", value: expect.stringMatching(/^\[0,/) }],
    [
      "an error of the AI SDK",
      { type: "error-json", value: numbers },
      { type: "error-text", value: expect.stringMatching(/^\[0,/) },
    ],
    ["a field with a name of 1 MB", { ["k".repeat(1_000_000)]: 1 }, expect.stringMatching(/^\{"kk/)],
  ])("%s that no cutting of texts makes small enough becomes a text of its JSON", (_what, output, like) => {
    const cut = shortened(output, { maxResultCharacters: 1000 });
    expect(cut).toEqual(like);
    expect(JSON.stringify(cut)).toMatch(MARKER);
    expect(textOfValue(cut).text.length).toBeLessThanOrEqual(1000);
  });

  test("a text that a result became names its media", () => {
    const output = [{ mimeType: "image/png", data: "A".repeat(5000) }, ...numbers];
    const cut = shortened(output, { maxResultCharacters: 1000 });
    expect(cut).toMatch(/^\[\{"type":"text","text":"\[image image\/png not shown here\]"\},0,1,/);
  });

  test("a character of two units is cut at neither end, wherever the cut falls", () => {
    for (let limit = 200; limit < 220; limit += 1)
      for (const output of ["😀".repeat(500), { type: "text", value: `x${"😀".repeat(500)}` }])
        expect(halves(shortened(output, { maxResultCharacters: limit }))).toBe(0);
  });

  test("a medium is never cut, nor does it count towards the limit", () => {
    const image = { type: "media", mediaType: "image/png", data: "A".repeat(5000) };
    const output = { type: "content", value: [{ type: "text", text: long }, image] };
    expect(shortened({ type: "content", value: [image] }, { maxResultCharacters: 200 })).toEqual({
      type: "content",
      value: [image],
    });
    expect(shortened(output, { maxResultCharacters: 300 })).toEqual({
      type: "content",
      value: [{ type: "text", text: expect.stringMatching(MARKER) }, image],
    });
  });

  test("what is not a result stays, however long", () => {
    const content: ContentPart[] = [
      { type: "text", text: long },
      { type: "reasoning", text: long },
      { type: "tool-call", toolCallId: "1", toolName: "write", input: { long } },
    ];
    for (const message of [
      { role: "user" as const, content: long },
      { role: "assistant" as const, content },
    ])
      expect(shortenMessage(message, { maxResultCharacters: 200, withoutMedia: true })).toBe(message);
  });

  test.each([undefined, Number.NaN, Number.POSITIVE_INFINITY])("a limit of %s cuts nothing", (maxResultCharacters) => {
    const message = resultOf(long);
    expect(shortenMessage(message, { maxResultCharacters })).toBe(message);
  });
});

describe("G21 media are named instead of sent", () => {
  const data = "A".repeat(1000);
  test.each<[string, ContentPart, text: string]>([
    [
      "an image",
      { type: "image", mediaType: "image/png", data, filename: "chart.png" },
      "[image image/png not shown here: chart.png]",
    ],
    [
      "a file by its address",
      { type: "file", mediaType: "text/csv", url: "https://x.example/a.csv" },
      "[file text/csv not shown here: https://x.example/a.csv]",
    ],
    [
      "one without a name",
      { type: "file", mediaType: "text/csv", url: `data:text/csv;base64,${data}` },
      "[file text/csv not shown here]",
    ],
    [
      "a name of several lines",
      { type: "file", mediaType: "a/b", filename: "one\n\u0000two " },
      "[file a/b not shown here: one two]",
    ],
    [
      "a name of any length",
      { type: "file", mediaType: "a/b", filename: `${"n".repeat(99)}😀` },
      `[file a/b not shown here: ${"n".repeat(99)}]`,
    ],
  ])("%s becomes one line", (_what, part, text) => {
    const message: Message = { role: "user", content: [{ type: "text", text: "look" }, part] };
    expect(hasMedia(message)).toBe(true);
    expect(shortenMessage(message, { withoutMedia: true })).toEqual({
      role: "user",
      content: [
        { type: "text", text: "look" },
        { type: "text", text },
      ],
    });
  });

  const named = { type: "text", text: "[image image/png not shown here]" };
  test.each<[string, output: unknown, without: unknown]>([
    [
      "the AI SDK",
      { type: "content", value: [{ type: "media", mediaType: "image/png", data }] },
      { type: "content", value: [named] },
    ],
    ["MCP", { content: [{ type: "image", mimeType: "image/png", data }] }, { content: [named] }],
    [
      "Anthropic",
      [{ type: "image", source: { type: "base64", media_type: "image/png", data }, cache_control: {} }],
      [named],
    ],
    ["nobody in particular", { shot: { data, mimeType: "image/png" }, at: 7 }, { shot: named, at: 7 }],
  ])("in a result of %s a text part stands in their place", (_what, output, without) => {
    expect(hasMedia(resultOf(output))).toBe(true);
    expect(shortened(output, { withoutMedia: true })).toEqual(without);
  });

  test("they stay where nobody asks to take them out", () => {
    const message: Message = { role: "user", content: [{ type: "image", mediaType: "image/png", data }] };
    expect(shortenMessage(message, {})).toBe(message);
  });
});

// Long texts, of characters that take one, two and six units in JSON, and of whole and half pairs.
const unit = fc.constantFrom("a", '"', "\n", "\u0001", "漢", "😀", "\ud83d", "\ude00");
const text = fc
  .tuple(fc.array(unit, { maxLength: 12 }), fc.constantFrom(0, 1, 20, 60))
  .map(([units, times]) => units.join("").repeat(times));
const media = fc.record(
  {
    type: fc.constantFrom("media", "image"),
    mediaType: fc.constantFrom("image/png", "application/pdf"),
    data: text,
    name: text,
  },
  { requiredKeys: ["mediaType", "data"] },
);
const json = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    { weight: 4, arbitrary: text },
    fc.constantFrom<unknown>(null, true, 0, -1.5e300),
    media,
    fc.record({ type: fc.constant("image"), source: media }),
    fc.array(tie("value"), { maxLength: 6 }),
    fc.dictionary(fc.oneof(fc.constantFrom("__proto__", "type", "value", "data"), text), tie("value"), { maxKeys: 5 }),
  ),
})).value;
const output = fc.oneof(
  json,
  fc.record({ type: fc.constantFrom("text", "json", "content", "error-text", "error-json"), value: json }),
  fc.nat(2000).map((length) => new Array<number>(length).fill(7)),
);
const part: fc.Arbitrary<ContentPart> = fc.oneof(
  { weight: 3, arbitrary: output.map((one) => (resultOf(one).content as ContentPart[])[0] as ContentPart) },
  text.map((one) => ({ type: "text" as const, text: one })),
  json.map((input) => ({ type: "tool-call" as const, toolCallId: "1", toolName: "t", input })),
  text.map((filename) => ({ type: "image" as const, mediaType: "image/png", data: "AA", filename })),
);
const anyMessage: fc.Arbitrary<Message> = fc
  .record({
    role: fc.constantFrom("user" as const, "tool" as const),
    content: fc.oneof(text, fc.array(part, { maxLength: 4 })),
    providerData: json,
  })
  .map(freeze);
const options: fc.Arbitrary<ShortenOptions> = fc.record(
  { maxResultCharacters: fc.oneof(fc.nat(300), fc.nat(3000), fc.constant(Number.NaN)), withoutMedia: fc.boolean() },
  { requiredKeys: [] },
);

describe("whatever the message", () => {
  test("a result takes at most the limit, or 200; its other fields, other parts and what is around them stay", () => {
    fc.assert(
      fc.property(anyMessage, options, (message, asked) => {
        const short = shortenMessage(message, asked);
        expect({ ...short, content: "" }).toEqual({ ...message, content: "" });
        if (typeof message.content === "string" || typeof short.content === "string")
          return void expect(short).toBe(message);
        const limit = Math.max(asked.maxResultCharacters ?? Number.NaN, 200);
        for (const [at, before] of message.content.entries()) {
          const after = short.content[at] as ContentPart;
          if (before.type === "tool-result") {
            expect({ ...after, output: 0 }).toEqual({ ...before, output: 0 });
            const { output: left } = after as typeof before;
            if (!Number.isNaN(limit)) expect(textOfValue(left).text.length).toBeLessThanOrEqual(limit);
            if (left === before.output) expect(after).toBe(before);
          } else if (before.type !== "image") expect(after).toBe(before);
        }
        expect(short.content.length).toBe(message.content.length);
      }),
      { numRuns: 500 },
    );
  });

  test("shortening twice is shortening once", () => {
    fc.assert(
      fc.property(anyMessage, options, (message, asked) => {
        const short = shortenMessage(message, asked);
        expect(shortenMessage(short, asked)).toBe(short);
      }),
      { numRuns: 500 },
    );
  });

  test("no character is cut in two", () => {
    fc.assert(
      fc.property(anyMessage, options, (message, asked) => {
        const whole = halves(message) === 0;
        if (whole) expect(halves(shortenMessage(message, asked))).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  test("what fits comes back as the same object, and so does what has no media", () => {
    fc.assert(
      fc.property(anyMessage, (message) => {
        const parts = typeof message.content === "string" ? [] : message.content;
        const sizes = parts.map((one) => (one.type === "tool-result" ? textOfValue(one.output).text.length : 0));
        expect(shortenMessage(message, { maxResultCharacters: Math.max(0, ...sizes) })).toBe(message);
        const bare = shortenMessage(message, { withoutMedia: true });
        expect(bare === message).toBe(!hasMedia(message));
        expect(hasMedia(bare)).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  test("media that are not taken out come through a cut as they are, unless the result becomes a text", () => {
    const image = { mediaType: "image/png", data: "A".repeat(999) };
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 3 }), (texts) => {
        const cut = shortened({ texts, image }, { maxResultCharacters: 500 });
        expect(typeof cut === "object" && isMedia((cut as { image: unknown }).image)).toBe(true);
      }),
    );
  });
});

const timed = (work: () => unknown) => {
  const start = performance.now();
  work();
  return performance.now() - start;
};

test.each<[string, output: unknown]>([
  ["one text", "x ".repeat(2_500_000)],
  ["a text in JSON, with marks to escape", { type: "text", value: '"\n\u0001x'.repeat(500_000) }],
  ["100,000 rows", Array.from({ length: 100_000 }, (_, id) => ({ id, name: "someone", on: true, of: null }))],
  ["20,000 long texts", Array.from({ length: 20_000 }, (_, at) => `${at} `.repeat(50))],
  ["an image", { content: [{ type: "image", mimeType: "image/png", data: "A".repeat(5_000_000) }] }],
])("5 MB of %s take no longer than a blink", (_what, large) => {
  const message = resultOf(large);
  const limits: ShortenOptions = { maxResultCharacters: 20_000, withoutMedia: true };
  const times = [1, 2, 3].map(() => timed(() => shortenMessage(message, limits)));
  // 10 to 90 ms on a machine of its own; the rest is for one that is shared.
  expect(Math.min(...times)).toBeLessThan(400);
});

test.each([20_000, 100_000])("a value %i levels deep is shortened as any other", (depth) => {
  const arrays = JSON.parse(`${"[".repeat(depth)}"${"x".repeat(1000)}"${"]".repeat(depth)}`);
  const objects = JSON.parse(
    `${'{"a":'.repeat(depth)}{"data":"AAAA","mediaType":"image/png","name":"${"x".repeat(50)}"}${"}".repeat(depth)}`,
  );
  for (const output of [arrays, objects, { type: "json", value: arrays }]) {
    const message = resultOf(output);
    const text = shortenMessage(message, { maxResultCharacters: 1000 });
    expect(JSON.stringify(text)).toMatch(MARKER);
    const deep = shortenMessage(message, { maxResultCharacters: depth * 6 + 500, withoutMedia: true });
    expect(hasMedia(deep)).toBe(false);
    expect(textOfValue(outputOf(deep)).text.length).toBeLessThanOrEqual(depth * 6 + 500);
  }
  expect(shortened(arrays, { maxResultCharacters: depth * 2 + 500 })).toBeInstanceOf(Array);
});
