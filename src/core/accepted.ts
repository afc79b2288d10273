import type { ContentPart, Message } from "./message.js";
import { mediaLine } from "./shorten.js";

// OpenAI takes 64 of these for the name of a tool and of a speaker; Anthropic takes the same signs and more of them.
const NAME_CHARACTERS = 64;
const SPEAKER = /^[a-zA-Z0-9_-]{1,64}$/;

/** What a result that holds nothing is told as. */
const NO_OUTPUT = "The tool gave no output.";

/**
 * A copy of the messages of a context, in which each is one that Anthropic and OpenAI take. Calls must have their
 * results already. Never changes what it was given; a message that needs nothing is the same object.
 *
 * Blank texts are left out, and reasoning that nothing follows, and messages in which nothing else is left. Only a user
 * shows images and files; in the mouth of others a line names them. Names of tools become `[a-zA-Z0-9_-]{1,64}`, and a
 * speaker's name that is not so is left out. The input of a call is an object, a result has an output, half an emoji
 * becomes U+FFFD, and if the assistant speaks last, its words do not end in blanks. Parts of types unknown here stay,
 * beside others.
 */
export function acceptedMessages(messages: readonly Message[]): Message[] {
  const accepted = messages.flatMap((message) => acceptedMessage(message) ?? []);
  // A host may hand the system's messages over apart from the others.
  const last = accepted.findLastIndex(({ role }) => role !== "system");
  const message = accepted[last];
  if (message?.role === "assistant") accepted[last] = withoutBlankEnd(message);
  return accepted;
}

function acceptedMessage(message: Message): Message | undefined {
  const content = acceptedContent(message);
  if (!saysSomething(content)) return undefined;
  const { name, ...unnamed } = message;
  if (name !== undefined && !SPEAKER.test(name)) return wellFormed({ ...unnamed, content });
  return wellFormed(content === message.content ? message : { ...message, content });
}

function acceptedContent({ role, content }: Message): Message["content"] {
  if (typeof content === "string") return content;
  const said = content.findLastIndex(partSaysSomething);
  const parts = content.flatMap((part, at) => {
    if (part.type === "reasoning") return role === "assistant" && at < said ? part : [];
    return isBlank(part) ? [] : acceptedPart(part, role);
  });
  return parts.length === content.length && parts.every((part, at) => part === content[at]) ? content : parts;
}

function acceptedPart(part: ContentPart, role: Message["role"]): ContentPart {
  if (part.type === "image" || part.type === "file")
    return role === "user" ? part : { type: "text", text: mediaLine(part.type, part) };
  if (part.type !== "tool-call" && part.type !== "tool-result") return part;
  const toolName = fittingName(part.toolName, NAME_CHARACTERS);
  if (part.type === "tool-call") {
    const input = objectOf(part.input);
    return toolName === part.toolName && input === part.input ? part : { ...part, toolName, input };
  }
  const { output = NO_OUTPUT } = part;
  return toolName === part.toolName && output === part.output ? part : { ...part, toolName, output };
}

/** A name or an id of the signs that every provider takes, and at most so many of them. What fits stays as it is. */
export function fittingName(name: string, characters: number): string {
  return name.slice(0, characters).replace(/[^a-zA-Z0-9_-]/g, "_") || "_";
}

function objectOf(input: unknown): unknown {
  if (typeof input === "object" && input !== null && !Array.isArray(input)) return input;
  return input === undefined ? {} : { input };
}

function withoutBlankEnd(message: Message): Message {
  const { content } = message;
  if (typeof content === "string") {
    const trimmed = content.trimEnd();
    return trimmed === content ? message : { ...message, content: trimmed };
  }
  const last = content.findLastIndex(partSaysSomething);
  const part = content[last];
  if (part?.type !== "text") return message;
  const text = part.text.trimEnd();
  return text === part.text ? message : { ...message, content: content.with(last, { ...part, text }) };
}

/** Whether a provider is shown anything of it: reasoning alone, blanks, and parts of types unknown here are nothing. */
export function saysSomething(content: Message["content"]): boolean {
  return typeof content === "string" ? content.trim() !== "" : content.some(partSaysSomething);
}

const SAYING: ReadonlySet<string> = new Set(["text", "image", "file", "tool-call", "tool-result"]);

const partSaysSomething = (part: ContentPart) => SAYING.has(part.type) && !isBlank(part);
const isBlank = (part: ContentPart) => part.type === "text" && part.text.trim() === "";

/** The text with U+FFFD for each half of a pair: as JSON it would be refused by strict parsers. */
export function wellFormedText(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/**
 * A copy in which all texts and names of fields are well-formed; the same value if they are. No call for each level:
 * any depth can be stored.
 */
function wellFormed<T>(root: T): T {
  if (isWellFormed(root)) return root;
  const copies = new Map<object, object>();
  const copyOf = (value: unknown): unknown => {
    if (typeof value === "string") return wellFormedText(value);
    if (!isContainer(value)) return value;
    const copy = copies.get(value) ?? (Array.isArray(value) ? [] : {});
    copies.set(value, copy);
    return copy;
  };
  const copy = copyOf(root);
  // A map is walked through to its end, whatever is added on the way.
  // An assignment to `__proto__` would set the prototype.
  for (const [from, to] of copies)
    for (const [name, value] of Object.entries(from))
      Object.defineProperty(to, wellFormedText(name), {
        value: copyOf(value),
        enumerable: true,
        writable: true,
        configurable: true,
      });
  return copy as T;
}

function isWellFormed(root: unknown): boolean {
  if (isContainer(root) && isOfTexts(root)) return true;
  const seen = new Set<object>();
  const isBad = (value: unknown): boolean => {
    if (isContainer(value)) seen.add(value);
    return typeof value === "string" && /\p{Surrogate}/u.test(value);
  };
  if (isBad(root)) return false;
  for (const next of seen) {
    if (Array.isArray(next) ? next.some(isBad) : Object.entries(next).some((field) => field.some(isBad))) return false;
  }
  return true;
}

// What most messages are. Asked of every message of every prompt, so that the walk below would be felt.
function isOfTexts(value: object): boolean {
  for (const name in value) {
    const field = (value as Record<string, unknown>)[name];
    if (typeof field !== "string" || HALF.test(field)) return false;
  }
  return true;
}

// Without the flag `u` a pair is two halves, which is the same answer sooner in texts that have neither.
const HALF = /[\ud800-\udfff]/;

const isContainer = (value: unknown): value is object => typeof value === "object" && value !== null;
