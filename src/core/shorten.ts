import type { ContentPart, Message } from "./message.js";
import { isMedia, textOfValue } from "./tokens.js";

export interface ShortenOptions {
  /**
   * A tool result that is longer than so many UTF-16 units is cut in the copy, with a marker, to at most so many. What is
   * measured is the output itself where it is a text, else its JSON without the media in it. Less than 200 means 200, since the
   * marker needs room. Default: none is cut.
   */
  maxResultCharacters?: number | undefined;
  /** Images and files (parts `image` and `file`, and media inside tool results) are replaced by a line that names them. Default false. */
  withoutMedia?: boolean | undefined;
}

type ToolResult = Extract<ContentPart, { type: "tool-result" }>;

// A cut below this would leave little more than its marker, which takes up to 84 characters.
const SHORTEST = 120;
const SMALLEST_LIMIT = 200;
const HEAD_SHARE = 0.7;
const NAME_CHARACTERS = 100;

/**
 * A copy fit for a tight prompt; the same object when nothing had to change. Never changes what it was given.
 * The results of tools keep their shape where cutting their texts is enough. Else they become a text of their JSON.
 */
export function shortenMessage<T extends Pick<Message, "role" | "content">>(message: T, options: ShortenOptions): T {
  if (typeof message.content === "string") return message;
  const content = message.content.map((part) => shortenPart(part, options));
  return content.every((part, at) => part === message.content[at]) ? message : { ...message, content };
}

/** Whether a message holds media that `withoutMedia` would take out. */
export function hasMedia({ content }: Pick<Message, "content">): boolean {
  return typeof content !== "string" && content.some(partHasMedia);
}

function partHasMedia(part: ContentPart): boolean {
  if (part.type === "image" || part.type === "file") return true;
  return part.type === "tool-result" && valueHasMedia(part.output);
}

function shortenPart(part: ContentPart, { maxResultCharacters, withoutMedia = false }: ShortenOptions): ContentPart {
  if (withoutMedia && (part.type === "image" || part.type === "file"))
    return { type: "text", text: mediaLine(part.type, part) };
  if (part.type !== "tool-result") return part;
  let { output } = part;
  if (withoutMedia && valueHasMedia(output)) output = nameMedia(output);
  if (maxResultCharacters !== undefined) output = cutOutput(output, Math.max(maxResultCharacters, SMALLEST_LIMIT));
  return output === part.output ? part : ({ ...part, output } satisfies ToolResult);
}

function valueHasMedia(value: unknown): boolean {
  return someLeaf(value, (leaf) => typeof leaf !== "string");
}

/** The value with a text part in the place of each medium, and of the block around it where a provider has one. */
function nameMedia(value: unknown): unknown {
  return rewrite(value, (part) => {
    const media = mediaOf(part);
    if (media === undefined) return part;
    const type = typeOfMedia(media);
    return { type: "text", text: mediaLine(type.startsWith("image/") ? "image" : "file", media) };
  });
}

function mediaOf(value: unknown): Record<string, unknown> | undefined {
  if (isMedia(value)) return value;
  if (!isContainer(value)) return undefined;
  // Anthropic's blocks: the bytes are in the source, where no text can stand.
  const { type, source } = value as Record<string, unknown>;
  return (type === "image" || type === "document") && isMedia(source) ? source : undefined;
}

const typeOfMedia = ({ mediaType, mimeType, media_type }: Record<string, unknown>) =>
  [mediaType, mimeType, media_type].find((type) => typeof type === "string") ?? "";

export function mediaLine(kind: string, media: Record<string, unknown>): string {
  const { filename, name, url } = media;
  const link = typeof url === "string" && !/^data:/i.test(url) ? url : undefined;
  const known = [filename, name, link].find((one) => typeof one === "string" && one !== "");
  const words = `${kind} ${inLine(typeOfMedia(media))}`.trim();
  return `[${words} not shown here${known === undefined ? "" : `: ${inLine(known as string)}`}]`;
}

/** What a stranger may have chosen, as part of a line. */
function inLine(text: string): string {
  const start = text.slice(0, headEnd(text, NAME_CHARACTERS, false));
  return start.replace(/[\s\p{Cc}]+/gu, " ").trim();
}

function cutOutput(output: unknown, limit: number): unknown {
  const whole = textOfValue(output);
  const size = whole.text.length;
  // Written so that a limit that is no number cuts nothing.
  if (!(size > limit)) return output;
  if (typeof output === "string") return cutText(output, limit, false);
  const cap = capOf(output, size, limit);
  if (cap === undefined) return cutToText(output, whole, limit);
  return rewrite(output, (part) => (typeof part === "string" ? cutText(part, cap, true) : part));
}

