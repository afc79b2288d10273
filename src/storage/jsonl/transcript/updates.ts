import { isEntryOf, type TranscriptEntry } from "../../../core/entry.js";
import { type HeaderEntry, readHeader, TRANSCRIPT_VERSION } from "../../../core/header.js";
import { readEntry } from "../../../core/read-entry.js";
import type { SessionRecord } from "../../../core/record.js";
import { isRecord } from "../../record-shape.js";
import { type Framed, parseFramed, trim } from "./frame.js";
import type { Line } from "./lines.js";
import { type Before, Order } from "./update-order.js";

/** What one update wrote: all of its lines, or nothing of it counts. */
export interface StoredUpdate {
  start: number;
  end: number;
  header?: HeaderEntry | undefined;
  entries: TranscriptEntry[];
  /** Facts that do not follow from the entries, given by whoever made the update. */
  record?: SessionRecord;
  /** Its name. Lines of other tools have none. */
  rev?: string | undefined;
  /** The update it was decided on. */
  on?: string | undefined;
  /** Its first line is not there. */
  first?: false;
}

/** What was met while reading: an update, or a line that is none and was passed over. */
export type ReadItem = { update: StoredUpdate } | { skipped: { start: number; end: number; line: number } };

/** The first line of a session's transcript. */
export function headerOf({ uuid, key, created, ancestors }: SessionRecord): HeaderEntry {
  return { type: "session", version: TRANSCRIPT_VERSION, uuid, key, created, ancestors };
}

/** What stands in the place of an update that does not count: JSON, so that whoever reads line by line is not disturbed. */
export const VOID_LINE = '{"type":"void"}';

/** What an update names that was decided on lines of other tools alone. */
export const NOTHING_NAMED = "@";

/**
 * Writes an update as lines for one `write`.
 *
 * The first of several lines says with `_lines` how many there are, the others count down in `_more`, so that a reader can
 * tell a whole update from one that a crash cut short, whatever was appended behind it: record and entries become visible
 * together or not at all. An update of one line needs no such mark. `_rev` names the update and `_on` the one it was decided
 * on; of several that were decided on the same one, the first in the file counts (see `readUpdates`).
 */
export function encodeUpdate(update: {
  header: HeaderEntry | undefined;
  /** The entries, each as JSON. */
  entries: readonly string[];
  record: SessionRecord | undefined;
  rev: string;
  on: string | undefined;
}): string {
  const { header, entries, record, rev, on } = update;
  const name = `,"_rev":"${rev}"${on === undefined ? "" : `,"_on":${JSON.stringify(on)}`}}\n`;
  const count = entries.length + (header === undefined ? 0 : 1) + (record === undefined ? 0 : 1);
  if (count === 0) return "";
  // What nearly every update is.
  if (count === 1 && entries[0] !== undefined) return `${entries[0].slice(0, -1)}${name}`;
  const lines = [...entries];
  if (header !== undefined) lines.unshift(JSON.stringify(header));
  if (record !== undefined) lines.push(JSON.stringify({ type: "record", record }));
  let text = "";
  for (const [index, line] of lines.entries()) {
    const first = index === 0;
    const place = count === 1 ? "" : first ? `,"_lines":${count}` : `,"_more":${count - 1 - index}`;
    text += `${line.slice(0, -1)}${place}${first ? name : "}\n"}`;
  }
  return text;
}

/**
 * Puts lines together to updates again. What cannot be read costs only itself and is reported.
 *
 * An update counts when its last line is there: lines are written in order, so the others were written too, and one that
 * has become unreadable since does not take them with it.
 *
 * Two processes can decide on the same state and append one after the other. Then the first counts, and the second, whose
 * writer has been told to decide again, is void: it names an update that another one has followed already. So is a line that
 * someone copied. Lines of other tools name nothing and change nothing of this. What was lost, moved or put there by hand must
 * not take the rest with it: an update counts that names one which is not there any more, or one that was passed over here.
 */
