import { unlink } from "node:fs/promises";
import type { SessionKey } from "../../../core/key.js";
import { StorageBusyError, UnsupportedVersionError } from "../../../errors.js";
import { type CheckedChange, decideOwnChange } from "../../change.js";
import type { Updater } from "../../storage.js";
import { codeOf } from "../fault.js";
import type { AgentIndex } from "../index/agent-index.js";
import type { IndexEntry } from "../index/index-file.js";
import { syncDirectory } from "../layout.js";
import { endsInsideLine } from "../transcript/lines.js";
import type { OpenFile } from "../transcript/open-file.js";
import { afterUpdate } from "../transcript/projection.js";
import { encodeUpdate, headerOf, NOTHING_NAMED } from "../transcript/updates.js";
import { createSession, type Updated, type WritingOptions, writtenShort } from "./session-maker.js";

// Others have written in between so many times in a row: each time one of them got on, but something must be wrong.
const MAX_TRIES = 1_000;

// A directory that is moved takes its open files along. So often is looked whether that has happened, in milliseconds.
const IN_PLACE_MS = 1_000;

// One update right behind another, where nobody else has written lately: that nobody did in between is only looked at after
// the write. Were it wrong, the update would be void and decided again, which is what this look beforehand saves otherwise.
const BURST_MS = 1;
const ALONE_MS = 1_000;

/**
 * Appends to sessions, makes and removes them. What is called here for one key, is called one after the other; other
 * processes may do the same at any moment, and nobody waits for anyone.
 *
 * An update is decided on what is known, and written only if the file still ends there. If another process wrote in that
 * very instant all the same, the file says who was first (see `readUpdates`), and the other decides again.
 */
export class SessionWriter {
  readonly #options: WritingOptions;

  constructor(options: WritingOptions) {
    this.#options = options;
  }

  async update(index: AgentIndex, key: SessionKey, updater: Updater, mayWrite: () => void): Promise<Updated> {
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const session = this.#ready(index, key) ?? (await this.#prepare(index, key));
      try {
        mayWrite();
        const decided = attempt(() => decideOwnChange(key, updater, session?.entry.record));
        // The next try brings up to date what has moved.
        if (session === undefined ? await isMadeMeanwhile(index, key) : this.#isMoved(index, key, session)) continue;
        if ("error" in decided) throw decided.error;
        const { change } = decided;
        if (change === undefined) return { record: session?.entry.record };
        const updated =
          session === undefined
            ? await createSession(index, key, change, this.#options)
            : await this.#append(index, key, session, change);
        if (updated !== undefined) return updated;
      } finally {
        session?.file.unpin();
      }
    }
    throw new StorageBusyError("Other processes write to this session all the time. Try again.", {
      operation: "storage.update",
      key,
    });
  }

  async remove(index: AgentIndex, key: SessionKey): Promise<boolean> {
    const entry = await this.#options.reader.latest(index, key);
    if (entry === undefined) return false;
    const { uuid } = entry.record;
    const path = index.layout.transcript(uuid);
    const { pool, durability } = this.#options;
    const file = pool.find(uuid);
    if (file !== undefined) pool.drop(file);
    let removed = true;
    try {
      await unlink(path);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      removed = false;
    }
    if (durability === "always") await pool.patiently(() => syncDirectory(index.layout.dir));
    await index.markDeleted(key, uuid);
    return removed;
  }

  /** A session that is open and, as far as this process knows, up to date. Its file is pinned. */
  #ready(index: AgentIndex, key: SessionKey): Session | undefined {
    const entry = index.entries.get(key);
    if (entry === undefined || !this.#options.reader.isWritable(entry.record.uuid)) return undefined;
    const file = this.#options.pool.find(entry.record.uuid);
    if (file === undefined || performance.now() - file.namedAt > IN_PLACE_MS) return undefined;
    file.pin();
    return { entry, file };
  }

  async #prepare(index: AgentIndex, key: SessionKey): Promise<Session | undefined> {
    const { pool, reader } = this.#options;
    for (;;) {
      const entry = await reader.latest(index, key);
      if (entry === undefined) return undefined;
      const file = await this.#pinned(index, entry);
      if (file === undefined) continue;
      let session: Session | undefined;
      try {
        session = await this.#upToDate(index, key, file);
      } finally {
        if (session === undefined) file.unpin();
      }
      if (session !== undefined) return session;
      pool.drop(file);
    }
  }

