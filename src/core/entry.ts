import type { SessionKey } from "./key.js";
import type { Message, Usage } from "./message.js";
import type { StatePatch } from "./state.js";

/** What every line of a transcript has besides what it says. */
export interface EntryBase {
  /** A monotonic ULID. A line written by someone else without an id is named after its place, such as `@1842`. */
  id: string;
  /** ISO 8601 in UTC. */
  timestamp: string;
}

/** A line the model may see. What is not part of `Message` is bookkeeping and never reaches the provider. */
export interface MessageEntry extends Message, EntryBase {
  /** The platform's id of the message, with `address` the name under which a redelivery is recognised. */
  messageId?: string;
  /** Where it came from: `telegram:default:dm:42`. */
  address?: string;
  sender?: { id: string; name?: string };
  /** It came from another session, and not from a person. */
  provenance?: Provenance;
  /** This message began a turn, which ends with a turn entry that names it. */
  turn?: true;
  /** Why this message of a group was kept without being answered. */
  unanswered?: "not-mentioned" | "send-policy";
  /** The message whose turn produced this one. */
  of?: string;
  usage?: Usage;
  model?: string;
  /** Why the text ends where it does, when that is not the model's own full stop: `aborted`, `error`, or the provider's word. */
  stopReason?: string;
  /** Written after a clear by a turn that began before it: readable, but out of the window from the start. */
  cleared?: true;
  /** Stays in the window as it is, whatever a compaction takes out. */
  pinned?: true;
  /** The provider was sent, or read, less than the window holds, so its `usage` says nothing of the window's size. */
  truncated?: true;
}

/** Where a message between sessions came from. */
export interface Provenance {
  /** `inter-session`: sent. `task`: what a sub-agent was spawned for. `sub-agent`: what became of one. */
  kind: "inter-session" | "task" | "sub-agent";
  /** The session that sent it. */
  from: SessionKey;
  /** How many messages between sessions, this one included, lie between what a person said and this. */
  hops: number;
  /** The sessions whose turns led to it, oldest first: none of them may be sent to from here. */
  chain: SessionKey[];
  /** Names the turn it asks for. */
  run: string;
  /** It answers a message of this session's own. */
  reply?: true;
  /** How the sub-agent ended, and what it is called. */
  status?: SubagentEnd;
  label?: string;
}

/** How a sub-agent ended: one of these, once. */
export const SUBAGENT_ENDS = ["completed", "failed", "timed_out", "killed", "orphaned"] as const;
export type SubagentEnd = (typeof SUBAGENT_ENDS)[number];

/**
 * A message from another session that has been accepted and waits for its turn. Its id names the run; the message's own line is
 * written when the turn begins.
 */
export interface RunEntry extends EntryBase {
  type: "run";
  content: string;
  provenance: Provenance;
}

/** A sub-agent of this session was made. */
export interface SpawnEntry extends EntryBase {
  type: "spawn";
  child: SessionKey;
  /** Names the turn in which it does its task. */
  run: string;
  mode: "run" | "start";
  label?: string;
  cleanup?: "delete";
}

/** A sub-agent of this session has ended. The first for a `run` counts. */
export interface SpawnEndEntry extends EntryBase {
  type: "spawn-end";
  child: SessionKey;
  run: string;
  status: SubagentEnd;
  error?: { code: string };
  /** What it has cost, with its own sub-agents. */
  usage?: Usage;
}

/** The session of a sub-agent that has ended, and was not to be kept, is deleted. */
export interface SpawnDeletedEntry extends EntryBase {
  type: "spawn-deleted";
  child: SessionKey;
  run: string;
}

/** A change of the session's settings. */
export interface StateEntry extends EntryBase {
  type: "state";
  patch: StatePatch;
}

/** How the turn of message `of` ended. Every turn has exactly one. */
export interface TurnEntry extends EntryBase {
  type: "turn";
  of: string;
  status: "completed" | "aborted" | "failed" | "interrupted";
  error?: { code: string };
  /** What the last call cost, when every message of the turn had been stored before it was known. */
  usage?: Usage;
  /** As in a message. */
  truncated?: true;
}

