import { join } from "node:path";
import type { OnReport } from "../../report.js";
import { inParallel } from "../slices.js";
import type { After, Commits, Written } from "./commit-contract.js";
import { beginLive } from "./commit-live.js";
import { CommitLog } from "./commit-log.js";
import { logName } from "./commit-record.js";
import { throwAll } from "./commit-sync.js";
import { WaitingCommit } from "./commit-waiting.js";

/** So many sessions are synced in place, side by side. The system has four threads for all file work of the process. */
const SIDE_BY_SIDE = 3;
const ROTATE_BYTES = 4_194_304;
/** While the log before is being retired this one grows, up to here. Then updates are synced in place again. */
const FULL_BYTES = 67_108_864;
const IDLE_MS = 1000;

/**
 * Every commit waits until its bytes are on disk, and waits together with others.
 *
 * A few sessions at a time are synced in place. When more wait, their bytes are written once more, to one log, and a single
 * sync makes all of them safe; the transcripts follow in the background, after which the log is removed. Only one batch
 * of the log is under way at a time, and what arrives meanwhile makes the next one.
 *
 * What a log holds of a transcript never begins behind bytes that this process has written and that are still on their way to
 * the disk by another road: a session that is being synced in place waits for that to end.
 */
export class GroupedCommits implements Commits {
  readonly #options: { dir: string; token: string; owner: unknown; report: OnReport; after: After };
  readonly #endLive: () => void;
  /** Not begun, by session. */
  readonly #waiting = new Map<string, WaitingCommit>();
  /** Begun and not done, or not begun. */
  readonly #open = new Set<WaitingCommit>();
  readonly #inPlace = new Set<string>();
  #batch: Promise<void> | undefined;
  #planned = false;
  /** Whether the last look found more sessions than are synced side by side. Then the next one is worth gathering for. */
  #crowded = false;
  #closed = false;

  #log: CommitLog | undefined;
  #logs = 0;
  #logUsed = false;
  #logTrouble = false;
  #callOff: (() => void) | undefined;
  readonly #retiring = new Set<CommitLog>();
  #retired: Promise<void> = Promise.resolve();

  constructor(options: { dir: string; token: string; owner: unknown; report: OnReport; after: After }) {
    this.#options = options;
    this.#endLive = beginLive(options.token);
  }

  commit(written: Written): Promise<void> {
    let commit = this.#waiting.get(written.uuid);
    if (commit === undefined) {
      commit = new WaitingCommit(written);
      this.#waiting.set(written.uuid, commit);
      this.#open.add(commit);
    } else {
      commit.add(written);
    }
    if (this.#batch !== undefined) return commit.done;
    if (!this.#crowded && this.#waiting.size === 1 && this.#maySyncInPlace(commit)) this.#begin(commit);
    else this.#plan();
    return commit.done;
  }

  async close(): Promise<void> {
    this.#closed = true;
    while (this.#open.size > 0) await Promise.allSettled(Array.from(this.#open, ({ done }) => done));
    await this.#batch;
    const errors: unknown[] = [];
    this.#retireLog((error) => errors.push(error));
    await this.#retired;
    this.#endLive();
    throwAll(errors, "Some transcripts could not be synced.");
  }

  // Not at once: sessions that have just been told of the last batch are about to come with their next update.
  #plan(): void {
    if (this.#planned || this.#waiting.size === 0) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      if (this.#batch === undefined) this.#look();
    });
  }

  #look(): void {
    const ready = Array.from(this.#waiting.values()).filter(({ uuid }) => !this.#inPlace.has(uuid));
    this.#crowded = ready.length + this.#inPlace.size > SIDE_BY_SIDE;
    if ((this.#log?.size ?? 0) >= ROTATE_BYTES && this.#retiring.size === 0) this.#retireLog();
    const forLog = ready.filter(({ fitsLog }) => fitsLog);
    if (forLog.length > SIDE_BY_SIDE && !this.#closed && (this.#log?.size ?? 0) < FULL_BYTES) {
      for (const { uuid } of forLog) this.#waiting.delete(uuid);
      this.#batch = this.#viaLog(forLog).finally(() => {
        this.#batch = undefined;
        this.#plan();
      });
    }
    for (const commit of ready) if (this.#maySyncInPlace(commit)) this.#begin(commit);
  }

  #maySyncInPlace({ uuid }: WaitingCommit): boolean {
    return this.#waiting.has(uuid) && !this.#inPlace.has(uuid) && this.#inPlace.size < SIDE_BY_SIDE;
  }

  #begin(commit: WaitingCommit): void {
    this.#waiting.delete(commit.uuid);
    void this.#syncInPlace(commit).then(() => this.#plan());
  }

