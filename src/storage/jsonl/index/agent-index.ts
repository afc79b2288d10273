import type { SessionKey } from "../../../core/key.js";
import { type Commits, openCommits } from "../commit/commits.js";
import { unlessRefused } from "../fault.js";
import { type AgentLayout, refuseLinks, transcriptsIn } from "../layout.js";
import { inParallel, inSlices } from "../slices.js";
import type { KnownSession, OnSkipped } from "../transcript/projection.js";
import { Transcript } from "../transcript/transcript.js";
import { clearUp } from "./clear-up.js";
import { type IndexEntry, readIndex } from "./index-file.js";
import type { IndexHost } from "./index-host.js";
import { trustedEntries } from "./index-trust.js";
import { IndexWriter } from "./index-writer.js";
import type { Journal } from "./journal.js";
import { following, Ownership, ThreadLost } from "./ownership.js";
import { readStrays, withoutFile } from "./strays.js";

// Sessions looked at together.
const AT_ONCE = 32;

// So many transcripts are compared with the index when it is loaded: 20 µs each. Above it only those that the journal names
// are, and what another tool appends to a session meanwhile is seen when that session is read.
const VERIFIED_AT_ONCE = 1_000;

/**
 * What is known of one agent's sessions: `sessions.json` in memory, kept right by what the journal says others have written,
 * and written back in the background. It is a cache: every fact in it can be had from the transcripts again.
 */
export class AgentIndex {
  readonly layout: AgentLayout;
  readonly journal: Journal;
  readonly commits: Commits;
  readonly entries = new Map<SessionKey, IndexEntry>();
  readonly #owners: Ownership;
  readonly #host: IndexHost;
  readonly #writer: IndexWriter;
  /** Set while what is known is taken in or made anew. */
  #settling: Promise<void> | undefined;
  /** What a power cut took could not be given back, because nothing could be written: nothing may be appended before that. */
  #unsettled = false;
  /** What is known is not all there is, because taking it in failed half way: nothing is believed before that is repeated. */
  #partial = false;
  /** Transcripts that could not be read, and what an index had to say of those that do not say themselves whose they are. */
  #named: ReadonlyMap<string, KnownSession> = new Map();
  #unread: ReadonlySet<string> = new Set();

  private constructor(layout: AgentLayout, host: IndexHost) {
    this.layout = layout;
    this.#host = host;
    const { boot, readOnly, durability, token, identity, report } = host;
    const onGone = (key: SessionKey) => void this.entries.delete(key);
    const { agentId, journal: journalDir } = layout;
    this.#owners = new Ownership({ agentId, journalDir, token, boot, readOnly, onGone });
    this.journal = this.#owners.journal;
    this.#writer = new IndexWriter(this, report);
    this.commits = openCommits({ dir: layout.journal, durability, token, owner: identity, report });
  }

