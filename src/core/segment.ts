import { InvalidSessionKeyError } from "../errors.js";

// `:` separates segments and `%` marks an escape. Control characters (Cc: C0, DEL, C1) would break a terminal,
// a log line or a file listing that shows the key. Nothing else is touched, so `user#1234` stays readable.
const ESCAPED = /[:%\p{Cc}]/gu;
const LONE_SURROGATE = /\p{Surrogate}/u;

/** Throws unless `value` can be a segment of a key: a non-empty string of well-formed Unicode. `name` is for the message. */
export function assertSegment(value: unknown, name: string): asserts value is string {
  if (typeof value !== "string") {
    const got = value === undefined ? "it is missing" : `it is of type ${value === null ? "null" : typeof value}`;
    throw new InvalidSessionKeyError(
      `${name} must be a string; ${got}. Pass the platform's id as text, for example String(id).`,
    );
  }
  if (value === "")
    throw new InvalidSessionKeyError(`${name} is empty; every part of a session key must say something.`);
  if (LONE_SURROGATE.test(value)) {
    throw new InvalidSessionKeyError(
      `${name} is not well-formed Unicode (a lone surrogate), so no file could hold it.`,
    );
  }
}

/** Writes an opaque id as one segment. Injective: different ids give different segments. */
export function escapeSegment(value: string): string {
  return value.replace(ESCAPED, (char) =>
    Array.from(new TextEncoder().encode(char), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(
      "",
    ),
  );
}

/** Reads a segment back, or gives `undefined` when the text is not exactly what `escapeSegment` would have written. */
export function unescapeSegment(segment: string): string | undefined {
  let value = segment;
  if (segment.includes("%")) {
    try {
      value = decodeURIComponent(segment);
    } catch {
      // A malformed escape is one of the ways a text is not canonical; the caller reports it with the whole key's name.
      return undefined;
    }
  }
  if (value === "" || LONE_SURROGATE.test(value) || escapeSegment(value) !== segment) return undefined;
  return value;
}
