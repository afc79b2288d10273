import { get_encoding } from "tiktoken";
import { expect, test } from "vitest";
import { loadTokenCounter } from "../../src/index.js";

const whole = get_encoding("o200k_base");

const counter = await loadTokenCounter();

test("it is loaded once and shared", async () => {
  expect(await loadTokenCounter()).toBe(counter);
});

test.each([
  ["", 0],
  ["hello world", 2],
  ["Hello, world!", 4],
  ["你好，世界", 3],
  ["こんにちは世界", 2],
])("%j takes as many tokens as the encoding says: %i", (text, tokens) => {
  expect(counter.countText(text)).toBe(tokens);
});

test("what looks like a special token is plain text", () => {
  expect(counter.countText("<|endoftext|>")).toBeGreaterThan(3);
  expect(counter.countText("<|im_start|>system")).toBeGreaterThan(3);
});

test("half a character costs no more than an error would", () => {
  expect(counter.countText("\ud83d")).toBeGreaterThan(0);
  expect(counter.countText("\ude00 text")).toBeGreaterThan(1);
});

test.each([
  ["prose", "It was a bright cold day in April, and the clocks were striking thirteen times in a row. "],
  [
    "code",
    "export function sum(values: readonly number[]): number {\n  return values.reduce((a, b) => a + b, 0);\n}\n",
  ],
  ["CJK", "四月的一个明亮而寒冷的日子，钟敲了十三下。"],
  ["JSON", '{"id":"01J8ZQ4Y7N","role":"user","content":"hi","usage":{"input":1204,"output":33}}\n'],
])("a long text of %s is counted within a hundredth of what it is in one go", (_, line) => {
  const text = line.repeat(300);
  expect(counter.countText(text) / whole.encode_ordinary(text).length).toBeCloseTo(1, 2);
});

test.each([
  ["one letter", "a".repeat(1_000_000)],
  ["blanks", " ".repeat(1_000_000)],
  ["two letters in turn", "ab".repeat(500_000)],
  [
    "letters that do not repeat",
    Array.from({ length: 200_000 }, (_, n) => (n * 7919).toString(36).replace(/\d/g, "x"))
      .join("")
      .slice(0, 1_000_000),
  ],
  ["base64", Buffer.from(Array.from({ length: 750_000 }, (_, n) => (n * n * 31 + n * 7) % 251)).toString("base64")],
  [
    "Thai",
    "กขคงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ"
      .split("")
      .map((a, n, all) => a + all[(n * 7 + 3) % all.length] + all[(n * 13 + 5) % all.length])
      .join("")
      .repeat(9000)
      .slice(0, 1_000_000),
  ],
  ["one character of four bytes", "😀".repeat(500_000)],
])("a megabyte of %s is counted within seconds", (_, text) => {
  const began = performance.now();
  expect(counter.countText(text)).toBeGreaterThan(1000);
  expect(performance.now() - began).toBeLessThan(10_000);
});
