import type { ContentPart, Message } from "./message.js";

/** Counts the tokens of a text that is not long. */
export type CountText = (text: string) => number;

// A tokeniser can take the square of the time where a long text has no break in it, so that a message of one letter a hundred
// thousand times would freeze the host. In pieces of so many characters prose, code, CJK and JSON are counted within 1 % of exact,
// and long runs of one sign, such as ruled lines, up to a tenth too high.
const PIECE = 512;
// The time goes by bytes: a script of three bytes a character would take twice as long in pieces of the other size.
const WIDE_PIECE = 256;

// So far back is looked for a place between two words or lines. A token may begin with one blank, and ends at a line's end, so
// that what is cut there is counted exactly.
const LOOK_BACK = 128;

/** The size of a prompt in tokens. */
export interface PromptSize {
  tokens: number;
  /** `provider`: what it reported of the last call, with an estimate of what was said since. `most`: it cannot be more. */
  source: "provider" | "estimate" | "most";
  /** Whether something was said since the provider's report. */
  stale: boolean;
}

/** A text in pieces of at most 512 UTF-16 units, cut between words where there are any, and never inside a character. */
export function* textPieces(text: string): Generator<string> {
  for (let from = 0; from < text.length; ) {
    const isWide = WIDE.test(text.slice(from, from + PIECE));
    const to = cutBefore(text, from + (isWide ? WIDE_PIECE : PIECE));
    yield text.slice(from, to);
    from = to;
  }
}

const WIDE = /[\u0800-\uffff]/;

function cutBefore(text: string, end: number): number {
  if (end >= text.length) return text.length;
  for (let at = end; at > end - LOOK_BACK; at -= 1)
    if (
      !isBlank(text[at - 1]) ? text[at] === " " && !isBlank(text[at + 1]) : text[at - 1] === "\n" && !isBlank(text[at])
    )
      return at;
  return isHighSurrogate(text.charCodeAt(end - 1)) && isLowSurrogate(text.charCodeAt(end)) ? end - 1 : end;
}

const isBlank = (character: string | undefined) => character === undefined || /\s/.test(character);
const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff;

/** The tokens of a text of any length, in time that grows with its length alone. */
export function countLongText(text: string, count: CountText): number {
  let total = 0;
  for (const tokens of pieceCounts(text, count)) total += tokens;
  return total;
}

/** The tokens of its pieces, one after the other: for who counts in slices. */
export function* pieceCounts(text: string, count: CountText): Generator<number> {
  // What has no break in it mostly repeats itself.
  let previous = "";
  let tokens = 0;
  for (const piece of textPieces(text)) {
    if (piece !== previous) tokens = count(piece);
    previous = piece;
    yield tokens;
  }
}

// What frames a message in a prompt: OpenAI documents three tokens and one for the role, others much the same.
const MESSAGE_TOKENS = 4;
// About the most that Anthropic's models take for an image; OpenAI's take up to 1,105. How large it is cannot be told from here.
const MEDIA_TOKENS = 1600;

/**
 * An estimate of what a message takes in a prompt. Images and files count 1,600 tokens each, whatever they hold, also within the
 * result of a tool: what the provider reports is better in every case and wins where it is there.
 * @throws what JSON.stringify throws, of a message that could not be stored either. How deep a value is does not matter.
 */
export function countMessageTokens(message: Pick<Message, "content" | "name">, count: CountText): number {
  return sumMessage(message, (text) => countLongText(text, count));
}

/**
 * More tokens than this a message cannot take: no tokeniser in use makes more than one token of a byte. Images and files count
 * as in {@link countMessageTokens}. Takes a small part of the time that counting does.
 * @throws as {@link countMessageTokens} does.
 */
export function maxMessageTokens(message: Pick<Message, "content" | "name">): number {
  return sumMessage(message, utf8Length);
}

/** What there is to count in a message: its texts, and the tokens of all that is none. For who counts in slices. */
export function messageTexts(message: Pick<Message, "content" | "name">): { texts: string[]; tokens: number } {
  const texts: string[] = [];
  const tokens = sumMessage(message, (text) => {
    texts.push(text);
    return 0;
  });
  return { texts, tokens };
}

/** What a text takes in UTF-8. */
export function utf8Length(text: string): number {
  // Most texts are ASCII from end to end, which is told in a tenth of the time that encoding takes.
  return BEYOND_ASCII.test(text) ? encoder.encode(text).length : text.length;
}