  /** The open file of a session, pinned; `undefined` when it was removed or moved since it was looked at. */
  async #pinned(index: AgentIndex, { record: { uuid }, bytes }: IndexEntry): Promise<OpenFile | undefined> {
    const { pool } = this.#options;
    const open = pool.find(uuid);
    if (open !== undefined) {
      open.pin();
      let inPlace = false;
      try {
        inPlace = await open.isInPlace();
      } finally {
        if (!inPlace) open.unpin();
      }
      if (inPlace) return open;
      pool.drop(open);
      return undefined;
    }
    try {
      const file = await pool.open(uuid, index.layout.transcript(uuid), { create: false });
      file.known = bytes;
      try {
        file.endsOpen = await endsInsideLine(file.handle, bytes);
        return file;
      } catch (error) {
        file.unpin();
        pool.drop(file);
        throw error;
      }
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  async #upToDate(index: AgentIndex, key: SessionKey, file: OpenFile): Promise<Session | undefined> {
    for (;;) {
      const { size, named } = file.probe();
      if (!named || index.uuidOf(key) !== file.uuid) return undefined;
      const entry = index.entries.get(key);
      if (entry !== undefined && size === file.known) return { entry, file };
      try {
        await this.#options.reader.read(index, key, file.uuid, entry, size);
      } catch (error) {
        // Removed since it was looked at.
        if (codeOf(error) !== "ENOENT") throw error;
        return undefined;
      }
    }
  }

  /** Whether someone has written, or removed the session, since what is known was known. */
  #isMoved(index: AgentIndex, key: SessionKey, { entry, file }: Session): boolean {
    const now = performance.now();
    const alone = now - file.provenAt < BURST_MS && now - file.foreignAt > ALONE_MS;
    if (alone && index.entries.get(key) === entry) return false;
    const { size, named } = file.probe();
    if (named && size === file.known && index.entries.get(key) === entry) return false;
    // Not `ready` any more, so that the next try looks.
    file.namedAt = Number.NEGATIVE_INFINITY;
    return true;
  }

  async #append(
    index: AgentIndex,
    key: SessionKey,
    { entry, file }: Session,
    { record, follows, append, lines }: CheckedChange,
  ): Promise<Updated | undefined> {
    const { uuid } = entry.record;
    if (!this.#options.reader.isWritable(uuid)) {
      throw new UnsupportedVersionError(
        "This transcript was written by a newer version; it is left as it is. Update openclaw-sessions to write to it.",
        { operation: "storage.update", key },
      );
    }
    const rev = this.#options.newRev();
    const own = follows ? undefined : record;
    const header = entry.headerless && (lines.length > 0 || !follows) ? headerOf(entry.record) : undefined;
    const on = entry.head ?? NOTHING_NAMED;
    const text = encodeUpdate({ header, entries: lines, record: own, rev, on });
    if (text === "") return { record: entry.record };
    if (!index.markNow(key, uuid)) {
      await index.mark(key, uuid);
      return undefined;
    }
    const before = file.known;
    const bytes = Buffer.from(text);
    const whole = file.endsOpen ? Buffer.concat([NEWLINE, bytes]) : bytes;
    let written: number;
    try {
      const writing = file.write(whole);
      written = typeof writing === "number" ? writing : await writing;
    } catch (error) {
      // Whatever it left there is looked at before anything else is written.
      this.#options.pool.drop(file);
      throw error;
    }
    const began = index.moment;
    const { size, named } = file.probe();
    let next: IndexEntry;
    let place = { offset: before, bytes: whole };
    // A torn piece that is passed over is read, to be told and counted.
    if (named && written === whole.length && size === before + written && entry.bytes === before) {
      next = afterUpdate(entry, { start: size - bytes.length, end: size, header, entries: append, record, rev });
      file.known = size;
      file.endsOpen = false;
      file.provenAt = performance.now();
    } else {
      const found = named ? await this.#options.reader.search(index, key, uuid, entry, rev) : undefined;
      if (found === undefined) {
        if (named) await file.blank(bytes, before);
        this.#options.pool.drop(file);
        if (written !== whole.length) throw writtenShort(key);
        return undefined;
      }
      next = found.entry;
      place = { offset: found.start, bytes };
    }
    index.set(key, next, bytes.length, began);
    const durable = index.commits.commit({ uuid, file, ...place });
    // A failed sync leaves unknown what is on disk: everything is read again before the next append.
    durable?.catch(() => {
      this.#options.pool.drop(file);
      index.doubt(key);
    });
    // The index may have been written, and a new journal begun, before others could see that this session was going on.
    if (index.moved) {
      await index.follow();
      await index.mark(key, uuid);
    }
    return { record: next.record, durable };
  }
}

interface Session {
  entry: IndexEntry;
  file: OpenFile;
}

async function isMadeMeanwhile(index: AgentIndex, key: SessionKey): Promise<boolean> {
  if (index.moved) await index.follow();
  return index.uuidOf(key) !== undefined;
}

const NEWLINE = Buffer.from("\n");

function attempt(decide: () => CheckedChange | undefined): { change: CheckedChange | undefined } | { error: unknown } {
  try {
    return { change: decide() };
  } catch (error) {
    // Thrown once it is known that it was not decided on something out of date.
    return { error };
  }
}
