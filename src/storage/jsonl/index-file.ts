import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, rename, stat, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import writeFileAtomic from "write-file-atomic";
import { z } from "zod";
import { isSessionKey, type SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { StorageError } from "../../errors.js";
import { recordSchema } from "../record-schema.js";
import { codeOf } from "./fault.js";
import { isUuid } from "./layout.js";

/** What the index knows of a session: its record, and how far into the transcript that reaches. */
export interface IndexEntry {
  record: SessionRecord;
  /** Bytes of the transcript that the record covers; what stands behind them is still to be projected. */
  bytes: number;
  /** Where the update with the last clear begins: nothing before it is in force. */
  windowStart: number;
  /** Lines that could not be read. */
  skipped: number;
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

const entrySchema = recordSchema.omit({ key: true }).extend({
  bytes: z.int().nonnegative(),
  windowStart: z.int().nonnegative(),
  skipped: z.int().nonnegative(),
  headerless: z.literal(true).optional(),
});

/** Reads an index. Anything but an object of sessions is unreadable; a session whose uuid is no uuid is refused. */
export async function readIndex(path: string): Promise<IndexContent> {
  const text = await readText(path);
  if (text === "missing") return { state: "missing" };
  const value = text === undefined ? undefined : parseObject(text.content);
  if (value === undefined) return { state: "unreadable" };
  const content: IndexContent & { state: "read" } = { state: "read", entries: [], incomplete: [], refused: 0 };
  for (const [key, entry] of Object.entries(value)) {
    const { uuid, created } = (typeof entry === "object" && entry !== null ? entry : {}) as Record<string, unknown>;
    const facts = entrySchema.safeParse(entry);
    if (!isSessionKey(key) || !isUuid(uuid)) content.refused += 1;
    else if (facts.success && facts.data.windowStart <= facts.data.bytes)
      content.entries.push(toEntry(key, facts.data));
    else content.incomplete.push({ key, uuid, created: typeof created === "string" ? created : undefined });
  }
  return content;
}

/**
 * Puts an index in place: written beside it, its size checked, then renamed over it, so that a reader never meets half of
 * one. write-file-atomic alone reports success after a short write on a full disk, which would replace a good index.
 */
export async function writeIndex(path: string, entries: Iterable<IndexEntry>): Promise<void> {
  const bytes = Buffer.from(
    `${JSON.stringify(Object.fromEntries(Array.from(entries, toJson)), undefined, 2)}\n`,
    "utf8",
  );
  const staged = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFileAtomic(staged, bytes, { mode: 0o600, ...(await ownership(path)) });
    const { size } = await stat(staged);
    if (size !== bytes.length) {
      throw new StorageError("The index was written short, so the old one was kept. The disk is probably full.", {
        operation: "storage.index",
      });
    }
    await renameWithPatience(staged, path);
  } catch (error) {
    await removeIfThere(staged);
    throw error;
  }
}

// An operator who works as root on a bot's store must not leave the bot an index that it may not read.
async function ownership(path: string): Promise<{ chown?: { uid: number; gid: number } }> {
  if (process.getuid?.() !== 0) return {};
  const { uid, gid } = await stat(dirname(path));
  return { chown: { uid, gid } };
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

function parseObject(text: string): Record<string, unknown> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch {
    // Not JSON: the caller sets the file aside and rebuilds.
    return undefined;
  }
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function toEntry(key: SessionKey, facts: z.infer<typeof entrySchema>): IndexEntry {
  const { bytes, windowStart, skipped, headerless, ...record } = facts;
  return { record: { key, ...record } as unknown as SessionRecord, bytes, windowStart, skipped, headerless };
}

function toJson({ record, ...place }: IndexEntry): [string, object] {
  const { key, uuid, created, lastActive, messageCount, ...facts } = record;
  return [key, { uuid, created, lastActive, messageCount, ...facts, ...place }];
}
