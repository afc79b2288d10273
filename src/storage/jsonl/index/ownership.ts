import { isSessionKey, type SessionKey } from "../../../core/key.js";
import { StorageBusyError } from "../../../errors.js";
import { isUuid } from "../layout.js";
import { Journal } from "./journal.js";
import type { JournalMark } from "./journal-line.js";

/** What others have said cannot be followed from where it was read last. */
export class ThreadLost extends StorageBusyError {
  constructor() {
    super(
      "The journal of this store cannot be followed. Try again; if it stays so, remove the files in sessions.journal.",
      {
        operation: "storage.open",
      },
    );
  }
}

// Each time others have begun a new journal, which they do every second at most.
const MAX_TRIES = 100;

/** Does something that needs what others have said, and where that was lost, takes in everything anew instead. */
export async function following(work: () => Promise<void>, anew: () => Promise<void> = work): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await (tries === 0 ? work() : anew());
    } catch (error) {
      if (!(error instanceof ThreadLost) || tries === MAX_TRIES) throw error;
    }
  }
}

interface OwnershipOptions {
  agentId: string;
  journalDir: string;
  /** How this storage names itself in the journal. */
  token: string;
  /** The system's name for the time since it was started; `null` where it has none. */
  boot: string | null;
  readOnly: boolean;
  /** Told of each session that another process has deleted. */
  onGone(key: SessionKey): void;
}

/**
 * Which transcript is whose, and who writes it, as the index and the journal say. Of two transcripts that processes begin
 * for one key at the same time, the one marked first has it; everyone reads the same journal, so all agree.
 */
export class Ownership {
  /** How keys of this agent begin, and no others. */
  readonly #prefix: string;
  readonly #self: string;
  readonly #onGone: (key: SessionKey) => void;
  readonly journal: Journal;
  readonly #uuids = new Map<SessionKey, string>();
  readonly #keys = new Map<string, SessionKey>();
  /** Transcripts marked as made for a key that had one: should that turn out to be gone, they are next. */
  readonly #rivals = new Map<SessionKey, string[]>();
  /** Marked by this storage in this generation of the journal. */
  readonly #marked = new Set<string>();
  /** Written by others in this generation: they may go on without saying so again. */
  readonly #foreign = new Set<SessionKey>();
  /** To be looked at again, once, and since when. */
  readonly #behind = new Map<SessionKey, number>();
  /** Counts the times at which sessions were put there. */
  #moment = 1;
  #generation = 0;

