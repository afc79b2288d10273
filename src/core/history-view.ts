import type { MessageEntry } from "./entry.js";
import { jsonBytes } from "./json.js";
import type { SessionKey } from "./key.js";
import { isSecretField, MASK, maskSecrets } from "./mask.js";
import type { ContentPart } from "./message.js";
import { cutText, mediaLine } from "./shorten.js";
import { isMedia } from "./tokens.js";

/** A message as another session's agent is shown it. */
export interface HistoryMessage {
  id: string;
  role: MessageEntry["role"];
  timestamp: string;
  /** Its words, with a line for each image or file. */
  content: string;
  /** The person who said it. */
  from?: string;
  /** The session that said it. A field of its own: people choose their names. */
  session?: SessionKey;
  toolCalls?: { toolName: string; input: unknown }[];
  toolResults?: { toolName: string; output: unknown; isError?: true }[];
}

export interface ViewOptions {
  /** Whether calls and results of tools are shown. Else messages that have nothing besides are left out. */
  includeTools: boolean;
  /** How large the list may be as JSON, in bytes of UTF-8. Less than 1,024, to which each message can be cut, means 1,024. Default 65,536. */
  maxBytes?: number | undefined;
}

type ToolCall = Extract<ContentPart, { type: "tool-call" }>;
type ToolResult = Extract<ContentPart, { type: "tool-result" }>;

const DEFAULT_BYTES = 65_536;
const LEAST_BYTES = 256;
const TEXT_CHARACTERS = 4000;
// A name says who it was within so much, an id and a time say all. Id and time take 576 of the least bytes at most, with six bytes
// for a character.
const NAME_CHARACTERS = 100;
const ID_CHARACTERS = 64;
const TIME_CHARACTERS = 32;
// To so much a text is cut before the rest of its message is left out. The marker takes 84.
const FEWEST_CHARACTERS = 120;

// So much of a longer text is looked through for secrets.
const MASKED_CHARACTERS = 32_768;
const MASKED_OF_NAMES = 8192;
// No secret that has a shape is longer: what a cut has left of one lies within so much of the cut.
const SECRET_CHARACTERS = 4096;

// Of one input or output. What is deeper or wider tells a reader nothing.
const DEPTH = 8;
const VALUES = 1000;

/**
 * What an agent may be shown of messages: the newest that fit, oldest first. Secrets are masked, long texts cut, media named; what
 * the model thought and what a provider keeps is not shown. `truncated`: something was cut, or an older message did not fit.
 */
export function viewMessages(
  messages: readonly MessageEntry[],
  { includeTools, maxBytes = DEFAULT_BYTES }: ViewOptions,
): { messages: HistoryMessage[]; truncated: boolean } {
  const shown: HistoryMessage[] = [];
  let truncated = false;
  let room = Math.max(maxBytes, LEAST_BYTES) - "[]".length;
  for (const entry of [...messages].reverse()) {
    const view = new View(TEXT_CHARACTERS, VALUES);
    const message = view.message(entry, includeTools);
    if (message === undefined) continue;
    const size = jsonBytes(message);
    // Written so that a limit that is no number shows one message, and not all.
    if (!(size <= room)) {
      if (shown.length === 0) shown.push(viewToFit(entry, message, room));
      truncated = true;
      break;
    }
    shown.push(message);
    truncated ||= view.hasCut;
    room -= size + ",".length;
  }
  return { messages: shown.reverse(), truncated };
}

/** Whether there is anything of a message to show. */
export function showsAnything({ role, content }: MessageEntry, includeTools: boolean): boolean {
  if (role === "tool" && !includeTools) return false;
  const isTraffic = ({ type }: ContentPart) => type === "tool-call" || type === "tool-result";
  return wordsOf(content).trim() !== "" || (includeTools && typeof content !== "string" && content.some(isTraffic));
}

