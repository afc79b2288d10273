import { readdir, stat } from "node:fs/promises";
import { parseSessionKey, type SessionKey } from "../../core/key.js";
import type { OnReport } from "../report.js";
import { codeOf } from "./fault.js";
import { type IndexContent, type IndexEntry, readIndex, setAside, writeIndex } from "./index-file.js";
import { type AgentLayout, refuseLinks, transcriptUuid } from "./layout.js";
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
  // Transcripts that are nobody's, and the size they had before `discover` last looked: one just being written grows.
  readonly #unclaimed = new Map<string, number | undefined>();
  readonly #durability: Durability;
  readonly #report: OnReport;
  readonly #readOnly: boolean;
  // An index that could not be read and is still in its place: it must not be written over.
  #mustSetAside = false;
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
    await refuseLinks(layout);
    const content = await readIndex(layout.index);
    const uuids = await index.#uuidsOnDisk();
    for (const [key, entry] of await index.#scan(content, uuids)) index.entries.set(key, entry);
    if (content.state === "unreadable") await index.#replace();
    else if (content.state === "missing" && uuids.size > 0) index.#rebuilt(undefined);
    return index;
  }

  /** Takes in sessions that another process, or another storage on this directory, has made since. */
  async discover(): Promise<void> {
    const known = new Set(Array.from(this.entries.values(), ({ record }) => record.uuid));
    const sizes = new Map<string, number>();
    for (const uuid of await this.#uuidsOnDisk()) {
      if (known.has(uuid)) continue;
      const size = (await this.transcript(uuid).size()) ?? 0;
      // An empty one is only just being made, and one that nobody claimed may have been half written when it was looked at.
      if (size !== 0 && size !== this.#unclaimed.get(uuid)) sizes.set(uuid, size);
    }
    if (sizes.size === 0) return;
    for (const [key, entry] of await this.#scan({ state: "missing" }, new Set(sizes.keys()))) {
      const rival = this.entries.get(key)?.record.uuid;
      if (rival === undefined) this.entries.set(key, entry);
      else if (rival !== entry.record.uuid) this.#leave(entry.record.uuid);
    }
    for (const [uuid, size] of sizes) if (this.#unclaimed.has(uuid)) this.#unclaimed.set(uuid, size);
  }

  /** Asks the transcripts for everything, because the index has been caught in an untruth. */
  async rebuild(): Promise<void> {
    const before = new Map(this.entries);
    // A transcript without a header has only the index to say whose it is.
    const incomplete = Array.from(before.values(), ({ record }) => record);
    const found = await this.#scan({ state: "read", entries: [], incomplete, refused: 0 }, await this.#uuidsOnDisk());
    // Sessions go on while this runs: what was written or deleted meanwhile is newer than what was found.
    for (const key of found.keys()) if (before.has(key) && !this.entries.has(key)) found.delete(key);
    for (const [key, entry] of before) if (this.entries.get(key) === entry) this.entries.delete(key);
    for (const [key, entry] of found) if (!this.entries.has(key)) this.entries.set(key, entry);
    await this.#replace();
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

  async #scan(content: IndexContent, uuids: ReadonlySet<string>): Promise<Map<SessionKey, IndexEntry>> {
    const { entries, known } = this.#trusted(content, uuids);
    const loaded = await inSlices([...uuids], (uuid) => this.#loadOne(uuid, entries.get(uuid), known.get(uuid)));
    const found = new Map<SessionKey, IndexEntry>();
    for (const entry of loaded) if (entry !== undefined) this.#adopt(entry, found, entries);
    return found;
  }

  async #uuidsOnDisk(): Promise<Set<string>> {
    const uuids = new Set<string>();
    try {
      for (const found of await readdir(this.layout.dir, { withFileTypes: true })) {
        const uuid = transcriptUuid(found.name);
        // A link, a pipe or a directory in a transcript's place is not opened.
        if (uuid !== undefined && !found.isFile()) this.#leave(uuid);
        else if (uuid !== undefined) uuids.add(uuid);
      }
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
    }
    return uuids;
  }

  #trusted(content: IndexContent, uuids: ReadonlySet<string>) {
    const entries = new Map<string, IndexEntry>();
    const known = new Map<string, KnownSession>();
    if (content.state === "read") {
      const full = content.entries.filter(({ record }) => this.#isOurs(record.key));
      const partial = content.incomplete.filter(({ key }) => this.#isOurs(key));
      // One transcript under two keys is its header's, and without a header nobody's.
      const twice = namedTwice([...full.map(({ record }) => record.uuid), ...partial.map(({ uuid }) => uuid)]);
      const ours = full.filter(({ record }) => !twice.has(record.uuid));
      const incomplete = partial.filter(({ uuid }) => !twice.has(uuid));
      for (const entry of ours) {
        if (uuids.has(entry.record.uuid)) entries.set(entry.record.uuid, entry);
        else this.#report({ kind: "transcript-missing", uuid: entry.record.uuid });
      }
      for (const session of incomplete) known.set(session.uuid, session);
      const others = content.entries.length - ours.length + content.incomplete.length - incomplete.length;
      const count = content.refused + others;
      if (count > 0) this.#report({ kind: "index-entries-refused", count });
    }
    return { entries, known };
  }

  #isOurs(key: SessionKey): boolean {
    return parseSessionKey(key).agentId === this.layout.agentId;
  }

  async #loadOne(
    uuid: string,
    entry: IndexEntry | undefined,
    known: KnownSession | undefined,
  ): Promise<IndexEntry | undefined> {
    try {
      return await this.#ask(uuid, entry, known);
    } catch (error) {
      // Deleted since the directory was listed.
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  async #ask(
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
    const rebuilt = await fromTranscript(transcript, uuid, known ?? entry?.record, this.onSkipped);
    if (rebuilt !== undefined && this.#isOurs(rebuilt.record.key)) return rebuilt;
    this.#leave(uuid);
    return undefined;
  }

  // Told once: the directory is looked at again whenever a session is not known.
  #leave(uuid: string): void {
    if (this.#unclaimed.has(uuid)) return;
    this.#unclaimed.set(uuid, undefined);
    this.#report({ kind: "transcript-unclaimed", uuid });
  }

  // Two transcripts can claim one key after a copy by hand. The index's choice stands, else the one last active.
  #adopt(entry: IndexEntry, found: Map<SessionKey, IndexEntry>, indexed: ReadonlyMap<string, IndexEntry>): void {
    const { key, uuid, lastActive } = entry.record;
    const rival = found.get(key);
    if (rival !== undefined) {
      const stays =
        indexed.has(rival.record.uuid) === indexed.has(uuid)
          ? rival.record.lastActive >= lastActive
          : indexed.has(rival.record.uuid);
      this.#leave(stays ? uuid : rival.record.uuid);
      if (stays) return;
    }
    found.set(key, entry);
  }

  async #replace(): Promise<void> {
    this.#mustSetAside = true;
    this.#rebuilt(this.#readOnly ? undefined : await this.#setAside());
  }

  #rebuilt(aside: string | undefined): void {
    this.#report({ kind: "index-rebuilt", setAside: aside, sessions: this.entries.size });
    this.#changed();
  }

  // A store that cannot be written can still be read.
  async #setAside(): Promise<string | undefined> {
    try {
      const aside = await setAside(this.layout.index);
      this.#mustSetAside = false;
      return aside;
    } catch (error) {
      this.#report({ kind: "index-not-written", error });
      return undefined;
    }
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
    if (this.#mustSetAside) await this.#setAside();
    if (this.#mustSetAside) return;
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

function namedTwice(uuids: readonly string[]): ReadonlySet<string> {
  const once = new Set<string>();
  return new Set(uuids.filter((uuid) => once.has(uuid) || !once.add(uuid)));
}

async function inSlices<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += PARALLEL) {
    results.push(...(await Promise.all(items.slice(at, at + PARALLEL).map(work))));
  }
  return results;
}
