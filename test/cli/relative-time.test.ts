import fc from "fast-check";
import { expect, test } from "vitest";
import { relativeTime } from "../../src/cli/relative-time.js";

const NOW = Date.UTC(2026, 2, 18, 10);
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const ago = (milliseconds: number) => relativeTime(new Date(NOW - milliseconds).toISOString(), NOW);

test.each([
  [0, "just now"],
  [MINUTE - 1, "just now"],
  [MINUTE, "1 minute ago"],
  [2 * MINUTE - 1, "1 minute ago"],
  [2 * MINUTE, "2 minutes ago"],
  [HOUR - 1, "59 minutes ago"],
  [HOUR, "1 hour ago"],
  [2 * HOUR, "2 hours ago"],
  [DAY - 1, "23 hours ago"],
  [DAY, "1 day ago"],
  [7 * DAY - 1, "6 days ago"],
  [7 * DAY, "1 week ago"],
  [21 * DAY, "3 weeks ago"],
  [30 * DAY, "1 month ago"],
  [364 * DAY, "12 months ago"],
  [365 * DAY, "1 year ago"],
  [800 * DAY, "2 years ago"],
])("%d ms ago is %s", (milliseconds, expected) => {
  expect(ago(milliseconds)).toBe(expected);
});

test("a time to come is just now, and a text that is no time is unknown", () => {
  expect(ago(-DAY)).toBe("just now");
  expect(relativeTime("", NOW)).toBe("unknown");
  expect(relativeTime("yesterday\u001B[31m", NOW)).toBe("unknown");
});

test("what is longer ago never reads as more recent", () => {
  const SIZES = { minute: MINUTE, hour: HOUR, day: DAY, week: 7 * DAY, month: 30 * DAY, year: 365 * DAY };
  const atLeast = (text: string) => {
    const [, count, unit] = /^(\d+) ([a-z]+?)s? ago$/.exec(text) ?? [];
    return unit === undefined ? 0 : Number(count) * SIZES[unit as keyof typeof SIZES];
  };
  const span = fc.integer({ min: 0, max: 5000 * DAY });
  fc.assert(
    fc.property(span, span, (a, b) => {
      const [shorter, longer] = a < b ? [a, b] : [b, a];
      expect(atLeast(ago(shorter))).toBeLessThanOrEqual(atLeast(ago(longer)));
      expect(atLeast(ago(longer))).toBeLessThanOrEqual(longer);
    }),
  );
});