  static async load(layout: AgentLayout, host: IndexHost): Promise<AgentIndex> {
    const index = new AgentIndex(layout, host);
    // Where it fails it is tried again, with another one.
    await index.#load().catch(async (error: unknown) => {
      await Promise.allSettled([index.commits.close(), index.journal.close()]);
      throw error;
    });
    return index;
  }

  readonly transcript = (uuid: string) => new Transcript(this.layout.transcript(uuid), this.#host.pool);
  readonly onSkipped: OnSkipped = (line) => this.#host.report({ kind: "line-skipped", ...line });
  readonly uuidOf = (key: SessionKey) => this.#owners.uuidOf(key);
  readonly keyOf = (uuid: string) => this.#owners.keyOf(uuid);

  get moved(): boolean {
    return this.#settling !== undefined || this.#partial || this.journal.moved;
  }

  /** Takes in what other processes have said since. Free when they have said nothing. */
  async follow(): Promise<void> {
    while (this.#settling !== undefined) await this.#settling;
    if (this.moved || this.#unread.size > 0) await this.#settle(() => this.#follow());
  }

  /** Says to the others that this storage writes a session, if it can be said and known to count at once. */
  markNow(key: SessionKey, uuid: string): boolean {
    return !this.#unsettled && this.#owners.markNow(key, uuid);
  }

  /** Says to the others that this storage writes a session. Nothing is said of one that is gone by now. */
  async mark(key: SessionKey, uuid: string): Promise<void> {
    if (this.#unsettled) {
      await clearUp(this.layout, this.#host);
      this.#unsettled = false;
    }
    await this.#tell(() => this.uuidOf(key) !== uuid || this.#owners.markNow(key, uuid));
  }

  /** Says to the others that a transcript is there for a key. `uuidOf` then tells whether another process was first. */
  async markMade(key: SessionKey, uuid: string): Promise<void> {
    await this.#tell(() => this.uuidOf(key) !== undefined || this.#owners.madeNow(key, uuid));
  }

  async markDeleted(key: SessionKey, uuid: string): Promise<void> {
    await this.#tell(() => this.uuidOf(key) !== uuid || this.#owners.deletedNow(key, uuid));
    this.#writer.changed(0);
  }

  /** Keeps what an own update made of a session. `bytes` is what the update wrote. */
  set(key: SessionKey, entry: IndexEntry, bytes: number, began: number): void {
    this.remember(key, entry, began);
    if (!this.#host.readOnly) this.#writer.changed(bytes);
  }

  /**
   * Keeps what was read of a session, unless it was deleted meanwhile. Who merely reads must not write an index beside a
   * running host.
   */
  remember(key: SessionKey, entry: IndexEntry, began: number): void {
    if (this.uuidOf(key) !== entry.record.uuid) return;
    this.entries.set(key, entry);
    this.#owners.seen(key, began);
  }

  /** When a look at a session begins, for `remember`: what others are known to have written since is not in what it finds. */
  get moment(): number {
    return this.#owners.moment;
  }

  /** Has a session read again from its beginning: what was written last may not be there. */
  doubt(key: SessionKey): void {
    this.entries.delete(key);
    this.#owners.watch(key);
  }

  /** Drops a session whose transcript was removed by someone who said nothing. */
  async dropMissing(key: SessionKey, uuid: string): Promise<void> {
    if (!(await this.#say(() => this.markDeleted(key, uuid)))) this.forget(key);
  }

  /** Drops what is known of a session whose transcript is not there any more. */
  forget(key: SessionKey): void {
    this.#owners.forget(key);
    this.entries.delete(key);
  }

  async refresh(): Promise<void> {
    await this.follow();
    await inParallel(this.#owners.unseen(), AT_ONCE, (key) => this.#refresh(key));
  }

  /** Asks the transcripts for everything, because the index has been caught in an untruth. */
  async rebuild(): Promise<void> {
    await this.follow();
    await this.#settle(async () => {
      // A transcript without a header has only the index to say whose it is.
      const known = new Map(Array.from(this.entries.values(), ({ record }) => [record.uuid, record]));
      this.#partial = true;
      this.#owners.reset();
      this.entries.clear();
      const aside = this.#host.readOnly ? undefined : await this.#writer.setAside();
      await this.#orAnew(() => this.#takeFromDisk(known));
      this.#partial = false;
      this.#rebuilt(aside);
    });
  }

  async close(): Promise<void> {
    try {
      await this.commits.close();
    } finally {
      await this.#writer.close();
      await this.journal.close();
    }
  }

  // What is known is in pieces meanwhile: whoever finds a key unknown waits for the end before believing it.
  #settle(work: () => Promise<void>): Promise<void> {
    const settling = work().finally(() => {
      if (this.#settling === settling) this.#settling = undefined;
    });
    this.#settling = settling;
    return settling;
  }

  /** Says something in the journal, knowing all that has been said before. */
  async #tell(saidNow: () => boolean): Promise<void> {
    do {
      await this.follow();
      await this.#owners.begin();
    } while (this.#settling !== undefined || !saidNow());
  }

  async #follow(): Promise<void> {
    if (this.#partial || !(await this.#owners.readJournal())) await this.#load();
    else if (this.#unread.size > 0) await this.#orAnew(() => this.#takeStrays([...this.#unread], this.#named));
  }

  #load(): Promise<void> {
    return following(() => this.#takeIn());
  }

  #orAnew(work: () => Promise<void>): Promise<void> {
    return following(work, () => this.#takeIn());
  }

  async #takeIn(): Promise<void> {
    this.#partial = true;
    await refuseLinks(this.layout);
    this.#unsettled = !(await this.#say(() => clearUp(this.layout, this.#host)));
    const before = new Map(this.entries);
    this.#owners.reset();
    this.entries.clear();
    // Before the index: what the index does not say yet is in the journal as it was opened, also when it is removed meanwhile.
    await this.journal.open();
    const content = await readIndex(this.layout.index);
    const isOurs = (key: string) => this.#owners.isOurs(key);
    const { entries, known } = await trustedEntries(content, isOurs, this.#host.report);
    await inSlices(entries, (entry) => {
      const { key, uuid } = entry.record;
      const mine = before.get(key);
      this.#owners.claim(key, uuid);
      this.remember(key, mine?.record.uuid === uuid && mine.bytes >= entry.bytes ? mine : entry, this.moment);
    });
    if (!(await this.#owners.readJournal())) throw new ThreadLost();
    await this.#takeFromDisk(known);
    // What other tools have written is in no journal, and a power cut may have taken what was.
    if (this.journal.otherBoot || this.entries.size <= VERIFIED_AT_ONCE)
      for (const key of this.entries.keys()) this.#owners.watch(key);
    if (content.state === "unreadable") this.#rebuilt(this.#host.readOnly ? undefined : await this.#writer.setAside());
    else if (content.state === "missing" && this.#owners.size > 0) this.#rebuilt(undefined);
    this.#partial = false;
  }

  // What is said beside reading need not be said where nothing can be written.
  async #say(saying: () => Promise<unknown>): Promise<boolean> {
    if (this.#host.readOnly) return false;
    return unlessRefused(saying, (error) => this.#host.report({ kind: "index-not-written", error }));
  }

  /** Drops sessions whose transcript is gone and takes in those that nobody has told of. */
  async #takeFromDisk(known: ReadonlyMap<string, KnownSession>): Promise<void> {
    const onDisk = await transcriptsIn(this.layout.dir);
    for await (const [key, uuid] of withoutFile(this.#owners.all(), onDisk, this.layout, (work) => this.#say(work))) {
      this.#host.report({ kind: "transcript-missing", uuid });
      // Said, because others may have it from the same index.
      const said = () => this.uuidOf(key) !== uuid || this.#owners.deletedNow(key, uuid);
      if (!(await this.#say(() => this.#owners.tell(said)))) this.forget(key);
    }
    const strays: string[] = [];
    await inSlices(onDisk, (uuid) => {
      if (this.keyOf(uuid) === undefined) strays.push(uuid);
    });
    await this.#takeStrays(strays, known);
  }

  async #takeStrays(strays: readonly string[], known: ReadonlyMap<string, KnownSession>): Promise<void> {
    const began = this.moment;
    const { found, unread } = await readStrays(strays, {
      agentId: this.layout.agentId,
      transcript: (uuid) => this.transcript(uuid),
      known,
      onSkipped: this.onSkipped,
      told: this.#unread,
      report: this.#host.report,
    });
    this.#unread = new Set(unread);
    this.#named = known;
    for (const entry of found) await this.#adopt(entry, began);
  }

  async #adopt(entry: IndexEntry, began: number): Promise<void> {
    const { key, uuid } = entry.record;
    // Said in the journal, because a process that has just begun it, or another for the same key, is about to say so too.
    const said = () => this.uuidOf(key) !== undefined || this.#owners.madeNow(key, uuid);
    if (this.uuidOf(key) === undefined && !(await this.#say(() => this.#owners.tell(said))))
      this.#owners.claim(key, uuid);
    if (this.uuidOf(key) === uuid) this.remember(key, entry, began);
    else this.#host.report({ kind: "transcript-unclaimed", uuid });
  }

  // One that cannot be read must not take the others with it.
  async #refresh(key: SessionKey, uuid = this.uuidOf(key)): Promise<void> {
    if (uuid === undefined) return;
    const began = this.moment;
    try {
      const size = await this.transcript(uuid).size();
      if (size === undefined || size !== this.entries.get(key)?.bytes) await this.#host.refresh(key);
      this.#owners.seen(key, began);
    } catch (error) {
      this.#host.report({ kind: "transcript-unreadable", uuid, error });
    }
  }

  #rebuilt(aside: string | undefined): void {
    this.#host.report({ kind: "index-rebuilt", setAside: aside, sessions: this.#owners.size });
    if (!this.#host.readOnly) this.#writer.changed(0);
  }
}
