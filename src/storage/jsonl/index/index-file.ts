import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { isSessionKey, type SessionKey } from "../../../core/key.js";
import type { SessionRecord } from "../../../core/record.js";
import { StorageError } from "../../../errors.js";
import { hasRecordFacts, isCount } from "../../record-shape.js";
import { codeOf } from "../fault.js";
import { isUuid, ownerFor, syncDirectory } from "../layout.js";
import { Slices } from "../slices.js";
import { keepSignals } from "./signals.js";

/** What the index knows of a session: its record, and how far into the transcript that reaches. */
export interface IndexEntry {
  record: SessionRecord;
  /** Bytes of the transcript that the record covers; what stands behind them is still to be projected. */
  bytes: number;
  /** Where the update with the last clear begins: nothing before it is in force. */
  windowStart: number;
  /** Lines that could not be read. */
  skipped: number;
  /** The name of the last update that is covered. */
  head?: string | undefined;
  /** The transcript does not say whose it is; only the index does. */
  headerless?: true | undefined;
}

/** What a `sessions.json` had to say. `incomplete` are sessions it names without (all of) their facts. */
export type IndexContent =
  | { state: "missing" }
  | { state: "unreadable" }
  | {
      state: "read";
      entries: IndexEntry[];
      incomplete: { key: SessionKey; uuid: string; created: string | undefined }[];
      refused: number;
    };

/** Reads an index. Anything but an object of sessions is unreadable; a session whose uuid is no uuid is refused. */
export async function readIndex(path: string): Promise<IndexContent> {
  const text = await readText(path);
  if (text === "missing") return { state: "missing" };
  const values = text === undefined ? undefined : ((await parseLines(text.content)) ?? parseObject(text.content));
  if (values === undefined) return { state: "unreadable" };
  const content: IndexContent & { state: "read" } = { state: "read", entries: [], incomplete: [], refused: 0 };
  const slices = new Slices();
  for (const [key, entry] of values) {
    if (slices.over) await slices.rest();
    const { uuid, created } = (typeof entry === "object" && entry !== null ? entry : {}) as Record<string, unknown>;
    if (!isSessionKey(key) || !isUuid(uuid)) content.refused += 1;
    else if (isFacts(entry)) content.entries.push(toEntry(key, entry));
    else content.incomplete.push({ key, uuid, created: typeof created === "string" ? created : undefined });
  }
  return content;
}

/**
 * Puts an index in place: written in a directory beside it, its size checked, then renamed over it, so that a reader never meets half of
 * one. write-file-atomic alone reports success after a short write on a full disk, which would replace a good index.
 * `mayReplace` is asked last of all.
 * @returns how many bytes it has; `undefined` when it was not to be put in place any more.
 */
export async function writeIndex(
  path: string,
  stagingDir: string,
  entries: Iterable<IndexEntry>,
  mayReplace: () => Promise<boolean>,
): Promise<number | undefined> {
  const bytes = await encodeIndex(entries);
  const staged = join(stagingDir, `sessions.json.${randomUUID()}.tmp`);
  try {
    keepSignals();
    const chown = await ownerFor(path);
    await writeFileAtomic(staged, bytes, { mode: 0o600, ...(chown === undefined ? {} : { chown }) });
    const { size } = await stat(staged);
    if (size !== bytes.length) {
      throw new StorageError("The index was written short, so the old one was kept. The disk is probably full.", {
        operation: "storage.index",
      });
    }
    if (await mayReplace()) {
      await renameWithPatience(staged, path);
      await syncDirectory(dirname(path));
      return size;
    }
  } catch (error) {
    await removeIfThere(staged);
    throw error;
  }
  await removeIfThere(staged);
  return undefined;
}

// One session a line, so that it can be read and written in slices; for `jq` it is an object like any other.
async function encodeIndex(entries: Iterable<IndexEntry>): Promise<Buffer> {
  const parts: Buffer[] = [];
  const slices = new Slices();
  let lines: string[] = [];
  let first = true;
  for (const entry of entries) {
    const [key, facts] = toJson(entry);
    lines.push(`${first ? "{\n" : ",\n"}${JSON.stringify(key)}: ${JSON.stringify(facts)}`);
    first = false;
    if (!slices.over) continue;
    parts.push(Buffer.from(lines.join("")));
    lines = [];
    await slices.rest();
  }
  parts.push(Buffer.from(`${lines.join("")}${first ? "{}" : "\n}"}\n`));
  return Buffer.concat(parts);
}

// The way `encodeIndex` writes it; `undefined` for everything else.
async function parseLines(text: string): Promise<[string, unknown][] | undefined> {
  const slices = new Slices();
  if (!text.startsWith("{\n") || !text.endsWith("\n}\n")) return undefined;
  const values: [string, unknown][] = [];
  const end = text.length - "\n}\n".length;
  for (let from = "{\n".length; from < end; ) {
    const newline = text.indexOf("\n", from);
    const to = newline > end ? end : newline;
    const line = text.slice(from, to === end ? to : to - 1);
    if (to !== end && text[to - 1] !== ",") return undefined;
    from = to + 1;
    const value = parseObject(`{${line}}`);
    if (value?.length !== 1) return undefined;
    values.push(value[0] as [string, unknown]);
    if (slices.over) await slices.rest();
  }
  return values;
}

/** Moves what cannot be read out of the way without losing a byte of it. `undefined` when there is nothing any more. */
export async function setAside(path: string): Promise<string | undefined> {
  const aside = `${path}.corrupt-${randomUUID()}`;
  try {
    await rename(path, aside);
    return aside;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

// A virus scanner or indexer that has the file open makes Windows refuse a rename for a moment.
const RENAME_WAITS_MS = [10, 20, 40, 80, 160, 320];

async function renameWithPatience(from: string, to: string): Promise<void> {
  for (const wait of RENAME_WAITS_MS) {
    try {
      return await rename(from, to);
    } catch (error) {
      if (!["EPERM", "EACCES", "EBUSY"].includes(codeOf(error) ?? "")) throw error;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
  await rename(from, to);
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
}

// Opened so that a pipe or a device in its place neither hangs nor never ends.
async function readText(path: string): Promise<{ content: string } | "missing" | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return "missing";
    throw error;
  }
  try {
    return (await file.stat()).isFile() ? { content: await file.readFile("utf8") } : undefined;
  } finally {
    await file.close();
  }
}

function parseObject(text: string): [string, unknown][] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    // Not JSON: the caller sets the file aside and rebuilds.
    return undefined;
  }
  return typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined;
}

type Facts = Omit<SessionRecord, "key"> & Omit<IndexEntry, "record">;

function isFacts(value: unknown): value is Facts {
  if (!hasRecordFacts(value)) return false;
  const { bytes, windowStart, skipped, head, headerless } = value as Partial<Facts>;
  return (
    isCount(bytes) &&
    isCount(windowStart) &&
    isCount(skipped) &&
    windowStart <= bytes &&
    (head === undefined || typeof head === "string") &&
    (headerless === undefined || headerless === true)
  );
}

function toEntry(key: SessionKey, { bytes, windowStart, skipped, head, headerless, ...record }: Facts): IndexEntry {
  return { record: { key, ...record }, bytes, windowStart, skipped, head, headerless };
}

function toJson({ record, ...place }: IndexEntry): [string, object] {
  const { key, uuid, created, lastActive, messageCount, ...facts } = record;
  return [key, { uuid, created, lastActive, messageCount, ...facts, ...place }];
}
