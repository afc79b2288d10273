import { expect, test } from "vitest";
import { assertSegment, escapeSegment, unescapeSegment } from "../../src/core/segment.js";
import { InvalidSessionKeyError } from "../../src/core.js";
import { BROKEN_IDS, HOSTILE_IDS } from "./arbitraries.js";

test("an escaped segment holds no separator and nothing a terminal obeys", () => {
  for (const id of HOSTILE_IDS) expect(escapeSegment(id)).not.toMatch(/[:\p{Cc}]/u);
});

test("only colons, percent signs and control characters are escaped, as upper-case bytes of UTF-8", () => {
  expect(escapeSegment("a:b%c\u0000\u001f\u007f\u0080\u009f")).toBe("a%3Ab%25c%00%1F%7F%C2%80%C2%9F");
  const untouched = " user#1234/..\\?&=+@!$'()*,;<>[]{}|^`~\"\u00a0\u200b\u202e\u2028é😀";
  expect(escapeSegment(untouched)).toBe(untouched);
});

test("unescaping gives back what was escaped", () => {
  for (const id of HOSTILE_IDS) expect(unescapeSegment(escapeSegment(id))).toBe(id);
});

test.each(["", "a:b", "%", "%3a", "%41", "%2F", "%C3%BC", "%GG", "%1", "a\nb", "\ud800", "%ED%A0%80", "%C2"])(
  "%j is not what escaping writes, so it reads as nothing",
  (segment) => {
    expect(unescapeSegment(segment)).toBeUndefined();
  },
);

test("an error says what was given instead of text, and not what it was", () => {
  expect(() => assertSegment(undefined, "peerId")).toThrow("peerId must be a string; it is missing.");
  expect(() => assertSegment(4711, "peerId")).toThrow("peerId must be a string; it is of type number.");
  expect(() => assertSegment(null, "peerId")).toThrow("it is of type null.");
});

test.each([...BROKEN_IDS, undefined, null, 42])("%j cannot be a segment, and the error names the field", (value) => {
  const check: () => void = () => assertSegment(value, "peerId");
  expect(check).toThrow(InvalidSessionKeyError);
  expect(check).toThrow("peerId");
});