  async #syncInPlace(commit: WaitingCommit): Promise<void> {
    const { uuid } = commit;
    this.#inPlace.add(uuid);
    try {
      await commit.file.datasync();
      this.#inPlace.delete(uuid);
      this.#end(commit);
    } catch (error) {
      this.#inPlace.delete(uuid);
      this.#end(commit, { error });
      this.#distrust(uuid, error);
    }
  }

  async #viaLog(commits: readonly WaitingCommit[]): Promise<void> {
    this.#log ??= this.#beginLog();
    const log = this.#log;
    this.#logUsed = true;
    try {
      await log.write(commits.flatMap((commit) => commit.records()));
    } catch (error) {
      // No sync has failed. What could not be written to the log is in the transcripts, and is synced there.
      this.#retireLog();
      if (!this.#logTrouble) this.#options.report({ kind: "log-not-written", error });
      this.#logTrouble = true;
      await inParallel(commits, SIDE_BY_SIDE, (commit) => this.#syncInPlace(commit));
      return;
    }
    try {
      await log.sync();
    } catch (error) {
      // Never asked again, nor written to: what it says from here on means nothing. What was acknowledged from it stays in it.
      log.keep();
      this.#retireLog();
      for (const commit of commits) this.#end(commit, { error });
      return;
    }
    this.#logTrouble = false;
    for (const commit of commits) this.#end(commit);
  }

  #end(commit: WaitingCommit, failed?: { error: unknown }): void {
    this.#open.delete(commit);
    commit.end(failed);
  }

  // After a failed sync the system takes what it could not write for written: the next sync of the file succeeds and means
  // nothing for what was in the file by then. So that one is not asked, and logs that have such bytes are kept.
  #distrust(uuid: string, error: unknown): void {
    this.#log?.doubt(uuid);
    for (const log of this.#retiring) log.doubt(uuid);
    const next = this.#waiting.get(uuid);
    if (next === undefined) return;
    this.#waiting.delete(uuid);
    this.#end(next, { error });
  }

  #beginLog(): CommitLog {
    const { dir, token, owner } = this.#options;
    this.#logs += 1;
    this.#callOff ??= this.#later();
    return new CommitLog(join(dir, logName(token, this.#logs)), owner);
  }

  #later(): () => void {
    return this.#options.after(IDLE_MS, () => {
      this.#callOff = undefined;
      if (this.#log === undefined) return;
      const busy = this.#logUsed || this.#batch !== undefined || this.#retiring.size > 0;
      this.#logUsed = false;
      if (busy) this.#callOff = this.#later();
      else this.#retireLog();
    });
  }

  #retireLog(onFailure?: (error: unknown) => void): void {
    const log = this.#log;
    this.#log = undefined;
    this.#callOff?.();
    this.#callOff = undefined;
    if (log === undefined) return;
    this.#retiring.add(log);
    const failed = (error: unknown) => {
      onFailure?.(error);
      this.#options.report({ kind: "sync-failed", error });
    };
    this.#retired = this.#retired
      .then(() =>
        log.retire((uuid, error) => {
          this.#distrust(uuid, error);
          failed(error);
        }),
      )
      .catch(failed)
      .finally(() => this.#retiring.delete(log));
  }
}