  constructor({ agentId, journalDir, token, boot, readOnly, onGone }: OwnershipOptions) {
    this.#prefix = `agent:${agentId}:`;
    this.#self = token;
    this.#onGone = onGone;
    this.journal = new Journal(journalDir, { boot, readOnly, onMark: (mark, of) => this.#apply(mark, of) });
  }

  get size(): number {
    return this.#uuids.size;
  }

  uuidOf(key: SessionKey): string | undefined {
    return this.#uuids.get(key);
  }

  keyOf(uuid: string): SessionKey | undefined {
    return this.#keys.get(uuid);
  }

  all(): IterableIterator<[SessionKey, string]> {
    return this.#uuids.entries();
  }

  isOurs(key: string): boolean {
    return key.startsWith(this.#prefix);
  }

  claim(key: SessionKey, uuid: string): void {
    this.#uuids.set(key, uuid);
    this.#keys.set(uuid, key);
  }

  forget(key: SessionKey): void {
    const uuid = this.#uuids.get(key);
    if (uuid !== undefined) this.#keys.delete(uuid);
    this.#uuids.delete(key);
    this.#foreign.delete(key);
    this.#behind.delete(key);
    const [next, ...others] = this.#rivals.get(key) ?? [];
    if (next === undefined) return;
    if (others.length > 0) this.#rivals.set(key, others);
    else this.#rivals.delete(key);
    this.claim(key, next);
    this.#foreign.add(key);
  }

  /** Everything is about to be told anew. */
  reset(): void {
    for (const known of [this.#uuids, this.#keys, this.#rivals, this.#foreign, this.#behind]) known.clear();
  }

  /** Has a session looked at again. */
  watch(key: SessionKey): void {
    this.#moment += 1;
    this.#behind.set(key, this.#moment);
  }

  /** When a look at a session begins. */
  get moment(): number {
    return this.#moment;
  }

  /** A session has been looked at, by a look that began then. What has been said to be behind since is still to be looked at. */
  seen(key: SessionKey, began: number): void {
    if ((this.#behind.get(key) ?? Number.POSITIVE_INFINITY) <= began) this.#behind.delete(key);
  }

  /** Sessions that may have gone on without this storage. */
  unseen(): Set<SessionKey> {
    return new Set([...this.#foreign, ...this.#behind.keys()]);
  }

  /** Takes in what others have said. @returns false when the thread was lost, and the index must be read again. */
  async readJournal(): Promise<boolean> {
    const kept = await this.journal.follow();
    this.#enter(this.journal.generation);
    return kept;
  }

  /** Says to the others that this storage writes a session, if it can be said and known to count at once. */
  markNow(key: SessionKey, uuid: string): boolean {
    // Writing the index begins a generation without asking here.
    this.#enter(this.journal.generation);
    if (this.#marked.has(uuid)) return true;
    return this.journal.generation > 0 && this.#say({ key, uuid, by: this.#self });
  }

  /**
   * Says to the others that a transcript is there for a key, if it can be known to count at once. If not, the journal tells
   * when it is read; `uuidOf` then says whether the key is this transcript's, or another process was first.
   */
  madeNow(key: SessionKey, uuid: string): boolean {
    return this.journal.generation > 0 && this.#say({ key, uuid, by: this.#self, made: true });
  }

  /** Says to the others that a session is gone, if it can be known to count at once. */
  deletedNow(key: SessionKey, uuid: string): boolean {
    return this.journal.generation > 0 && this.#say({ key, uuid, by: this.#self, deleted: true });
  }

  /**
   * Says something in the journal, knowing all that has been said before. For while an index is taken in.
   * @throws ThreadLost when that is not known any more, and the index must be taken in again.
   */
  async tell(saidNow: () => boolean): Promise<void> {
    do {
      await this.begin();
      if (!(await this.readJournal())) throw new ThreadLost();
    } while (!saidNow());
  }

  /** Begins a journal where there is none. */
  async begin(): Promise<void> {
    await this.journal.begin();
    this.#enter(this.journal.generation);
  }

  #say(mark: JournalMark): boolean {
    if (!this.journal.write(mark)) return false;
    this.#apply(mark, this.journal.generation);
    return true;
  }

  #apply({ key, uuid, by, made, deleted }: JournalMark, generation: number): void {
    this.#enter(generation);
    if (!isSessionKey(key) || !isUuid(uuid) || !this.isOurs(key)) return;
    const has = this.#uuids.get(key);
    if (deleted) {
      if (has === uuid) {
        this.#onGone(key);
        this.forget(key);
      } else {
        this.#dropRival(key, uuid);
      }
      return;
    }
    if (has === undefined && made) this.claim(key, uuid);
    else if (has !== uuid) {
      if (has !== undefined && made) this.#addRival(key, uuid);
      return;
    }
    if (by === this.#self) this.#marked.add(uuid);
    else this.#foreign.add(key);
  }

  #addRival(key: SessionKey, uuid: string): void {
    const rivals = this.#rivals.get(key) ?? [];
    if (!rivals.includes(uuid)) this.#rivals.set(key, [...rivals, uuid]);
  }

  #dropRival(key: SessionKey, uuid: string): void {
    const rivals = this.#rivals.get(key)?.filter((rival) => rival !== uuid) ?? [];
    if (rivals.length > 0) this.#rivals.set(key, rivals);
    else this.#rivals.delete(key);
  }

  // In a new generation everyone says anew what they write. What others wrote in the last one is still to be looked at.
  #enter(generation: number): void {
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#marked.clear();
    this.#moment += 1;
    for (const key of this.#foreign) this.#behind.set(key, this.#moment);
    this.#foreign.clear();
  }
}
