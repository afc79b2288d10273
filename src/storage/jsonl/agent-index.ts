import { readdir, stat } from "node:fs/promises";
import type { SessionKey } from "../../core/key.js";
import type { OnReport } from "../report.js";
import { codeOf } from "./fault.js";
import { type IndexContent, type IndexEntry, readIndex, setAside, writeIndex } from "./index-file.js";
import { type AgentLayout, transcriptUuid } from "./layout.js";
import { catchUp, fromTranscript, type KnownSession } from "./projection.js";
import { type Durability, Transcript } from "./transcript.js";

// Files looked at together while an index is loaded: enough to keep the disk busy, far from the limit on open files.
const PARALLEL = 32;

// A save takes longer the more sessions there are; waiting this many times as long keeps it at 5 % of the time.
const SAVE_PAUSE_FACTOR = 20;

/**
 * What is known of one agent's sessions: `sessions.json` in memory, checked against the transcripts when it is loaded, and
 * written back in the background. It is a cache: every fact in it can be had from the transcripts again.
 */
export class AgentIndex {
  readonly layout: AgentLayout;
  readonly entries = new Map<SessionKey, IndexEntry>();
  readonly #durability: Durability;
  readonly #report: OnReport;
  readonly #readOnly: boolean;
  #dirty = false;
  #saving: Promise<void> | undefined;
  #endPause: (() => void) | undefined;
  #closing = false;

  private constructor(layout: AgentLayout, durability: Durability, report: OnReport, readOnly: boolean) {
    this.layout = layout;
    this.#durability = durability;
    this.#report = report;
    this.#readOnly = readOnly;
  }

  static async load(
    layout: AgentLayout,
    durability: Durability,
    report: OnReport,
    readOnly: boolean,
  ): Promise<AgentIndex> {
    const index = new AgentIndex(layout, durability, report, readOnly);
    await index.#load(await readIndex(layout.index));
    return index;
  }

  /** Forgets the index and asks the transcripts, because the index has been caught in an untruth. */
  async rebuild(): Promise<void> {
    await this.#saving;
    this.entries.clear();
    await this.#load({ state: "unreadable" });
  }

  transcript(uuid: string): Transcript {
    return new Transcript(this.layout.transcript(uuid), this.#durability);
  }

  readonly onSkipped = (line: { uuid: string; offset: number; line: number }): void =>
    this.#report({ kind: "line-skipped", ...line });

  set(key: SessionKey, entry: IndexEntry): void {
    this.entries.set(key, entry);
    this.#changed();
  }

  remove(key: SessionKey): void {
    if (this.entries.delete(key)) this.#changed();
  }

  /** Writes what has not been written yet. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#endPause?.();
    await this.#saving;
    if (this.#dirty) await this.#save();
  }

  async #load(content: IndexContent): Promise<void> {
    const uuids = await this.#uuidsOnDisk();
    if (uuids === undefined) return;
    const aside = content.state === "unreadable" && !this.#readOnly ? await setAside(this.layout.index) : undefined;
    const { entries, known } = this.#trusted(content, uuids);
    const loaded = await inSlices([...uuids], (uuid) => this.#loadOne(uuid, entries.get(uuid), known.get(uuid)));
    for (const entry of loaded) if (entry !== undefined) this.#adopt(entry, entries);
    if (content.state === "unreadable" || (content.state === "missing" && uuids.size > 0)) {
      this.#report({ kind: "index-rebuilt", setAside: aside, sessions: this.entries.size });
      this.#changed();
    }
  }

  async #uuidsOnDisk(): Promise<Set<string> | undefined> {
    try {
      const names = await readdir(this.layout.dir);
      return new Set(names.flatMap((name) => transcriptUuid(name) ?? []));
    } catch (error) {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  #trusted(content: IndexContent, uuids: ReadonlySet<string>) {
    const entries = new Map<string, IndexEntry>();
    const known = new Map<string, KnownSession>();
    if (content.state === "read") {
      for (const entry of content.entries) if (uuids.has(entry.record.uuid)) entries.set(entry.record.uuid, entry);
      for (const session of content.incomplete) known.set(session.uuid, session);
      if (content.refused > 0) this.#report({ kind: "index-entries-refused", count: content.refused });
    }
    return { entries, known };
  }

  async #loadOne(
    uuid: string,
    entry: IndexEntry | undefined,
    known: KnownSession | undefined,
  ): Promise<IndexEntry | undefined> {
    const transcript = this.transcript(uuid);
    if (entry !== undefined) {
      const { size } = await stat(transcript.path);
      if (size === entry.bytes) return entry;
      // Shorter than what was indexed: someone replaced it, and only the file itself can say what it holds.
      if (size > entry.bytes) return catchUp(entry, transcript, this.onSkipped);
    }
    const rebuilt = await fromTranscript(transcript, uuid, known ?? knownBy(entry), this.onSkipped);
    if (rebuilt === undefined) this.#report({ kind: "transcript-unclaimed", uuid });
    return rebuilt;
  }

  // Two transcripts can claim one key after a copy by hand. The index's choice stands, else the one last active.
  #adopt(entry: IndexEntry, indexed: ReadonlyMap<string, IndexEntry>): void {
    const { key, uuid, lastActive } = entry.record;
    const rival = this.entries.get(key);
    if (rival !== undefined) {
      const stays =
        indexed.has(rival.record.uuid) === indexed.has(uuid)
          ? rival.record.lastActive >= lastActive
          : indexed.has(rival.record.uuid);
      this.#report({ kind: "transcript-unclaimed", uuid: stays ? uuid : rival.record.uuid });
      if (stays) return;
    }
    this.entries.set(key, entry);
  }

  #changed(): void {
    if (this.#readOnly) return;
    this.#dirty = true;
    if (this.#closing) return;
    this.#saving ??= this.#saveInBackground();
  }

  async #saveInBackground(): Promise<void> {
    while (this.#dirty && !this.#closing) {
      const started = performance.now();
      await this.#save();
      await this.#rest((performance.now() - started) * SAVE_PAUSE_FACTOR);
    }
    this.#saving = undefined;
  }

  async #save(): Promise<void> {
    this.#dirty = false;
    try {
      await writeIndex(this.layout.index, this.entries.values());
    } catch (error) {
      // Nothing is lost: the transcripts hold it all, and the next change tries again.
      this.#report({ kind: "index-not-written", error });
    }
  }

  #rest(milliseconds: number): Promise<void> {
    if (this.#closing) return Promise.resolve();
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#endPause = undefined;
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      // A process with nothing else to do may end; the next one catches up from the transcripts.
      timer.unref();
      this.#endPause = end;
    });
  }
}

function knownBy(entry: IndexEntry | undefined): KnownSession | undefined {
  return entry === undefined ? undefined : entry.record;
}

async function inSlices<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += PARALLEL) {
    results.push(...(await Promise.all(items.slice(at, at + PARALLEL).map(work))));
  }
  return results;
}
