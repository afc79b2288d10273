import type { CompactionEntry, MemoryFlushEntry, MessageEntry, TranscriptEntry } from "../core/entry.js";
import type { InboundMessage } from "../core/inbound.js";
import type { StatePatch } from "../core/state.js";

/** Makes inbound messages and entries with ids that count up, so that a test says only what it is about. */
export interface Builders {
  /** A message to the bot in a DM. */
  dm(peerId: string, text: string, more?: Partial<InboundMessage>): InboundMessage;
  /** A message in a group. */
  inGroup(groupId: string, sender: string, text: string, more?: Partial<InboundMessage>): InboundMessage;
  user(content: MessageEntry["content"], more?: Partial<MessageEntry>): MessageEntry;
  assistant(content: MessageEntry["content"], more?: Partial<MessageEntry>): MessageEntry;
  tool(content: MessageEntry["content"], more?: Partial<MessageEntry>): MessageEntry;
  state(patch: StatePatch): TranscriptEntry;
  clear(): TranscriptEntry;
  compaction(summary: string, firstKept: string, more?: Partial<CompactionEntry>): TranscriptEntry;
  /** As if the compaction had not been. */
  undo(of: string): TranscriptEntry;
  memoryFlush(status?: MemoryFlushEntry["status"]): TranscriptEntry;
  turn(of: string, status?: "completed" | "aborted" | "failed" | "interrupted"): TranscriptEntry;
}

/** Builders whose first message and entry have number 1. Entries are one second apart, from `start`. */
export function builders(start = Date.UTC(2026, 2, 18, 10)): Builders {
  let messages = 0;
  let entries = 0;
  const base = () => {
    entries += 1;
    return { timestamp: new Date(start + entries * 1000).toISOString(), id: `e${String(entries).padStart(4, "0")}` };
  };
  const message =
    (role: MessageEntry["role"]) =>
    (content: MessageEntry["content"], more: Partial<MessageEntry> = {}): MessageEntry => ({
      role,
      content,
      ...base(),
      ...more,
    });
  return {
    dm: (peerId, text, more = {}) => ({
      channel: "telegram",
      chatType: "dm",
      peerId,
      text,
      messageId: String(++messages),
      ...more,
    }),
    inGroup: (groupId, sender, text, more = {}) => ({
      channel: "telegram",
      chatType: "group",
      groupId,
      sender: { id: sender, name: sender },
      text,
      messageId: String(++messages),
      ...more,
    }),
    user: message("user"),
    assistant: message("assistant"),
    tool: message("tool"),
    state: (patch) => ({ type: "state", ...base(), patch }),
    clear: () => ({ type: "clear", ...base() }),
    compaction: (summary, firstKept, more = {}) => ({ type: "compaction", ...base(), summary, firstKept, ...more }),
    undo: (of) => ({ type: "undo", ...base(), of, lastCompaction: null, memoryFlush: null }),
    memoryFlush: (status = "completed") => ({ type: "memory-flush", ...base(), status }),
    turn: (of, status = "completed") => ({ type: "turn", ...base(), of, status }),
  };
}
