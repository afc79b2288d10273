import { acceptedMessages, saysSomething, wellFormedText } from "./accepted.js";
import type { MessageEntry, TranscriptEntry } from "./entry.js";
import { enveloped, quoted, unlabelled } from "./envelope.js";
import type { ContentPart, Message } from "./message.js";
import { textOf } from "./message.js";
import { foldState } from "./record.js";
import type { LiveSubagent } from "./runs.js";
import { shortenMessage } from "./shorten.js";
import { initialState, type SessionState } from "./state.js";
import { pairToolCalls } from "./tool-pairs.js";
import { compactionInForce, type Window, windowOf } from "./window.js";

/** What a provider gets to see of a session. */
export interface Context {
  /** The summary of what is no longer in the window; `messages` already begins with it. */
  summary?: string;
  messages: Message[];
  state: SessionState;
}

export interface ContextOptions extends MessageOptions {
  /** The state to report. Default: folded from the entries, which are then assumed to be all of them. */
  state?: SessionState | undefined;
  /** Messages whose turns still run, as the record has them: a call of theirs without a result is told as running. Default: none. */
  openTurns?: readonly string[] | undefined;
  /** Sub-agents that are still at work. After a compaction the beginning names them, since their being spawned is out of the window. */
  subagents?: readonly LiveSubagent[] | undefined;
  /** Which images and files are shown: all, those since the last thing a person said, or none. Default `all`. */
  media?: "all" | "last-turn" | "none" | undefined;
}

/** How one message is shown. */
export interface MessageOptions {
  /** Put the sender's name before what a person said, as a room with several people needs. Default false. */
  nameSenders?: boolean | undefined;
  /** Results of tools with more UTF-16 units than this are cut in the copy, with a marker. Default: none is. */
  maxResultCharacters?: number | undefined;
}

/**
 * Builds what the model may see. Pure: the entries are not changed, and the same entries give the same context.
 *
 * Tool calls and results are paired, bookkeeping is left out, and text that a stopped or failed turn had already shown
 * is told as such instead of standing as something the assistant meant to say. The first message but for those of role
 * `system` is a user's, as most providers ask.
 *
 * What Anthropic or OpenAI would refuse is mended in the copy, so that no message ends a conversation, wherever it came
 * from: ids of calls are made to fit and unique, and names of tools to fit; the input of a call that is no object
 * becomes one, and a result without output says so; blank texts are left out, and messages of nothing but blanks,
 * reasoning or parts of types unknown here; images and files outside a user's message become a line that names them; a
 * `name` that does not fit is left out; half an emoji becomes U+FFFD; and the assistant's words, where they come last,
 * do not end in blanks. A message that needs none of this is shown as it was stored.
 *
 * A message of another session stands in an envelope, and a line of a person's that begins like one begins with `(` for `[`.
 */
export function buildContext(entries: Iterable<TranscriptEntry>, options: ContextOptions = {}): Context {
  const all = [...entries];
  const { media = "all", openTurns = [], subagents = [] } = options;
  const window = { ...windowOf(all), subagents: namedAt(all, subagents) };
  const { messages } = window;
  const summary = window.summary === undefined ? undefined : wellFormedText(window.summary);
  const asked = messages.findLastIndex(({ role }) => role === "user");
  const withMedia = { ...options, withoutMedia: false };
  const withoutMedia = { ...options, withoutMedia: true };
  const isShown = (at: number) => media === "all" || (media === "last-turn" && at >= asked);
  const shown = messages.map((entry, at) => shownMessage(entry, isShown(at) ? withMedia : withoutMedia));
  const open = new Set(openTurns);
  const isRunning = (at: number) => {
    const of = messages[at]?.of;
    return of !== undefined && open.has(of);
  };
  return {
    ...(summary === undefined ? {} : { summary }),
    messages: beginning({ ...window, summary }, acceptedMessages(pairToolCalls(shown, isRunning))),
    state: options.state ?? all.reduce(foldState, initialState("dm")),
  };
}

// What the host set up stays first; then what stands for all that is not here.
function beginning(window: Head, messages: readonly Message[]): Message[] {
  const first = messages.findIndex(({ role }) => role !== "system");
  if (first < 0) return [...messages, ...headOf(window)];
  const head = headOf(window);
  if (head.length === 0 && messages[first]?.role !== "user") head.push({ role: "user", content: BEGINNING });
  return [...messages.slice(0, first), ...head, ...messages.slice(first)];
}

