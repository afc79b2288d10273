import {
  type FlushAttempt,
  isEntryOf,
  isMessageEntry,
  type MemoryFlushEntry,
  type MessageEntry,
  type TranscriptEntry,
  type TurnEntry,
} from "./entry.js";
import { jsonBytes } from "./json.js";
import { parseSessionKey, type SessionKey } from "./key.js";
import { sumUsage, type Usage } from "./message.js";
import { type EndedSubagent, foldRuns, type LiveSubagent, type WaitingRun } from "./runs.js";
import { applyPatch, initialState, type SessionState } from "./state.js";
import { isCanonicalTime } from "./time.js";
import { maxMessageTokens } from "./tokens.js";

/** The small indexed facts of a session: a fold of its transcript, of bounded size. */
export interface SessionRecord {
  key: SessionKey;
  /** Names the transcript. */
  uuid: string;
  created: string;
  /** The latest time of any message. */
  lastActive: string;
  /** Messages since the last clear. */
  messageCount: number;
  state: SessionState;
  /** The keys of the sessions that spawned this one, nearest first. */
  ancestors: SessionKey[];
  /** Messages whose turn has no end yet: one runs now, or its process died. */
  openTurns: string[];
  /** The last clear, so that a turn can tell whether one happened while it ran. */
  lastClear: string | null;
  /** The newest message ids seen, to recognise a redelivery. */
  recentMessages: SeenMessage[];
  /** The size of the prompt that `contextEntry` told of: what the provider reported last, or what a compaction left. `null`: unknown. */
  contextTokens: number | null;
  /** The entry that tells it. What was said after it is not counted in. */
  contextEntry: string | null;
  /** Compactions since the last clear, without those undone. */
  compactions: number;
  /** The last attempt to flush memory since the last compaction or clear. */
  memoryFlush: FlushAttempt | null;
  /** What all calls of the model have cost together, in tokens, with those of sub-agents that have ended. Never the size of anything. */
  usageTotal: Required<Usage>;
  /** Accepted messages of other sessions whose turns have not begun. */
  waiting: WaitingRun[];
  /** Sub-agents of this session that have not ended. */
  subagents: LiveSubagent[];
  /** Those that have ended, were not to be kept, and are not deleted yet. */
  toDelete: EndedSubagent[];
  /** In a session shared under dmScope `main`: the first addresses that reached it, at most eight. */
  sharedBy: string[];
}

/** A platform message that has been dealt with, and the entry that says so. */
export interface SeenMessage {
  messageId: string;
  address: string;
  id: string;
}

// 32 messages reach further back than a platform's retries do in a chat. The bytes keep a record without its `extra`, for which nothing
// waits and which has no sub-agents, under 4 kB, also where its key is as long as a key may be.
const MAX_RECENT = 32;
const MAX_RECENT_BYTES = 2048;
const MAX_KEY_AND_RECENT_BYTES = 2900;

// Enough to meet a second person behind the several addresses of a first, and bounded.
const MAX_SHARED_BY = 8;
const MAX_SHARED_BYTES = 768;

/** The record of a session nobody has spoken in. */
export function initialRecord(session: {
  key: SessionKey;
  uuid: string;
  created: string;
  ancestors?: readonly SessionKey[];
}): SessionRecord {
  return {
    key: session.key,
    uuid: session.uuid,
    created: session.created,
    lastActive: session.created,
    messageCount: 0,
    state: initialState(parseSessionKey(session.key).kind),
    ancestors: [...(session.ancestors ?? [])],
    openTurns: [],
    lastClear: null,
    recentMessages: [],
    contextTokens: null,
    contextEntry: null,
    compactions: 0,
    memoryFlush: null,
    usageTotal: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 },
    waiting: [],
    subagents: [],
    toDelete: [],
    sharedBy: [],
  };
}

/**
 * Carries a record over further entries.
 * `project(project(r, a), b)` equals `project(r, a ++ b)`, so a reader catches up from the tail.
 */
export function project(record: SessionRecord, entries: Iterable<TranscriptEntry>): SessionRecord {
  let next = record;
  for (const entry of entries) next = step(next, entry);
  return next;
}

function step(before: SessionRecord, entry: TranscriptEntry): SessionRecord {
  const record = foldRuns(before, entry);
  if (isMessageEntry(entry)) return withMessage(record, entry);
  if (isEntryOf(entry, "command")) return { ...record, recentMessages: remember(record, entry) };
  if (isEntryOf(entry, "turn")) {
    const openTurns = record.openTurns.filter((id) => id !== entry.of);
    return { ...record, openTurns, ...reported(record, entry) };
  }
  const state = foldState(record.state, entry);
  if (isEntryOf(entry, "clear"))
    return {
      ...record,
      state,
      messageCount: 0,
      lastClear: entry.id,
      compactions: 0,
      memoryFlush: null,
      ...UNKNOWN_SIZE,
    };
  if (isEntryOf(entry, "memory-flush")) {
    const usageTotal = total(record.usageTotal, entry.usage);
    if (entry.cleared) return { ...record, usageTotal };
    return { ...record, state, memoryFlush: attemptOf(entry), usageTotal };
  }
  if (isEntryOf(entry, "compaction")) {
    const size = { contextTokens: entry.tokensAfter ?? null, contextEntry: entry.id };
    const usageTotal = total(record.usageTotal, entry.usage);
    return { ...record, state, ...size, compactions: record.compactions + 1, memoryFlush: null, usageTotal };
  }
  if (isEntryOf(entry, "undo")) {
    const { memoryFlush } = entry;
    return { ...record, state, memoryFlush, compactions: Math.max(0, record.compactions - 1), ...UNKNOWN_SIZE };
  }
  if (isEntryOf(entry, "usage")) return { ...record, usageTotal: total(record.usageTotal, entry.usage) };
  return state === record.state ? record : { ...record, state };
}

