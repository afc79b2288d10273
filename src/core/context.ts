import type { MessageEntry, TranscriptEntry } from "./entry.js";
import type { ContentPart, Message } from "./message.js";
import { textOf } from "./message.js";
import { foldState } from "./record.js";
import { initialState, type SessionState } from "./state.js";
import { pairToolCalls } from "./tool-pairs.js";
import { windowOf } from "./window.js";

/** What a provider gets to see of a session. */
export interface Context {
  /** The summary of what is no longer in the window; `messages` already begins with it. */
  summary?: string;
  messages: Message[];
  state: SessionState;
}

export interface ContextOptions {
  /** Put the sender's name before what a person said, as a room with several people needs. Default false. */
  nameSenders?: boolean | undefined;
  /** The state to report. Default: folded from the entries, which are then assumed to be all of them. */
  state?: SessionState | undefined;
}

/**
 * Builds what the model may see. Pure: the entries are not changed, and the same entries give the same context.
 *
 * Tool calls and results are paired, bookkeeping is left out, and text that a stopped or failed turn had already shown is
 * told as such instead of standing as something the assistant meant to say.
 */
export function buildContext(entries: Iterable<TranscriptEntry>, options: ContextOptions = {}): Context {
  const all = [...entries];
  const { summary, messages } = windowOf(all);
  const shown = messages.map((entry) => toMessage(entry, options.nameSenders ?? false));
  const summaryMessage: Message[] =
    summary === undefined
      ? []
      : [{ role: "user", content: `[Summary of the conversation so far, made when it grew too long]\n${summary}` }];
  return {
    ...(summary === undefined ? {} : { summary }),
    messages: [...summaryMessage, ...pairToolCalls(shown)],
    state: options.state ?? all.reduce(foldState, initialState("dm")),
  };
}

function toMessage(entry: MessageEntry, nameSenders: boolean): Message {
  if (entry.role === "assistant" && (entry.stopReason === "aborted" || entry.stopReason === "error")) {
    const why = entry.stopReason === "aborted" ? "was stopped" : "broke off";
    return { role: "user", content: `[The previous reply ${why} after: ${JSON.stringify(textOf(entry))}]` };
  }
  const { role, content, name, providerData } = entry;
  const message: Message = {
    role,
    content,
    ...(name === undefined ? {} : { name }),
    ...(providerData === undefined ? {} : { providerData }),
  };
  return nameSenders && role === "user" && entry.sender !== undefined ? withSender(message, entry.sender) : message;
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
  return Array.from(flat).slice(0, 64).join("") || "someone";
}