/** A message that is too large, with ever less of each text and value, and at last without all that can be done without. */
function viewToFit(entry: MessageEntry, whole: HistoryMessage, room: number): HistoryMessage {
  const includeTools = whole.toolCalls !== undefined || whole.toolResults !== undefined;
  for (let characters = TEXT_CHARACTERS / 2; characters >= FEWEST_CHARACTERS; characters /= 2) {
    const values = Math.floor((VALUES * characters) / TEXT_CHARACTERS);
    const message = new View(characters, values).message(entry, includeTools);
    if (message !== undefined && jsonBytes(message) <= room) return message;
  }
  const { id, role, timestamp, content } = whole;
  const bare = { id, role, timestamp, content: cutText(content, FEWEST_CHARACTERS, false) };
  return content !== "" && jsonBytes(bare) <= room ? bare : { ...bare, content: "[… too large to be shown …]" };
}

/** How one message is shown, with at most so many characters of each text and so many values of each input and output. */
class View {
  hasCut = false;
  readonly #characters: number;
  readonly #values: number;

  constructor(characters: number, values: number) {
    this.#characters = characters;
    this.#values = values;
  }

  /** `undefined` when there is nothing of it to show. */
  message(message: MessageEntry, includeTools: boolean): HistoryMessage | undefined {
    if (!showsAnything(message, includeTools)) return undefined;
    const { id, role, timestamp, ...entry } = message;
    const content = this.#text(wordsOf(entry.content));
    const traffic = includeTools && typeof entry.content !== "string" ? entry.content : [];
    const toolCalls = traffic.filter((part) => part.type === "tool-call").map((part) => this.#call(part));
    const toolResults = traffic.filter((part) => part.type === "tool-result").map((part) => this.#result(part));
    const name = entry.sender?.name ?? entry.sender?.id;
    // A key is what one answers to, so it stays as it is; it has 1,024 bytes at most.
    const from = name === undefined ? undefined : this.#name(name, NAME_CHARACTERS);
    const session = entry.provenance?.from;
    return {
      id: this.#name(id, ID_CHARACTERS),
      role,
      timestamp: this.#name(timestamp, TIME_CHARACTERS),
      content,
      ...(from === undefined ? {} : { from }),
      ...(session === undefined ? {} : { session }),
      ...(toolCalls.length === 0 ? {} : { toolCalls }),
      ...(toolResults.length === 0 ? {} : { toolResults }),
    };
  }

  #call({ toolName, input }: ToolCall) {
    return { toolName: this.#name(toolName, NAME_CHARACTERS), input: this.#value(input) };
  }

  #result({ toolName, output, isError }: ToolResult) {
    const result = { toolName: this.#name(toolName, NAME_CHARACTERS), output: this.#value(output) };
    return isError === true ? { ...result, isError } : result;
  }

  #name(text: string, characters: number): string {
    const masked = maskedHead(text, MASKED_OF_NAMES);
    if (masked.length <= characters && text.length <= MASKED_OF_NAMES) return masked;
    this.hasCut = true;
    return `${trimHalves(masked.slice(0, characters - 1))}…`;
  }

  /** Masked first and then cut, so that no cut leaves half of a secret. */
  #text(text: string): string {
    const words = text.replace(DATA_URL, (_url, mediaType: string) => lineOf({ mediaType }));
    if (words.length <= MASKED_CHARACTERS) {
      const masked = maskSecrets(words);
      const cut = cutText(masked, this.#characters, false);
      this.hasCut ||= cut !== masked;
      return cut;
    }
    this.hasCut = true;
    // A marker takes less than that.
    const room = this.#characters - 60;
    const head = trimHalves(maskedHead(words, MASKED_CHARACTERS / 2).slice(0, room * 0.7));
    const tail = trimHalves(maskedTail(words, MASKED_CHARACTERS / 2).slice(room * -0.3));
    return `${head} [… ${words.length - head.length - tail.length} characters left out …] ${tail}`;
  }

  #value(root: unknown): unknown {
    let left = this.#values;
    const leftOut = (what: string) => {
      this.hasCut = true;
      return `[… ${what} left out …]`;
    };
    const walk = (value: unknown, depth: number, name = ""): unknown => {
      left -= 1;
      if (typeof value === "string" || typeof value === "number") return this.#leaf(value, name);
      if (typeof value !== "object" || value === null) return value;
      const media = mediaOf(value);
      if (media !== undefined) return lineOf(media);
      if (depth === DEPTH) return leftOut("what is deeper");
      const shown: [name: string, value: unknown][] = [];
      const names = Object.keys(value);
      for (const field of names) {
        if (left <= 0) {
          shown.push(["…", leftOut(`${names.length - shown.length} more`)]);
          break;
        }
        const inner = walk((value as Record<string, unknown>)[field], depth + 1, Array.isArray(value) ? name : field);
        shown.push([Array.isArray(value) ? field : this.#name(field, NAME_CHARACTERS), inner]);
      }
      // Unlike an assignment, this makes a field of `__proto__` too.
      return Array.isArray(value) ? shown.map(([, part]) => part) : Object.fromEntries(shown);
    };
    return walk(root, 0);
  }

  #leaf(value: string | number, name: string): unknown {
    if (isSecretField(name.slice(-NAME_CHARACTERS), String(value))) return MASK;
    if (typeof value === "number") return value;
    return BYTES_NAME.test(name) && BYTES.test(value) ? lineOf({}) : this.#text(value);
  }
}

/** The words of a message, with a line for each medium. What follows without one in between may be one secret. */
function wordsOf(content: MessageEntry["content"]): string {
  if (typeof content === "string") return content;
  const lines: string[] = [];
  let isOpen = false;
  for (const part of content) {
    if (part.type === "text") {
      if (isOpen) lines.push(`${lines.pop()}${part.text}`);
      else lines.push(part.text);
      isOpen = true;
    } else if (part.type === "image" || part.type === "file") {
      lines.push(lineOf(part, part.type));
      isOpen = false;
    }
  }
  return lines.join("\n");
}

const DATA_URL = /data:([\w.+-]{1,60}\/[\w.+-]{1,60})(?:;[\w.=+-]{1,60}){0,5};base64,[\w+/=%-]*/gi;
const BYTES_NAME = /^(?:data|blob|bytes|base64|b64_json)$/i;
const BYTES = /^[\w+/=-]{200,}$/;

/** What is to be named instead of shown: media, Anthropic's blocks around them, and bytes that JSON made numbers of. */
function mediaOf(value: object): Record<string, unknown> | undefined {
  if (isMedia(value)) return value;
  const { type, source, data, 0: first, 63: later } = value as Record<string | number, unknown>;
  if ((type === "image" || type === "document") && isMedia(source)) return source;
  const isBuffer = type === "Buffer" && Array.isArray(data);
  const isByteArray = !Array.isArray(value) && typeof first === "number" && typeof later === "number";
  return isBuffer || isByteArray ? {} : undefined;
}

/** Names a medium. What it is called may hold a secret, and is cut when it becomes part of the line. */
function lineOf(media: object, kind?: string): string {
  const known: Record<string, string> = {};
  for (const [name, value] of Object.entries(media))
    if (MEDIA_NAMES.has(name) && typeof value === "string") known[name] = maskedHead(value, MASKED_OF_NAMES);
  const type = known.mediaType ?? known.mimeType ?? known.media_type ?? "";
  return mediaLine(kind ?? (type.startsWith("image/") ? "image" : "file"), known);
}

const MEDIA_NAMES: ReadonlySet<string> = new Set(["mediaType", "mimeType", "media_type", "filename", "name", "url"]);

function maskedHead(text: string, characters: number): string {
  if (text.length <= characters) return maskSecrets(text);
  return maskSecrets(text.slice(0, characters)).slice(0, -SECRET_CHARACTERS);
}

function maskedTail(text: string, characters: number): string {
  return maskSecrets(text.slice(-characters)).slice(SECRET_CHARACTERS);
}

/** Without the half of a character that a cut has left at either end. */
const trimHalves = (text: string) => text.replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, "");
