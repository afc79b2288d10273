import { setTimeout } from "node:timers/promises";
import { TRANSCRIPT_VERSION } from "../../../core/header.js";
import type { SessionKey } from "../../../core/key.js";
import type { OnReport } from "../../report.js";
import { codeOf, isRefusal } from "../fault.js";
import type { AgentIndex } from "../index/agent-index.js";
import type { IndexEntry } from "../index/index-file.js";
import { isThere } from "../layout.js";
import type { HandlePool } from "../transcript/handle-pool.js";
import { type CaughtUp, catchUp, fromTranscript } from "../transcript/projection.js";

// Between removing a transcript and saying so lies little more than a sync of the directory.
const SAYING_MS = 50;

/** Reads sessions to where they are now, whoever wrote them. What is called here for one key, is called one after the other. */
export class SessionReader {
  readonly #pool: HandlePool;
  readonly #report: OnReport;
  /** Transcripts whose header has been seen to be their session's, in a version that can be written. */
  readonly #writable = new Set<string>();

  constructor(pool: HandlePool, report: OnReport) {
    this.#pool = pool;
    this.#report = report;
  }

  /** The index entry of a key, brought up to what its transcript says now. */
  async latest(index: AgentIndex, key: SessionKey): Promise<IndexEntry | undefined> {
    // How far it has been read just now: what is behind that may be half a line, which no entry covers.
    let reached: number | undefined;
    for (;;) {
      if (index.uuidOf(key) === undefined) await index.follow();
      const uuid = index.uuidOf(key);
      if (uuid === undefined) return undefined;
      const size = await this.#sizeOf(index, uuid);
      if (size === undefined) {
        await this.#gone(index, key, uuid);
        continue;
      }
      const entry = index.entries.get(key);
      try {
        if (entry !== undefined && !this.#writable.has(uuid) && !(await this.#verify(index, key, entry))) continue;
        const file = this.#pool.find(uuid);
        if (entry !== undefined && (size === (file?.known ?? entry.bytes) || size === reached)) return entry;
        reached = await this.read(index, key, uuid, entry, size);
      } catch (error) {
        // Removed since it was looked at, which the next look finds.
        if (codeOf(error) !== "ENOENT") throw error;
      }
    }
  }

  /** Whether a transcript is known to be its session's and of a version that can be written. */
  isWritable(uuid: string): boolean {
    return this.#writable.has(uuid);
  }

  /** A transcript was made by this storage. */
  made(uuid: string): void {
    this.#writable.add(uuid);
  }

  async #sizeOf(index: AgentIndex, uuid: string): Promise<number | undefined> {
    const file = this.#pool.find(uuid);
    if (file === undefined) return index.transcript(uuid).size();
    const { size, named } = file.probe();
    if (named) return size;
    this.#pool.drop(file);
    return index.transcript(uuid).size();
  }

  // Not named yet by who made it; or removed by another process, which has said so or is about to; or by hand, which nobody
  // says.
  async #gone(index: AgentIndex, key: SessionKey, uuid: string): Promise<void> {
    for (const wait of [0, SAYING_MS]) {
      if (wait > 0) await setTimeout(wait);
      await index.follow();
      if (index.uuidOf(key) !== uuid || (await this.#isNamed(index, uuid))) return;
    }
    this.#report({ kind: "transcript-missing", uuid });
    await index.dropMissing(key, uuid);
  }

  async #isNamed({ layout }: AgentIndex, uuid: string): Promise<boolean> {
    try {
      return await layout.giveName(uuid);
    } catch (error) {
      // Who may only look, waits for who may write.
      if (isRefusal(error)) return isThere(layout.transcript(uuid));
      throw error;
    }
  }

  /** Whether the transcript is this session's. If not, the index has been caught in an untruth and is rebuilt. */
  async #verify(index: AgentIndex, key: SessionKey, entry: IndexEntry): Promise<boolean> {
    const { uuid } = entry.record;
    const header = await index.transcript(uuid).header({ anywhere: !entry.headerless });
    if (header !== undefined && (header.key !== key || header.uuid !== uuid)) {
      await index.rebuild();
      return false;
    }
    if (header === undefined || header.version <= TRANSCRIPT_VERSION) this.#writable.add(uuid);
    return true;
  }

  /** Reads what stands behind what is known, or everything where that does not fit any more. @returns how far. */
  async read(
    index: AgentIndex,
    key: SessionKey,
    uuid: string,
    entry: IndexEntry | undefined,
    size: number,
  ): Promise<number | undefined> {
    const transcript = index.transcript(uuid);
    const began = index.moment;
    const caught =
      entry !== undefined && size >= entry.bytes
        ? await catchUp(entry, transcript, index.onSkipped)
        : await fromTranscript(transcript, uuid, entry?.record, index.onSkipped);
    if (caught === undefined) {
      index.forget(key);
      return undefined;
    }
    this.#keep(index, key, caught, began);
    return caught.size;
  }

  /** Where an own update stands, if it is among what counts. */
  async search(
    index: AgentIndex,
    key: SessionKey,
    uuid: string,
    entry: IndexEntry,
    rev: string,
  ): Promise<{ entry: IndexEntry; start: number } | undefined> {
    const began = index.moment;
    try {
      const caught = await catchUp(entry, index.transcript(uuid), index.onSkipped, rev);
      // Of an update that does not count there may be lines that look as if they did, until it is blanked: nobody is to know.
      if (caught.found === undefined) return undefined;
      this.#keep(index, key, caught, began);
      return { entry: caught.entry, start: caught.found };
    } catch (error) {
      // Removed by now, and what was written with it.
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  #keep(index: AgentIndex, key: SessionKey, { entry, size, endsOpen }: CaughtUp, began: number): void {
    const file = this.#pool.find(entry.record.uuid);
    if (file !== undefined) {
      if (size !== file.known) file.foreignAt = performance.now();
      file.known = size;
      file.endsOpen = endsOpen;
    }
    index.remember(key, entry, began);
  }
}