/** A barrier: what stands before it is out of the window, what was set stays set. */
export interface ClearEntry extends EntryBase {
  type: "clear";
}

/** What asked for a compaction. */
export type CompactionCause = "threshold" | "overflow" | "command" | "host";

/** A summary stands for everything in the window before `firstKept` that is not among `kept`. */
export interface CompactionEntry extends EntryBase {
  type: "compaction";
  /** Carries on the summary before it. Empty when nothing has been told of what left. */
  summary: string;
  firstKept: string;
  /** Messages from before `firstKept` that stay. Copies, so that a window is read without what stands before it. */
  kept?: MessageEntry[];
  /** How many messages since the last clear have left without being told in a summary. */
  dropped?: number;
  /** The size of the next prompt, before and after. */
  tokensBefore?: number;
  tokensAfter?: number;
  cause?: CompactionCause;
  /** The command that asked for it. */
  of?: string;
  /** How many messages left the window. */
  messages?: number;
  /** The model that wrote the summary, and what that cost. */
  model?: string;
  usage?: Usage;
}

/** Compaction `of` counts as not having been; what has been said since stays. */
export interface UndoEntry extends EntryBase {
  type: "undo";
  of: string;
  /** What the record said before that compaction. */
  lastCompaction: string | null;
  memoryFlush: FlushAttempt | null;
}

/** An attempt to flush memory, as a record has it. */
export interface FlushAttempt {
  at: string;
  status: "completed" | "failed";
  code?: string;
}

/** What a request of the library's own has cost whose answer was not used. */
export interface UsageEntry extends EntryBase {
  type: "usage";
  purpose: string;
  usage: Usage;
  model?: string;
}

/** The model was asked to save what it must not forget, before a compaction. */
export interface MemoryFlushEntry extends EntryBase {
  type: "memory-flush";
  status: "completed" | "failed";
  error?: { code: string };
  /** It was of the history that a clear had put out of the window by then. */
  cleared?: true;
  model?: string;
  usage?: Usage;
}

/** A command someone gave, and what it was answered. */
export interface CommandEntry extends EntryBase {
  type: "command";
  command: string;
  reply: string;
  refused?: true;
  messageId?: string;
  address?: string;
  sender?: { id: string; name?: string };
}

/** The reply of turn `of` did not reach the channel. */
export interface DeliveryEntry extends EntryBase {
  type: "delivery";
  of: string;
  status: "failed";
  error: { code: string };
}

/** An entry of a type this version does not know: kept and passed over. */
export interface UnknownEntry extends EntryBase {
  type: string;
  [field: string]: unknown;
}

/** One line of a transcript after its header: a message, or something with a `type`. */
export type TranscriptEntry =
  | MessageEntry
  | StateEntry
  | TurnEntry
  | ClearEntry
  | CompactionEntry
  | UndoEntry
  | MemoryFlushEntry
  | UsageEntry
  | CommandEntry
  | DeliveryEntry
  | RunEntry
  | SpawnEntry
  | SpawnEndEntry
  | SpawnDeletedEntry
  | UnknownEntry;

export function isMessageEntry(entry: TranscriptEntry): entry is MessageEntry {
  return "role" in entry;
}

/** Narrows an entry by its type. */
export function isEntryOf<T extends keyof TypedEntries>(entry: TranscriptEntry, type: T): entry is TypedEntries[T] {
  return !("role" in entry) && (entry as UnknownEntry).type === type;
}

/** The entries with a type of their own, by that type. */
export interface TypedEntries {
  state: StateEntry;
  turn: TurnEntry;
  clear: ClearEntry;
  compaction: CompactionEntry;
  undo: UndoEntry;
  "memory-flush": MemoryFlushEntry;
  usage: UsageEntry;
  command: CommandEntry;
  delivery: DeliveryEntry;
  run: RunEntry;
  spawn: SpawnEntry;
  "spawn-end": SpawnEndEntry;
  "spawn-deleted": SpawnDeletedEntry;
}
