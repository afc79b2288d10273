import { unlink } from "node:fs/promises";
import type { HeaderEntry } from "../../../core/header.js";
import type { SessionKey } from "../../../core/key.js";
import type { SessionRecord } from "../../../core/record.js";
import { StorageError } from "../../../errors.js";
import type { CheckedChange } from "../../change.js";
import type { Durability } from "../durability.js";
import { codeOf } from "../fault.js";
import type { AgentIndex } from "../index/agent-index.js";
import type { IndexEntry } from "../index/index-file.js";
import { isThere, isUuid, makePrivateDir, syncDirectory } from "../layout.js";
import type { HandlePool } from "../transcript/handle-pool.js";
import type { OpenFile } from "../transcript/open-file.js";
import { afterUpdate } from "../transcript/projection.js";
import { encodeUpdate, headerOf } from "../transcript/updates.js";
import type { SessionReader } from "./session-reader.js";

/** What an update came to. `durable` is still to be waited for. */
export interface Updated {
  record: SessionRecord | undefined;
  durable?: Promise<void> | undefined;
}

/** What writing sessions needs. */
export interface WritingOptions {
  pool: HandlePool;
  reader: SessionReader;
  durability: Durability;
  /** A name for an update that no other update of any process ever has. */
  newRev(): string;
}

/** Makes a session. @returns `undefined` when another process was first. */
export async function createSession(
  index: AgentIndex,
  key: SessionKey,
  { before, record, follows, append, lines }: CheckedChange,
  { pool, reader, durability, newRev }: WritingOptions,
): Promise<Updated | undefined> {
  const { uuid } = before;
  if (!isUuid(uuid)) throw new TypeError("A record's uuid must be a lower-case UUID: it names the transcript file.");
  const rev = newRev();
  const header = headerOf(before);
  const own = follows ? undefined : record;
  const bytes = Buffer.from(encodeUpdate({ header, entries: lines, record: own, rev, on: undefined }));
  await makePrivateDir(index.layout.dir, { durable: durability === "always" });
  const file = await createFile(uuid, index, key, pool);
  try {
    if ((await file.write(bytes)) !== bytes.length) throw writtenShort(key);
    if (durability === "always") await file.datasync();
    // With its content there: whoever learns of it can read it. Before it has its name: one that nobody was told of must not
    // be found later, when its key may have been deleted.
    await index.markMade(key, uuid);
    // Another process was first; nobody has heard of this one.
    if (index.uuidOf(key) !== uuid) return await takeBack(file, index, pool);
    await index.layout.giveName(uuid);
    if (durability === "always") await pool.patiently(() => syncDirectory(index.layout.dir));
    return keepMade(index, key, file, { before, record, append, header, rev, bytes: bytes.length }, reader);
  } catch (error) {
    await takeBack(file, index, pool);
    throw error;
  } finally {
    file.unpin();
  }
}

function keepMade(
  index: AgentIndex,
  key: SessionKey,
  file: OpenFile,
  made: Pick<CheckedChange, "before" | "record" | "append"> & { header: HeaderEntry; rev: string; bytes: number },
  reader: SessionReader,
): Updated {
  const { before, record, append, header, rev, bytes } = made;
  file.known = bytes;
  reader.made(before.uuid);
  const start: IndexEntry = { record: before, bytes: 0, windowStart: 0, skipped: 0 };
  const next = afterUpdate(start, { start: 0, end: bytes, header, entries: append, record, rev });
  index.set(key, next, bytes, 0);
  return { record: next.record };
}

async function createFile(uuid: string, index: AgentIndex, key: SessionKey, pool: HandlePool): Promise<OpenFile> {
  const { layout } = index;
  if (await isThere(layout.transcript(uuid))) throw uuidTaken(key);
  await makePrivateDir(layout.journal);
  try {
    const file = await pool.open(uuid, layout.unnamed(uuid), { create: true });
    file.path = layout.transcript(uuid);
    return file;
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
    throw uuidTaken(key);
  }
}

function uuidTaken(key: SessionKey): StorageError {
  return new StorageError("This uuid names another session's transcript.", { operation: "storage.update", key });
}

async function takeBack(file: OpenFile, { layout }: AgentIndex, pool: HandlePool): Promise<undefined> {
  pool.drop(file);
  for (const path of [layout.unnamed(file.uuid), file.path]) {
    try {
      await unlink(path);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
  }
}

export function writtenShort(key: SessionKey): StorageError {
  return new StorageError(
    "Only part of the update could be written. The disk is probably full; free some space and send it again.",
    { operation: "storage.update", key },
  );
}