const BEYOND_ASCII = /[\u0080-\uffff]/;

const encoder = new TextEncoder();

function sumMessage({ content, name }: Pick<Message, "content" | "name">, words: CountText): number {
  const own = MESSAGE_TOKENS + (name === undefined ? 0 : words(name));
  if (typeof content === "string") return own + words(content);
  return content.reduce((sum, part) => sum + sumPart(part, words), own);
}

function sumPart(part: ContentPart, words: CountText): number {
  switch (part.type) {
    case "text":
    case "reasoning":
      return words(part.text);
    case "tool-call":
      return words(part.toolName) + sumValue(part.input, words);
    case "tool-result":
      return sumValue(part.output, words);
    case "image":
    case "file":
      return MEDIA_TOKENS;
    default:
      // A part that a newer version wrote: about as long as it is.
      return sumValue(part, words);
  }
}

function sumValue(value: unknown, words: CountText): number {
  const { text, media } = textOfValue(value);
  return media * MEDIA_TOKENS + words(text);
}

/** What a value takes in a prompt: itself if it is a text, else its JSON; how many media it has, which are not in that text. */
export function textOfValue(value: unknown): { text: string; media: number } {
  if (typeof value === "string") return { text: value, media: 0 };
  try {
    const text: string = JSON.stringify(value) ?? "";
    // Looking into every value takes several times as long as writing it.
    if (!text.includes('"data":"')) return { text, media: 0 };
    let media = 0;
    const withoutMedia: string | undefined = JSON.stringify(value, (_name, part: unknown) => {
      if (!isMedia(part)) return part;
      media += 1;
      return undefined;
    });
    return { text: withoutMedia ?? "", media };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return textOfDeepValue(value);
  }
}

/** The same, with no call for each level: JSON.parse reads values far deeper than JSON.stringify writes. */
function textOfDeepValue(root: unknown): { text: string; media: number } {
  let text = "";
  let media = 0;
  const path: { of: Record<string | number, unknown>; names: string[] | undefined; count: number; at: number }[] = [];
  // What contains itself goes down for ever, past each of its objects again and again, and so past the one marked here.
  let mark: unknown;
  let markDepth = 1;
  const write = (value: unknown) => {
    if (isMedia(value)) {
      media += 1;
      text += path.length === 0 ? "" : "null";
    } else if (typeof value === "object" && value !== null) {
      if (value === mark) throw new TypeError("A value that contains itself has no JSON.");
      const names = Array.isArray(value) ? undefined : Object.keys(value).filter((name) => isWritten(value, name));
      if (names !== undefined) media += Object.values(value).filter(isMedia).length;
      text += names === undefined ? "[" : "{";
      const count = names?.length ?? (value as unknown[]).length;
      path.push({ of: value as Record<string, unknown>, names, count, at: 0 });
      if (path.length >= 2 * markDepth) {
        mark = value;
        markDepth = path.length;
      }
    } else text += JSON.stringify(value) ?? "null";
  };
  write(root);
  for (let inner = path.at(-1); inner !== undefined; inner = path.at(-1)) {
    const { of, names, count, at } = inner;
    if (at === count) {
      text += names === undefined ? "]" : "}";
      if (path.length === markDepth) mark = undefined;
      path.pop();
      continue;
    }
    inner.at += 1;
    if (at > 0) text += ",";
    const name = names?.[at];
    if (name !== undefined) text += `${JSON.stringify(name)}:`;
    write(of[name ?? at]);
  }
  return { text, media };
}

/** Whether a field stands in the text. In an array there is `null` for what does not. */
function isWritten(of: object, name: string): boolean {
  const value = (of as Record<string, unknown>)[name];
  return value !== undefined && typeof value !== "function" && typeof value !== "symbol" && !isMedia(value);
}

/** Whether a value holds the bytes of an image or a file, as the AI SDK, MCP and Anthropic's blocks write them. */
export function isMedia(value: unknown): value is Record<string, unknown> & { data: string } {
  if (typeof value !== "object" || value === null) return false;
  const { data, mediaType, mimeType, media_type } = value as Record<string, unknown>;
  return typeof data === "string" && [mediaType, mimeType, media_type].some((type) => typeof type === "string");
}