const BEGINNING = "[The conversation begins here.]";

/** What there is to say before a window. */
interface Head extends Pick<Window, "summary" | "dropped"> {
  subagents: readonly LiveSubagent[];
}

/** The sub-agents that the beginning of a window names: those it could be thought to have forgotten. */
export function namedAt(
  entries: readonly TranscriptEntry[],
  subagents: readonly LiveSubagent[],
): readonly LiveSubagent[] {
  if (subagents.length === 0 || compactionInForce(entries) === undefined) return [];
  return subagents.filter(({ cleared }) => cleared === undefined);
}

/** The message that stands for what is not in a window any more. */
export function headOf({ summary, dropped, subagents }: Head): Message[] {
  const names = subagents.map(({ key, label }) =>
    label === undefined ? quoted(key) : `${quoted(key)} (${quoted(label)})`,
  );
  const lines = [
    ...(summary === undefined ? [] : [`[Summary of the conversation so far, made when it grew too long]\n${summary}`]),
    ...(dropped === 0 ? [] : [`[${dropped} earlier message(s) are left out here, because they did not fit.]`]),
    ...(names.length === 0 ? [] : [`[Sub-agents of yours that are still at work: ${names.join(", ")}]`]),
  ];
  return lines.length === 0 ? [] : [{ role: "user", content: lines.join("\n\n") }];
}

/** The message that an entry is shown as. */
export function shownMessage(
  entry: MessageEntry,
  { nameSenders = false, ...options }: MessageOptions & { withoutMedia?: boolean } = {},
): Message {
  if (entry.role === "assistant" && (entry.stopReason === "aborted" || entry.stopReason === "error")) {
    const why = entry.stopReason === "aborted" ? "was stopped" : "broke off";
    return { role: "user", content: `[The previous reply ${why} after: ${JSON.stringify(textOf(entry))}]` };
  }
  if (entry.provenance !== undefined && entry.role === "user")
    return { role: "user", content: enveloped(entry.provenance, textOf(entry)) };
  const { role, name, providerData, ...shortened } = shortenMessage(entry, options);
  const content = role === "user" ? withoutLabels(shortened.content) : shortened.content;
  const message: Message = {
    role,
    content,
    ...(name === undefined ? {} : { name }),
    ...(providerData === undefined ? {} : { providerData }),
  };
  return nameSenders && role === "user" && entry.sender !== undefined && isSpeech(content)
    ? withSender(message, entry.sender)
    : message;
}

// What another session's message is labelled with, no person's begins a line with.
function withoutLabels(content: Message["content"]): Message["content"] {
  if (typeof content === "string") return unlabelled(content);
  const parts = content.map((part) => {
    const text = part.type === "text" ? unlabelled(part.text) : "";
    return part.type === "text" && text !== part.text ? { ...part, text } : part;
  });
  return parts.every((part, at) => part === content[at]) ? content : parts;
}

// A name before nothing would make a message of it.
function isSpeech(content: Message["content"]): boolean {
  return saysSomething(typeof content === "string" ? content : content.filter(({ type }) => !type.startsWith("tool-")));
}

// In the text and not as the message's `name`: providers without a place for names drop those, and others refuse spaces.
// Later lines are indented, so that a message cannot begin a line with another speaker's name.
function withSender(message: Message, sender: { id: string; name?: string }): Message {
  const indented = (text: string) => text.replace(/\r\n|[\n\r\u2028\u2029]/g, "\n  ");
  const prefix = `${displayName(sender)}: `;
  const content: Message["content"] =
    typeof message.content === "string"
      ? prefix + indented(message.content)
      : [
          { type: "text", text: prefix } satisfies ContentPart,
          ...message.content.map((part) => (part.type === "text" ? { ...part, text: indented(part.text) } : part)),
        ];
  return { ...message, content };
}

// A name is the sender's own choice. On one line, without a colon, it cannot pass for the next speaker.
function displayName(sender: { id: string; name?: string }): string {
  const flat = (sender.name ?? sender.id).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}:]+/gu, " ").trim();
  return unlabelled(Array.from(flat).slice(0, 64).join("")) || "someone";
}
