import fc from "fast-check";
import { expect, test } from "vitest";
import { countLongText, maxMessageTokens, textOfValue, textPieces } from "../../src/core/tokens.js";
import { type ContentPart, countMessageTokens } from "../../src/core.js";
import { loadTokenCounter } from "../../src/tokens/tiktoken.js";

const isWellFormed = (text: string) => !/\p{Surrogate}/u.test(text);
const characters = (text: string) => text.length;

test("pieces make up the text again, are short, and never end inside a character", () => {
  const unit = fc.constantFrom("a", " ", "é", "漢", "😀", "\ud83d", "\ude00", "<|endoftext|>");
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 2000 }), (units) => {
      const text = units.join("");
      const pieces = [...textPieces(text)];
      expect(pieces.join("")).toBe(text);
      for (const piece of pieces) expect(piece.length).toBeLessThanOrEqual(512);
      if (isWellFormed(text)) for (const piece of pieces) expect(isWellFormed(piece)).toBe(true);
    }),
  );
});

test("a text that repeats itself is counted once for each piece that differs", () => {
  let asked = 0;
  const count = (text: string) => {
    asked += 1;
    return text.length;
  };
  expect(countLongText("a".repeat(1_000_000), count)).toBe(1_000_000);
  expect(asked).toBe(2);
});

test("a message counts what frames it, its words, its calls and results, and a fixed sum for media", () => {
  const tokens = (content: Parameters<typeof countMessageTokens>[0]["content"], name?: string) =>
    countMessageTokens({ content, ...(name === undefined ? {} : { name }) }, characters);
  expect(tokens("")).toBe(4);
  expect(tokens("hello")).toBe(9);
  expect(tokens("hello", "Ann")).toBe(12);
  expect(
    tokens([
      { type: "text", text: "hello" },
      { type: "reasoning", text: "hm" },
    ]),
  ).toBe(11);
  expect(tokens([{ type: "tool-call", toolCallId: "ignored", toolName: "read", input: { a: 1 } }])).toBe(4 + 4 + 7);
  expect(tokens([{ type: "tool-result", toolCallId: "1", toolName: "read", output: "text" }])).toBe(8);
  expect(tokens([{ type: "tool-result", toolCallId: "1", toolName: "read", output: { b: 2 } }])).toBe(11);
  expect(tokens([{ type: "tool-result", toolCallId: "1", toolName: "read", output: undefined }])).toBe(4);
  const shot = { type: "content", value: [{ type: "media", mediaType: "image/png", data: "A".repeat(500_000) }] };
  expect(tokens([{ type: "tool-result", toolCallId: "1", toolName: "see", output: shot }])).toBeLessThan(1650);
  expect(tokens([{ type: "image", mediaType: "image/png", data: "A".repeat(5_000_000) }])).toBe(1604);
});

test("G6 a result of any depth is counted, with the media in it, in a time that goes by its length", () => {
  const depth = 100_000;
  const image = '{"mediaType":"image/png","data":"AAAA"}';
  const resultOf = (json: string): ContentPart[] => [
    { type: "tool-result", toolCallId: "1", toolName: "t", output: JSON.parse(json) },
  ];
  const arrays = resultOf(`${"[".repeat(depth)}1,${image}${"]".repeat(depth)}`);
  expect(countMessageTokens({ content: arrays }, characters)).toBe(4 + 2 * depth + "1,null".length + 1600);
  const objects = resultOf(`${'{"a":'.repeat(depth)}{"b":${image},"c":"x"}${"}".repeat(depth)}`);
  expect(countMessageTokens({ content: objects }, characters)).toBe(4 + 6 * depth + '{"c":"x"}'.length + 1600);
  expect(maxMessageTokens({ content: objects })).toBe(countMessageTokens({ content: objects }, characters));
});

test("a value inside deep ones is written as JSON.stringify writes it", () => {
  const deep = () => JSON.parse(`${"[".repeat(20_000)}${"]".repeat(20_000)}`) as unknown;
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const { text } = textOfValue([value, deep()]);
      expect(text).toBe(`[${JSON.stringify(value)},${"[".repeat(20_000)}${"]".repeat(20_000)}]`);
    }),
    { numRuns: 30 },
  );
  const odd = { a: undefined, b: [undefined, () => 1], c: 1 };
  expect(textOfValue([odd, deep()]).text.startsWith('[{"b":[null,null],"c":1},[[')).toBe(true);
});

test("what contains itself is refused, at whatever depth, and what is there twice is not", () => {
  const ring: unknown[] = [];
  let end = ring;
  for (let level = 0; level < 20_000; level += 1) {
    const next: unknown[] = [];
    end.push(next);
    end = next;
  }
  end.push(ring);
  expect(() => textOfValue(ring)).toThrow(TypeError);
  expect(() => textOfValue(ring[0])).toThrow(TypeError);
  end.pop();
  expect(textOfValue([ring, ring]).text.length).toBe(2 * textOfValue(ring).text.length + "[,]".length);
});

const counter = await loadTokenCounter();

test("no message takes more tokens than its maximum", () => {
  const anyText = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.string({ unit: "grapheme" }),
    fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
    fc.array(fc.constantFrom("\ud83d", "\ude00", "漢", "\0", "<|endoftext|>", "\n\n")).map((units) => units.join("")),
    fc.tuple(fc.string({ unit: "binary", maxLength: 3 }), fc.nat(800)).map(([unit, times]) => unit.repeat(times)),
  );
  const image = fc.record({ mediaType: fc.constant("image/png"), data: fc.base64String() });
  const json = fc.oneof(fc.jsonValue({ stringUnit: "binary" }), anyText, fc.array(fc.oneof(image, anyText)));
  const part: fc.Arbitrary<ContentPart> = fc.oneof(
    fc.record({ type: fc.constantFrom("text" as const, "reasoning" as const), text: anyText }),
    fc.record({ type: fc.constant("tool-call" as const), toolCallId: anyText, toolName: anyText, input: json }),
    fc.record({ type: fc.constant("tool-result" as const), toolCallId: anyText, toolName: anyText, output: json }),
    image.map((media) => ({ type: "image" as const, ...media })),
  );
  const message = fc.record(
    { content: fc.oneof(anyText, fc.array(part, { maxLength: 5 })), name: anyText },
    { requiredKeys: ["content"] },
  );
  fc.assert(
    fc.property(message, (one) => {
      expect(counter.countMessage(one)).toBeLessThanOrEqual(maxMessageTokens(one));
    }),
    { numRuns: 500 },
  );
});

test("half of a character is three bytes, and so at most three tokens", () => {
  expect(maxMessageTokens({ content: "\ud83d" })).toBe(4 + 3);
  expect(maxMessageTokens({ content: "\ud83d\ude00é", name: "漢" })).toBe(4 + 6 + 3);
  expect(maxMessageTokens({ content: [{ type: "image", mediaType: "image/png" }] })).toBe(1604);
});
