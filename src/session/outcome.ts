import {
  type CommandEntry,
  isEntryOf,
  isMessageEntry,
  type MessageEntry,
  type TranscriptEntry,
} from "../core/entry.js";
import type { SessionKey } from "../core/key.js";
import { textOf, type Usage } from "../core/message.js";
import { compactionReply } from "./compaction/compaction-outcome.js";

/** What became of an inbound message. A failed provider, storage or channel rejects instead, after the turn's end is stored. */
export type TurnOutcome =
  | { status: "replied"; key: SessionKey; text: string; messages: MessageEntry[]; usage?: Usage }
  /** The model had nothing to say: it answered `NO_REPLY`, or with tool steps alone. */
  | { status: "silent"; key: SessionKey }
  | { status: "command"; key: SessionKey; text: string }
  | { status: "ignored"; key: SessionKey; reason: "not-mentioned" | "send-policy" }
  /** A redelivery: nothing was done. `outcome` is that of the first delivery; absent when that failed or was cut off. */
  | { status: "duplicate"; key: SessionKey; outcome?: TurnOutcome }
  | { status: "aborted"; key: SessionKey; partial: string };

/** What a model answers when it has nothing to say. */
export const NO_REPLY = "NO_REPLY";

/**
 * The words to send: those of the turn's last message, when that is the assistant's and calls no tool. Words before a tool
 * call are on the way to an answer.
 */
function replyText(messages: readonly MessageEntry[]): string {
  const last = messages.at(-1);
  if (last?.role !== "assistant") return "";
  const callsTool = typeof last.content !== "string" && last.content.some((part) => part.type === "tool-call");
  return callsTool ? "" : textOf(last);
}

export function replyOutcome(key: SessionKey, messages: MessageEntry[], usage: Usage | undefined): TurnOutcome {
  const text = replyText(messages);
  if (text.trim() === "" || text.trim() === NO_REPLY) return { status: "silent", key };
  return { status: "replied", key, text, messages, ...(usage === undefined ? {} : { usage }) };
}

/** What became of a message as the transcript tells it: `entries` begin with the one that recorded it. */
export function storedOutcome(key: SessionKey, entries: readonly TranscriptEntry[]): TurnOutcome | undefined {
  const [first, ...later] = entries;
  if (first === undefined) return undefined;
  if (isEntryOf(first, "command")) return { status: "command", key, text: commandReply(first, later) };
  if (isMessageEntry(first) && !first.turn)
    return { status: "ignored", key, reason: first.unanswered ?? "not-mentioned" };
  const produced: MessageEntry[] = [];
  for (const entry of later) {
    if (isMessageEntry(entry) && entry.of === first.id) {
      produced.push(entry);
    } else if (isEntryOf(entry, "turn") && entry.of === first.id) {
      if (entry.status === "completed") return replyOutcome(key, produced, entry.usage ?? produced.at(-1)?.usage);
      return entry.status === "aborted" ? { status: "aborted", key, partial: partialText(produced) } : undefined;
    }
  }
  return undefined;
}

/** Where the message of another session stands, once its turn has begun. */
export function messageOf(entries: readonly TranscriptEntry[], run: string): number {
  return entries.findIndex((entry) => isMessageEntry(entry) && entry.provenance?.run === run);
}

// What came of a compaction was not known yet when the command was noted down.
function commandReply({ id, reply }: CommandEntry, later: readonly TranscriptEntry[]): string {
  const compaction = later.find((entry) => isEntryOf(entry, "compaction") && entry.of === id);
  if (compaction === undefined || !isEntryOf(compaction, "compaction")) return reply;
  const { messages = 0, tokensBefore = 0, tokensAfter = 0 } = compaction;
  return compactionReply({ status: "compacted", messages, tokensBefore, tokensAfter });
}

function partialText(messages: readonly MessageEntry[]): string {
  const last = messages.at(-1);
  return last?.stopReason === "aborted" ? textOf(last) : "";
}