export async function* readUpdates(
  batches: AsyncIterable<readonly Line[]> | Iterable<readonly Line[]>,
  before: Before,
): AsyncGenerator<readonly ReadItem[]> {
  const assembly = new Assembly();
  const order = new Order(before);
  for await (const lines of batches) {
    const items: ReadItem[] = [];
    for (const item of assembly.add(lines)) {
      if (!("update" in item)) {
        items.push(item);
        continue;
      }
      const judged = order.judge(item.update);
      const place = typeof judged === "string" ? judged : await judged;
      // What stands behind the one that follows on it is nothing that the next update may be decided on.
      if (place === "moved") item.update.rev = undefined;
      if (place !== "void") items.push(item);
    }
    if (items.length > 0) yield items;
  }
}

/** A line's value with what frames it removed. */
interface Part {
  line: Line;
  number: number;
  more: number;
  first: boolean;
  rev?: string | undefined;
  on?: string | undefined;
  header?: HeaderEntry | undefined;
  entry?: TranscriptEntry | undefined;
  record?: SessionRecord | undefined;
}

interface Bad {
  line: Line;
  number: number;
}

/** Collects the lines of an update until its last one is there. */
class Assembly {
  #parts: Part[] = [];
  #bad: Bad[] = [];
  #number = 0;

  add(lines: readonly Line[]): ReadItem[] {
    const items: ReadItem[] = [];
    for (const line of lines) {
      this.#number += 1;
      const number = this.#number;
      const part = readLine(line, number);
      if (part === "blank") continue;
      if (part === undefined) {
        // A last line without its newline is being written, or torn; whoever appends next closes it.
        if (line.open) return items;
        if (this.#parts.length > 0) this.#bad.push({ line, number });
        else items.push(skipped({ line, number }));
        continue;
      }
      if (part.first && this.#parts.length > 0) {
        items.push(...[...this.#parts, ...this.#bad].sort((a, b) => a.number - b.number).map(skipped));
        this.#parts = [];
        this.#bad = [];
      }
      if (part.first && part.more === 0) {
        items.push({ update: assembleOne(part) });
        continue;
      }
      this.#parts.push(part);
      if (part.more > 0) continue;
      items.push(...this.#bad.map(skipped), { update: assemble(this.#parts) });
      this.#parts = [];
      this.#bad = [];
    }
    return items;
  }
}

function readLine(line: Line, number: number): Part | "blank" | undefined {
  const text = trim(line.text);
  if (text === "") return line.text.includes("\0") ? undefined : "blank";
  if (text.startsWith(VOID_LINE) && text.trimEnd() === VOID_LINE) return "blank";
  let read: Framed | undefined;
  try {
    read = parseFramed(text);
  } catch {
    // Not JSON: the caller reports the line as skipped, with its number.
    return undefined;
  }
  const content = read && readContent(read.said, line);
  if (read === undefined || content === undefined) return undefined;
  const { lines, more, rev, on } = read.frame;
  const { header, entry, record } = content;
  const first = more === undefined;
  return { line, number, more: more ?? (lines === undefined ? 0 : lines - 1), first, rev, on, header, entry, record };
}

function readContent(
  value: Record<string, unknown>,
  line: Line,
): Pick<Part, "header" | "entry" | "record"> | undefined {
  if (value.type === "session") {
    const header = readHeader(value);
    return header && { header };
  }
  if (value.type === "record") {
    return isRecord(value.record) ? { record: value.record } : undefined;
  }
  const entry = readEntry(value, `@${line.start}`);
  return entry === undefined || !fitsRecord(entry) ? undefined : { entry };
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

function assembleOne({ line: { start, end }, rev, on, header, entry, record }: Part): StoredUpdate {
  const update: StoredUpdate = { start, end, entries: entry === undefined ? [] : [entry], rev, on };
  if (header !== undefined) update.header = header;
  if (record !== undefined) update.record = record;
  return update;
}

function assemble(parts: readonly Part[]): StoredUpdate {
  const first = parts[0] as Part;
  const last = parts[parts.length - 1] as Part;
  const update: StoredUpdate = { start: first.line.start, end: last.line.end, entries: [] };
  // Without its first line an update has no name any more.
  if (first.first) {
    update.rev = first.rev;
    update.on = first.on;
  } else {
    update.first = false;
  }
  for (const { header, entry, record } of parts) {
    if (entry !== undefined) update.entries.push(entry);
    else if (header !== undefined) update.header ??= header;
    else if (record !== undefined) update.record ??= record;
  }
  return update;
}

function skipped({ line, number }: Bad): ReadItem {
  return { skipped: { start: line.start, end: line.end, line: number } };
}
