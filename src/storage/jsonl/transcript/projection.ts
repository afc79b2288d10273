import { isEntryOf, type TranscriptEntry } from "../../../core/entry.js";
import { isSessionKey, type SessionKey } from "../../../core/key.js";
import { initialRecord, project, type SessionRecord } from "../../../core/record.js";
import type { IndexEntry } from "../index/index-file.js";
import type { Transcript } from "./transcript.js";
import type { ReadItem, StoredUpdate } from "./updates.js";

/** What is known of a session whose transcript has no header, as files of the plain format have none until we write to them. */
export interface KnownSession {
  key: SessionKey;
  uuid: string;
  created: string | undefined;
}

/** Called for each line that could not be read. */
export type OnSkipped = (line: { uuid: string; offset: number; line: number }) => void;

/** An index entry brought up to a transcript's end, and how far that was. */
export interface CaughtUp {
  entry: IndexEntry;
  /** The size of the file when it was read. */
  size: number;
  /** Whether it ends in the middle of a line. */
  endsOpen: boolean;
  /** Where the update that was asked after begins, if it is among what counts. */
  found?: number;
}

/** Carries an index entry over what stands in the transcript behind the bytes it covers. */
export async function catchUp(
  entry: IndexEntry,
  transcript: Transcript,
  onSkipped: OnSkipped,
  rev?: string,
): Promise<CaughtUp> {
  let next = entry;
  let found: number | undefined;
  const bad: { start: number; line: number }[] = [];
  const { size, endsOpen } = await transcript.scan(entry.bytes, entry.head, (item) => {
    next = advance(next, item);
    if ("skipped" in item) bad.push(item.skipped);
    else if (rev !== undefined && item.update.rev === rev) found = item.update.start;
  });
  if (bad.length > 0) {
    const before = await transcript.linesBefore(entry.bytes);
    for (const { start, line } of bad) onSkipped({ uuid: entry.record.uuid, offset: start, line: before + line });
  }
  return { entry: next, size, endsOpen, ...(found === undefined ? {} : { found }) };
}

/** Builds an index entry from a transcript alone. `undefined` when nothing tells whose it is. */
export async function fromTranscript(
  transcript: Transcript,
  uuid: string,
  known: KnownSession | undefined,
  onSkipped: OnSkipped,
): Promise<CaughtUp | undefined> {
  const owner = await findOwner(transcript, uuid, known);
  if (owner === undefined) return undefined;
  return catchUp({ ...owner, bytes: 0, windowStart: 0, skipped: 0 }, transcript, onSkipped);
}

/** The index entry after one more update. */
export function afterUpdate(entry: IndexEntry, update: StoredUpdate): IndexEntry {
  return {
    record: ownRecord(entry, update) ?? project(entry.record, update.entries),
    bytes: update.end,
    windowStart: hasClear(update.entries) ? update.start : entry.windowStart,
    skipped: entry.skipped,
    head: update.rev ?? entry.head,
    headerless: update.header?.uuid === entry.record.uuid ? undefined : entry.headerless,
  };
}

// A record that names another session was written here by nobody but a person with an editor.
function ownRecord({ record }: IndexEntry, update: StoredUpdate): SessionRecord | undefined {
  return update.record?.key === record.key && update.record.uuid === record.uuid ? update.record : undefined;
}

function hasClear(entries: readonly TranscriptEntry[]): boolean {
  return entries.some((entry) => isEntryOf(entry, "clear"));
}

function advance(entry: IndexEntry, item: ReadItem): IndexEntry {
  if ("update" in item) return afterUpdate(entry, item.update);
  return { ...entry, bytes: item.skipped.end, skipped: entry.skipped + 1 };
}

// Whose a transcript is says its header, and the uuid there must be the file's.
async function findOwner(
  transcript: Transcript,
  uuid: string,
  known: KnownSession | undefined,
): Promise<Pick<IndexEntry, "record" | "headerless"> | undefined> {
  let first = true;
  for await (const items of transcript.from(0)) {
    for (const item of items) {
      if (!("update" in item)) continue;
      const { header, entries } = item.update;
      if (header?.uuid === uuid && isSessionKey(header.key)) return { record: initialRecord(header) };
      // A copy under another name is not this session.
      if (first && header !== undefined) return undefined;
      if (known !== undefined) {
        const created = known.created ?? entries[0]?.timestamp ?? "";
        return { record: initialRecord({ key: known.key, uuid, created }), headerless: true };
      }
      // A plain file that was written to has its header where that began.
      first = false;
    }
  }
  return undefined;
}
