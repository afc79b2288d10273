import {
  type HeaderEntry,
  isEntryOf,
  readEntry,
  readHeader,
  TRANSCRIPT_VERSION,
  type TranscriptEntry,
} from "../../core/entry.js";
import type { SessionRecord } from "../../core/record.js";
import { recordSchema } from "../record-schema.js";
import type { Line } from "./lines.js";

/** What one update wrote: all of its lines, or nothing of it counts. */
export interface StoredUpdate {
  start: number;
  end: number;
  header?: HeaderEntry | undefined;
  entries: TranscriptEntry[];
  /** Facts that do not follow from the entries, given by whoever made the update. */
  record?: SessionRecord;
}

/** What was met while reading: an update, or a line that is none and was passed over. */
export type ReadItem = { update: StoredUpdate } | { skipped: { start: number; end: number; line: number } };

/** A line's value with what frames it removed. */
interface Part {
  line: Line;
  number: number;
  header?: HeaderEntry;
  entry?: TranscriptEntry;
  record?: SessionRecord;
}

/** A line that could be read, and where it stands in its update: the number of lines that follow, and whether it is the first. */
interface Read {
  part: Part;
  more: number;
  first: boolean;
}

/** The first line of a session's transcript. */
export function headerOf({ uuid, key, created, ancestors }: SessionRecord): HeaderEntry {
  return { type: "session", version: TRANSCRIPT_VERSION, uuid, key, created, ancestors };
}

/**
 * Writes an update as lines for one `write`.
 *
 * The first of several lines says with `_lines` how many there are, the others count down in `_more`, so that a reader can
 * tell a whole update from one that a crash cut short, whatever was appended behind it: record and entries become visible
 * together or not at all. An update of one line needs no mark.
 */
export function encodeUpdate(update: {
  header: HeaderEntry | undefined;
  entries: readonly TranscriptEntry[];
  record: SessionRecord | undefined;
}): Buffer {
  const values: object[] = [
    ...(update.header === undefined ? [] : [update.header]),
    ...update.entries,
    ...(update.record === undefined ? [] : [{ type: "record", record: update.record }]),
  ];
  const count = values.length;
  const lines = values.map((value, index) => {
    if (count === 1) return JSON.stringify(value);
    return JSON.stringify(index === 0 ? { ...value, _lines: count } : { ...value, _more: count - 1 - index });
  });
  return Buffer.from(lines.map((line) => `${line}\n`).join(""), "utf8");
}

/**
 * Puts lines together to updates again. What cannot be read costs only itself and is reported.
 *
 * An update counts when its last line is there: lines are written in order, so the others were written too, and one that
 * has become unreadable since does not take them with it.
 */
export async function* readUpdates(lines: AsyncIterable<Line>): AsyncGenerator<ReadItem> {
  let parts: Part[] = [];
  let bad: Skipped[] = [];
  let number = 0;
  for await (const line of lines) {
    number += 1;
    const read = readLine(line, number);
    if (read === "blank") continue;
    if (read === undefined) {
      // A last line without its newline is being written, or torn; whoever appends next closes it.
      if (line.open) return;
      if (parts.length > 0) bad.push({ line, number });
      else yield skipped({ line, number });
      continue;
    }
    if (read.first && parts.length > 0) {
      yield* [...parts, ...bad].sort((a, b) => a.number - b.number).map(skipped);
      parts = [];
      bad = [];
    }
    parts.push(read.part);
    if (read.more > 0) continue;
    yield* bad.map(skipped);
    yield { update: assemble(parts) };
    parts = [];
    bad = [];
  }
}

function readLine(line: Line, number: number): Read | "blank" | undefined {
  const text = trim(line.text);
  if (text === "") return line.text.includes("\0") ? undefined : "blank";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not JSON: the caller reports the line as skipped, with its number.
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { _lines: count, _more: behind, ...rest } = value as Record<string, unknown>;
  const part = readPart(rest, line, number);
  if (part === undefined) return undefined;
  if (typeof behind === "number") return { part, more: behind, first: false };
  return { part, more: typeof count === "number" ? count - 1 : 0, first: true };
}

// A byte order mark and CR come from editors, NULs from a power cut on a file system that had grown the file already. A
// pattern would take a square of the time on a long run of NULs.
function trim(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && (text[from] === "\0" || text[from] === "\uFEFF")) from += 1;
  while (to > from && (text[to - 1] === "\0" || text[to - 1] === "\r")) to -= 1;
  return text.slice(from, to);
}

function readPart(value: Record<string, unknown>, line: Line, number: number): Part | undefined {
  if (value.type === "session") {
    const header = readHeader(value);
    return header && { line, number, header };
  }
  if (value.type === "record") {
    const record = recordSchema.safeParse(value.record);
    return record.success ? { line, number, record: value.record as SessionRecord } : undefined;
  }
  const entry = readEntry(value, `@${line.start}`);
  return entry === undefined || !fitsRecord(entry) ? undefined : { line, number, entry };
}

// Settings become part of the record. JSON nested too deep can be read but not written, and would take the record with it.
function fitsRecord(entry: TranscriptEntry): boolean {
  if (!isEntryOf(entry, "state")) return true;
  try {
    JSON.stringify(entry.patch);
    return true;
  } catch {
    // The caller reports the line as skipped, with its number.
    return false;
  }
}

function assemble(parts: readonly Part[]): StoredUpdate {
  const first = parts[0] as Part;
  const last = parts[parts.length - 1] as Part;
  const header = parts.find((part) => part.header !== undefined)?.header;
  const record = parts.find((part) => part.record !== undefined)?.record;
  return {
    start: first.line.start,
    end: last.line.end,
    entries: parts.flatMap((part) => (part.entry === undefined ? [] : [part.entry])),
    ...(header === undefined ? {} : { header }),
    ...(record === undefined ? {} : { record }),
  };
}

interface Skipped {
  line: Line;
  number: number;
}

function skipped({ line, number }: Skipped): ReadItem {
  return { skipped: { start: line.start, end: line.end, line: number } };
}
