import { type HeaderEntry, readEntry, readHeader, type TranscriptEntry } from "../../core/entry.js";
import type { SessionRecord } from "../../core/record.js";
import type { Line } from "./lines.js";

/** What one update wrote: all of its lines, or nothing of it counts. */
export interface StoredUpdate {
  start: number;
  end: number;
  header?: HeaderEntry;
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

/**
 * Writes an update as lines for one `write`.
 *
 * An update of several lines counts down in `_more`, so that a reader can tell a whole one from one that a crash cut short:
 * record and entries become visible together or not at all. An update of one line needs no mark.
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
  const lines = values.map((value, index) =>
    JSON.stringify(values.length === 1 ? value : { ...value, _more: values.length - 1 - index }),
  );
  return Buffer.from(lines.map((line) => `${line}\n`).join(""), "utf8");
}

/** Puts lines together to updates again. What cannot be read costs only itself and is reported. */
export async function* readUpdates(
  lines: AsyncIterable<Line>,
  options: { fromBoundary: boolean },
): AsyncGenerator<ReadItem> {
  let parts: Part[] = [];
  let expected: number | undefined;
  let number = 0;
  // Read from somewhere else, the first lines can be the rest of an update whose beginning is not seen.
  let atRest = !options.fromBoundary;
  for await (const line of lines) {
    number += 1;
    const read = readLine(line, number);
    if (read === "blank") continue;
    const more = read === undefined ? undefined : read.more;
    if (atRest) {
      if (more !== undefined) {
        if (more === 0) atRest = false;
        continue;
      }
      atRest = false;
    }
    if (expected !== undefined && more !== expected) {
      for (const part of parts) yield skipped(part.line, part.number);
      parts = [];
    }
    if (read === undefined) {
      expected = undefined;
      yield skipped(line, number);
      continue;
    }
    // A last line without its beginning belongs to an update that was cut short.
    if (parts.length === 0 && more === 0) {
      expected = undefined;
      yield skipped(line, number);
      continue;
    }
    parts.push(read.part);
    expected = more === undefined || more === 0 ? undefined : more - 1;
    if (expected !== undefined) continue;
    yield { update: assemble(parts) };
    parts = [];
  }
}

function readLine(line: Line, number: number): { part: Part; more: number | undefined } | "blank" | undefined {
  // A byte order mark and CR come from editors, NULs from a power cut on a file system that had grown the file already.
  const text = line.text.replace(/^[\0\uFEFF]+|[\0\r]+$/g, "");
  if (text === "") return line.text.includes("\0") ? undefined : "blank";
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not JSON: the caller reports the line as skipped, with its number.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { _more: more, ...rest } = value as { _more?: unknown; type?: unknown; record?: unknown };
  const part: Part = { line, number };
  if (rest.type === "session") {
    const header = readHeader(rest);
    if (header === undefined) return undefined;
    part.header = header;
  } else if (rest.type === "record") {
    part.record = rest.record as SessionRecord;
  } else {
    const entry = readEntry(rest, `@${line.start}`);
    if (entry === undefined) return undefined;
    part.entry = entry;
  }
  return { part, more: typeof more === "number" ? more : undefined };
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

function skipped(line: Line, number: number): ReadItem {
  return { skipped: { start: line.start, end: line.end, line: number } };
}
