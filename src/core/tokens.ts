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
  // What has no break in it mostly repeats itself.
  let previous = "";
  let tokens = 0;
  for (const piece of textPieces(text)) {
    if (piece !== previous) tokens = count(piece);
    previous = piece;
    total += tokens;
  }
  return total;
}

// What frames a message in a prompt: OpenAI documents three tokens and one for the role, others much the same.
const MESSAGE_TOKENS = 4;
// About the most that Anthropic's models take for an image; OpenAI's take up to 1,105. How large it is cannot be told from here.
const MEDIA_TOKENS = 1600;

/**
 * An estimate of what a message takes in a prompt. Images and files count 1,600 tokens each, whatever they hold, also within the
 * result of a tool: what the provider reports is better in every case and wins where it is there.
 * @throws what JSON.stringify throws, of a message that could not be stored either.
 */
export function countMessageTokens({ content, name }: Pick<Message, "content" | "name">, count: CountText): number {
  const words = (text: string) => countLongText(text, count);
  const own = MESSAGE_TOKENS + (name === undefined ? 0 : words(name));
  if (typeof content === "string") return own + words(content);
  return content.reduce((sum, part) => sum + countPart(part, words), own);
}

function countPart(part: ContentPart, words: CountText): number {
  switch (part.type) {
    case "text":
    case "reasoning":
      return words(part.text);
    case "tool-call":
      return words(part.toolName) + countJson(part.input, words);
    case "tool-result":
      return countJson(part.output, words);
    case "image":
    case "file":
      return MEDIA_TOKENS;
    default:
      // A part that a newer version wrote: about as long as it is.
      return countJson(part, words);
  }
}

/** What a value takes as JSON, with media in it as media and not as the text that encodes them. */
function countJson(value: unknown, words: CountText): number {
  if (typeof value === "string") return words(value);
  let media = 0;
  const text = JSON.stringify(value, (_name, part: unknown) => {
    if (!isMedia(part)) return part;
    media += 1;
    return undefined;
  });
  return media * MEDIA_TOKENS + words(text ?? "");
}

function isMedia(part: unknown): boolean {
  if (typeof part !== "object" || part === null) return false;
  const { data, mediaType, mimeType, media_type } = part as Record<string, unknown>;
  return typeof data === "string" && [mediaType, mimeType, media_type].some((type) => typeof type === "string");
}
