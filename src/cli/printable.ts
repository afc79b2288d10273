// Cc: C0, DEL and C1, which a terminal obeys. Cs: half a character. U+2028 and U+2029 begin a new line in some viewers; the
// bidi controls make text read in another order than it is written.
const UNSAFE = /[\p{Cc}\p{Cs}\u2028\u2029\u202A-\u202E\u2066-\u2069]/gu;

const NAMED: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A text on one line, with everything a terminal would obey shown instead of sent. */
export function printableLine(text: string): string {
  return text.replace(UNSAFE, (char) => NAMED[char] ?? escaped(char));
}

/** The lines of a text, each printable. Tabs stay. */
export function printableLines(text: string): string[] {
  return text.split(/\r?\n/).map((line) => line.split("\t").map(printableLine).join("\t"));
}

/** JSON that a terminal shows as harmlessly as any other text: `JSON.stringify` lets DEL, C1 and bidi controls through. */
export function printableJson(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, (char) => `\\u${hex(char, 4)}`);
}

function escaped(char: string): string {
  return char.charCodeAt(0) > 0xff ? `\\u${hex(char, 4)}` : `\\x${hex(char, 2)}`;
}

function hex(char: string, digits: number): string {
  return char.charCodeAt(0).toString(16).padStart(digits, "0");
}