const UNKNOWN_SIZE = { contextTokens: null, contextEntry: null };

/** What a record keeps of a flush. */
export function attemptOf({ timestamp: at, status, error }: MemoryFlushEntry): FlushAttempt {
  return { at, status, ...(error === undefined ? {} : { code: error.code.slice(0, MAX_CODE) }) };
}

// Longer than any code of this library's; a file may hold anything.
const MAX_CODE = 32;

function withMessage(record: SessionRecord, entry: MessageEntry): SessionRecord {
  return {
    ...record,
    lastActive: later(record.lastActive, entry.timestamp),
    messageCount: record.messageCount + (entry.cleared ? 0 : 1),
    openTurns: entry.turn ? [...record.openTurns, entry.id] : record.openTurns,
    recentMessages: remember(record, entry),
    ...reported(record, entry),
    sharedBy: sharedBy(record, entry),
  };
}

type Reported = Pick<SessionRecord, "contextTokens" | "contextEntry" | "usageTotal">;

function reported(record: SessionRecord, entry: MessageEntry | TurnEntry): Partial<Reported> {
  const { id, usage } = entry;
  if (usage === undefined) return {};
  const usageTotal = total(record.usageTotal, usage);
  if (isMessageEntry(entry) && entry.cleared) return { usageTotal };
  // What a provider cut off is still in the window, so that its size is not what was reported.
  if (entry.truncated) return { usageTotal, ...UNKNOWN_SIZE };
  // What a model thought is billed as output and not said again: of its answer no more is in the next prompt than its words take.
  // Where the answer was recorded before its cost was known, it is counted with what comes behind.
  const answer = isMessageEntry(entry) ? Math.min(usage.output, maxMessageTokens(entry)) : 0;
  return { usageTotal, contextTokens: promptSize(usage) + answer, contextEntry: id };
}

function total(sum: Required<Usage>, usage: Usage | undefined): Required<Usage> {
  return usage === undefined ? sum : sumUsage(sum, usage);
}

/** Carries a session's settings over one entry. */
export function foldState(state: SessionState, entry: TranscriptEntry): SessionState {
  if (isEntryOf(entry, "state")) return applyPatch(state, entry.patch);
  if (isEntryOf(entry, "compaction")) return { ...state, lastCompaction: entry.timestamp, memoryFlushed: false };
  if (isEntryOf(entry, "undo")) {
    const { lastCompaction, memoryFlush } = entry;
    return { ...state, lastCompaction, memoryFlushed: memoryFlush?.status === "completed" };
  }
  // What was saved of a conversation that was cleared says nothing about the next one.
  if (isEntryOf(entry, "clear")) return state.memoryFlushed ? { ...state, memoryFlushed: false } : state;
  if (isEntryOf(entry, "memory-flush") && entry.status === "completed" && !entry.cleared)
    return { ...state, memoryFlushed: true };
  return state;
}

// The longest suffix within both bounds. Every suffix of a suffix within bounds is within them too, which is what makes
// trimming after each entry the same as trimming once at the end.
function remember(
  { key, recentMessages: recent }: SessionRecord,
  entry: { id: string; messageId?: string | undefined; address?: string | undefined },
): SeenMessage[] {
  if (entry.messageId === undefined) return recent;
  const all = [...recent, { messageId: entry.messageId, address: entry.address ?? "", id: entry.id }];
  const limit = Math.min(MAX_RECENT_BYTES, MAX_KEY_AND_RECENT_BYTES - jsonBytes(key));
  let bytes = 0;
  let from = all.length;
  while (from > 0 && all.length - from < MAX_RECENT) {
    bytes += seenBytes(all[from - 1] as SeenMessage);
    // The newest is kept whatever its size, or a platform with long ids would have no redelivery recognised at all.
    if (bytes > limit && from < all.length) break;
    from -= 1;
  }
  return all.slice(from);
}

// This is asked of the same few messages at every message.
const measured = new WeakMap<SeenMessage, number>();
const EMPTY_SEEN_BYTES = '{"messageId":,"address":,"id":}'.length;

function seenBytes(seen: SeenMessage): number {
  let bytes = measured.get(seen);
  if (bytes === undefined) {
    bytes = EMPTY_SEEN_BYTES + jsonBytes(seen.messageId) + jsonBytes(seen.address) + jsonBytes(seen.id);
    measured.set(seen, bytes);
  }
  return bytes;
}

// The last call's tokens, cached ones included: the size of the window, never the sum of what was billed.
function promptSize(usage: Usage): number {
  return usage.input + (usage.cacheRead ?? 0) + (usage.cacheWrite ?? 0);
}

function sharedBy(record: SessionRecord, entry: { role: string; address?: string | undefined }): string[] {
  const { address } = entry;
  if (address === undefined || record.sharedBy.length >= MAX_SHARED_BY || record.sharedBy.includes(address))
    return record.sharedBy;
  if (parseSessionKey(record.key).kind !== "main") return record.sharedBy;
  const shared = [...record.sharedBy, address];
  return jsonBytes(shared) > MAX_SHARED_BYTES ? record.sharedBy : shared;
}

// Other tools write times without milliseconds, which do not compare as text; a time that is none moves nothing.
function later(current: string, candidate: string): string {
  if (isCanonicalTime(current) && isCanonicalTime(candidate)) return candidate > current ? candidate : current;
  const time = Date.parse(candidate);
  return Number.isNaN(time) || Date.parse(current) >= time ? current : candidate;
}
