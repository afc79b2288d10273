import { readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { OnReport } from "../../report.js";
import { codeOf } from "../fault.js";
import { type AgentLayout, isThere, makePrivateDir } from "../layout.js";
import type { IndexEntry } from "./index-file.js";
import { setAside, writeIndex } from "./index-file.js";
import { indexIsDue } from "./index-pace.js";
import type { Journal } from "./journal.js";
import { keepSignals } from "./signals.js";

const LOOK_AGAIN_MS = 500;

// A writer that was killed keeps the others from writing the index for so long; nothing waits for it but `sessions.json`.
const LOCK_STALE_MS = 5_000;
const LOCK_UPDATE_MS = 1_000;

const ABANDONED_MS = 600_000;

/** What the writer of an index needs of it. */
export interface WritableIndex {
  readonly layout: AgentLayout;
  readonly journal: Journal;
  readonly entries: ReadonlyMap<string, IndexEntry>;
  /** Brings what other processes have written up to date. */
  refresh(): Promise<void>;
}

/**
 * Writes `sessions.json` in the background, and begins a new generation of the journal each time.
 *
 * Any process on the directory may do it; proper-lockfile keeps them from doing it all at once. Its lock can have two holders
 * after one died, so it is not what the result rests on: who finds that another generation was begun meanwhile leaves its
 * index unwritten, and a generation is removed only by who has put an index in place that covers it.
 */
export class IndexWriter {
  readonly #index: WritableIndex;
  readonly #report: OnReport;
  /** An index that could not be read and is still in its place: it must not be written over. */
  #mustSetAside = false;
  #dirty = false;
  #size = 0;
  #written = 0;
  #took = 0;
  #endedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #closing = false;

  constructor(index: WritableIndex, report: OnReport) {
    this.#index = index;
    this.#report = report;
  }

  /** Notes that the index has changed, by an update that wrote so many bytes. */
  changed(bytes: number): void {
    this.#dirty = true;
    this.#written += bytes;
    if (this.#timer === undefined && this.#writing === undefined && !this.#closing) this.#look();
  }

  /** The index in place takes so many bytes already. */
  sized(bytes: number): void {
    this.#size = bytes;
  }

  /** Moves an index that could not be read out of the way. A store that cannot be written can still be read. */
  async setAside(): Promise<string | undefined> {
    this.#mustSetAside = true;
    try {
      const aside = await setAside(this.#index.layout.index);
      this.#mustSetAside = false;
      return aside;
    } catch (error) {
      this.#report({ kind: "index-not-written", error });
      return undefined;
    }
  }

  /** Writes what has not been written yet. */
  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#timer);
    await this.#writing;
    if (this.#dirty) await this.#write();
  }

  #look(): void {
    this.#timer = undefined;
    const elapsed = performance.now() - this.#endedAt;
    if (indexIsDue({ size: this.#size, written: this.#written, elapsed, took: this.#took })) {
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#dirty && !this.#closing) this.#lookLater();
      });
    } else {
      this.#lookLater();
    }
  }

  #lookLater(): void {
    // A process with nothing else to do may end; the next one catches up from journal and transcripts.
    this.#timer = setTimeout(() => this.#look(), LOOK_AGAIN_MS).unref();
  }

  async #write(): Promise<void> {
    const started = performance.now();
    try {
      await this.#writeLocked();
    } catch (error) {
      // Nothing is lost: journal and transcripts hold it all, and it is tried again.
      this.#dirty = true;
      this.#report({ kind: "index-not-written", error });
    }
    this.#endedAt = performance.now();
    this.#took = this.#endedAt - started;
  }

  async #writeLocked(): Promise<void> {
    const { layout } = this.#index;
    // A store that was removed is not made again by what is left to say about it.
    if (!(await isThere(layout.dir))) return;
    if (this.#mustSetAside) await this.setAside();
    if (this.#mustSetAside) return;
    await makePrivateDir(layout.journal);
    const unlock = await lock(layout);
    // Another process is at it; this one looks again later, and when it closes, the journal says what is missing.
    if (unlock === undefined) return;
    try {
      this.#dirty = false;
      this.#written = 0;
      await this.#removeLeftovers();
      await this.#replace();
    } finally {
      await unlock();
    }
  }

  async #replace(): Promise<void> {
    const { layout, journal, entries } = this.#index;
    const closed = await journal.rotate();
    await this.#index.refresh();
    if (closed === undefined) {
      this.#dirty = true;
      return;
    }
    const isLatest = async () => (await journal.follow()) && journal.generation === closed + 1;
    const size = await writeIndex(layout.index, layout.journal, entries.values(), isLatest);
    if (size === undefined) {
      this.#dirty = true;
      return;
    }
    this.#size = size;
    await journal.remove(closed);
  }

  // Who holds the lock is the only one who writes, so what else lies there was left by a process that was killed.
  async #removeLeftovers(): Promise<void> {
    const { journal } = this.#index.layout;
    for (const name of await readdir(journal)) {
      const path = join(journal, name);
      try {
        if (name.startsWith("sessions.json.") || (name.endsWith(".new") && (await isOld(path)))) await unlink(path);
      } catch (error) {
        if (codeOf(error) !== "ENOENT") throw error;
      }
    }
  }
}

// A transcript that was never told of to anybody. Its maker may still be at it.
async function isOld(path: string): Promise<boolean> {
  return Date.now() - (await stat(path)).mtimeMs > ABANDONED_MS;
}

async function lock({ index, journal }: AgentLayout): Promise<(() => Promise<void>) | undefined> {
  keepSignals();
  const { lock: take } = await import("proper-lockfile");
  let compromised = false;
  try {
    const release = await take(index, {
      lockfilePath: join(journal, "index.lock"),
      // The index may not be there yet.
      realpath: false,
      stale: LOCK_STALE_MS,
      update: LOCK_UPDATE_MS,
      // Its default throws from a timer and ends the host.
      onCompromised: () => {
        compromised = true;
      },
    });
    return async () => {
      if (compromised) return;
      try {
        await release();
      } catch (error) {
        if (codeOf(error) !== "ERELEASED" && codeOf(error) !== "ENOTACQUIRED") throw error;
      }
    };
  } catch (error) {
    if (codeOf(error) === "ELOCKED") return undefined;
    throw error;
  }
}
