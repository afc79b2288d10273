import { isEntryOf, type TranscriptEntry } from "../../core/entry.js";
import { isSessionKey, type SessionKey } from "../../core/key.js";
import { initialRecord, project } from "../../core/record.js";
import type { IndexEntry } from "./index-file.js";
import type { Transcript } from "./transcript.js";
import type { ReadItem, StoredUpdate } from "./updates.js";

/** What is known of a session whose transcript has no header, as files of the plain format have none. */
export interface KnownSession {
  key: SessionKey;
  uuid: string;
  created: string | undefined;
}

/** Called for each line that could not be read. */
export type OnSkipped = (line: { uuid: string; offset: number; line: number }) => void;

/** Carries an index entry over what stands in the transcript behind the bytes it covers. */
export async function catchUp(entry: IndexEntry, transcript: Transcript, onSkipped: OnSkipped): Promise<IndexEntry> {
  let next = entry;
  for await (const item of transcript.from(entry.bytes)) next = advance(next, item, onSkipped);
  return next;
}

/** Builds an index entry from a transcript alone. `undefined` when nothing tells whose it is. */
export async function fromTranscript(
  transcript: Transcript,
  uuid: string,
  known: KnownSession | undefined,
  onSkipped: OnSkipped,
): Promise<IndexEntry | undefined> {
  let entry: IndexEntry | undefined;
  const early: ReadItem[] = [];
  for await (const item of transcript.from(0)) {
    if (entry !== undefined) {
      entry = advance(entry, item, onSkipped);
      continue;
    }
    early.push(item);
    entry = begin(item, uuid, known);
    if (entry !== undefined) entry = early.reduce((next, one) => advance(next, one, onSkipped), entry);
    // The header is the first line or there is none; unreadable lines may stand before it.
    else if ("update" in item) return undefined;
  }
  return entry;
}

/** The index entry after one more update. */
export function afterUpdate(entry: IndexEntry, update: StoredUpdate): IndexEntry {
  return {
    ...entry,
    record: update.record ?? project(entry.record, update.entries),
    bytes: update.end,
    windowStart: hasClear(update.entries) ? update.start : entry.windowStart,
  };
}

function hasClear(entries: readonly TranscriptEntry[]): boolean {
  return entries.some((entry) => isEntryOf(entry, "clear"));
}

function advance(entry: IndexEntry, item: ReadItem, onSkipped: OnSkipped): IndexEntry {
  if ("update" in item) return afterUpdate(entry, item.update);
  onSkipped({ uuid: entry.record.uuid, offset: item.skipped.start, line: item.skipped.line });
  return { ...entry, bytes: item.skipped.end, skipped: entry.skipped + 1 };
}

function begin(item: ReadItem, uuid: string, known: KnownSession | undefined): IndexEntry | undefined {
  if (!("update" in item)) return undefined;
  const { header, entries } = item.update;
  const place = { bytes: 0, windowStart: 0, skipped: 0 };
  if (header !== undefined) {
    // A copy under another name is not this session; whose it is says the header, and its uuid must be the file's.
    if (header.uuid !== uuid || !isSessionKey(header.key)) return undefined;
    return { record: initialRecord({ ...header, key: header.key }), ...place };
  }
  if (known === undefined) return undefined;
  const created = known.created ?? entries[0]?.timestamp ?? "";
  return { record: initialRecord({ key: known.key, uuid, created }), ...place };
}
