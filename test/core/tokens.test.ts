import fc from "fast-check";
import { expect, test } from "vitest";
import { countLongText, textPieces } from "../../src/core/tokens.js";
import { countMessageTokens } from "../../src/core.js";

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