/** To how much each long text in it is to be cut so that the whole fits, if that can be had so. */
function capOf(output: unknown, size: number, limit: number): number | undefined {
  const long: number[] = [];
  let least = 0;
  const isTooMuch = someLeaf(output, (leaf) => {
    if (typeof leaf !== "string") return false;
    // In JSON one character can take six.
    const length = leaf.length > SHORTEST / 6 ? jsonLength(leaf) : leaf.length;
    if (length > SHORTEST) long.push(length);
    least += Math.min(length, SHORTEST);
    return least > limit;
  });
  if (isTooMuch) return undefined;
  long.sort((one, other) => one - other);
  let room = long.reduce((rest, length) => rest + length, limit - size);
  for (const [at, length] of long.entries()) {
    const share = Math.floor(room / (long.length - at));
    if (length > share) return share < SHORTEST ? undefined : share;
    room -= length;
  }
  return undefined;
}

// The outputs of the AI SDK's tools. Its errors stay errors.
const TEXT_TYPES = new Map([
  ["text", "text"],
  ["json", "text"],
  ["content", "text"],
  ["error-text", "error-text"],
  ["error-json", "error-text"],
]);

function cutToText(output: unknown, whole: { text: string; media: number }, limit: number): unknown {
  const { type: was, value } = output as Record<string, unknown>;
  const type = typeof was === "string" && value !== undefined ? TEXT_TYPES.get(was) : undefined;
  const said = type === undefined ? output : value;
  const bare = type === undefined ? whole : textOfValue(said);
  const { text } = bare.media === 0 ? bare : textOfValue(nameMedia(said));
  if (type === undefined) return cutText(text, limit, false);
  return { type, value: cutText(text, limit - JSON.stringify({ type, value: "" }).length, true) };
}

const jsonLength = (text: string) => JSON.stringify(text).length - 2;

/** The head and the tail of a text, and between them how much is missing. `isInJson`: its room is what it takes in JSON. */
export function cutText(text: string, room: number, isInJson: boolean): string {
  if ((isInJson ? jsonLength(text) : text.length) <= room) return text;
  const free = room - marker(text.length).length;
  const head = headEnd(text, free * HEAD_SHARE, isInJson);
  const tail = tailStart(text, free * (1 - HEAD_SHARE), isInJson);
  return text.slice(0, head) + marker(tail - head) + text.slice(tail);
}

const marker = (characters: number) =>
  ` [… ${characters} characters left out, the whole is in the transcript of the session …] `;

/** So far reaches what fits the room from the beginning on. */
function headEnd(text: string, room: number, isInJson: boolean): number {
  let at = 0;
  for (let left = room; at < text.length; ) {
    const units = isPair(text, at) ? 2 : 1;
    left -= isInJson && units === 1 ? unitLength(text.charCodeAt(at)) : units;
    if (left < 0) break;
    at += units;
  }
  return at;
}

/** From there on what is left to the end fits the room. */
function tailStart(text: string, room: number, isInJson: boolean): number {
  let at = text.length;
  for (let left = room; at > 0; ) {
    const units = isPair(text, at - 2) ? 2 : 1;
    left -= isInJson && units === 1 ? unitLength(text.charCodeAt(at - 1)) : units;
    if (left < 0) break;
    at -= units;
  }
  return at;
}

const isPair = (text: string, at: number) => (text.codePointAt(at) ?? 0) > 0xffff;

/** What JSON takes for a unit that is not half of a pair. */
function unitLength(unit: number): number {
  if (unit === 0x22 || unit === 0x5c) return 2;
  if (unit >= 0x20) return unit >= 0xd800 && unit <= 0xdfff ? 6 : 1;
  return (unit >= 0x08 && unit <= 0x0a) || unit === 0x0c || unit === 0x0d ? 2 : 6;
}

const isContainer = (value: unknown): value is object => typeof value === "object" && value !== null;

/** Whether one of the texts and media of a value is such; in no order. No call for each level, here and below: any depth can be stored. */
function someLeaf(root: unknown, isSuch: (leaf: unknown) => boolean): boolean {
  const todo: object[] = [];
  const look = (value: unknown): boolean => {
    if (typeof value === "string" || isMedia(value)) return isSuch(value);
    if (isContainer(value)) todo.push(value);
    return false;
  };
  if (look(root)) return true;
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (Array.isArray(next)) {
      if (next.some(look)) return true;
    } else for (const name of Object.keys(next)) if (look((next as Record<string, unknown>)[name])) return true;
  }
  return false;
}

/** A copy in which each value is what `change` makes of it. What it replaces, and media, are not looked into. */
function rewrite(root: unknown, change: (value: unknown) => unknown): unknown {
  const todo: [from: object, to: object][] = [];
  const place = (value: unknown): unknown => {
    const changed = change(value);
    if (changed !== value || !isContainer(value) || isMedia(value)) return changed;
    const copy = Array.isArray(value) ? [] : {};
    todo.push([value, copy]);
    return copy;
  };
  const result = place(root);
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    const [from, to] = next;
    if (Array.isArray(from)) for (const part of from) (to as unknown[]).push(place(part));
    // An assignment to `__proto__` would set the prototype.
    else
      for (const name of Object.keys(from)) {
        const value = place((from as Record<string, unknown>)[name]);
        // An assignment to this name would set the prototype.
        if (name === "__proto__")
          Object.defineProperty(to, name, { value, enumerable: true, writable: true, configurable: true });
        else (to as Record<string, unknown>)[name] = value;
      }
  }
  return result;
}
