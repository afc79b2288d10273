import type { OnReport } from "../../report.js";
import type { After, Commits, Written } from "./commit-contract.js";
import { syncInPlace, throwAll } from "./commit-sync.js";

const DELAY_MS = 1000;

/** Nobody waits for the disk: at most a second after the first of them, everything written is synced in the background. */
export class DelayedCommits implements Commits {
  readonly #after: After;
  readonly #report: OnReport;
  /** Written to since they were last synced, with their paths. Held by path: ten thousand handles cannot be pinned. */
  #dirty = new Map<string, string>();
  readonly #failed = new Map<string, unknown>();
  #round: Promise<unknown> = Promise.resolve();
  #callOff: (() => void) | undefined;

  constructor({ after, report }: { after: After; report: OnReport }) {
    this.#after = after;
    this.#report = report;
  }

  commit({ uuid, file }: Written): Promise<void> | undefined {
    this.#dirty.set(uuid, file.path);
    this.#callOff ??= this.#after(DELAY_MS, () => {
      this.#callOff = undefined;
      this.#round = this.#round.then(() => this.#sync());
    });
    if (!this.#failed.has(uuid)) return undefined;
    const error = this.#failed.get(uuid);
    this.#failed.delete(uuid);
    return Promise.reject(error);
  }

  async close(): Promise<void> {
    this.#callOff?.();
    this.#callOff = undefined;
    const last = this.#round.then(() => this.#sync());
    this.#round = last;
    throwAll(await last, "Some transcripts could not be synced.");
  }

  async #sync(): Promise<unknown[]> {
    const dirty = this.#dirty;
    this.#dirty = new Map();
    const errors: unknown[] = [];
    await syncInPlace(dirty, (uuid, error) => {
      errors.push(error);
      // Not synced again to see whether it works now: the system forgets what it could not write, and would say it does.
      this.#failed.set(uuid, error);
      this.#report({ kind: "sync-failed", error });
    });
    return errors;
  }
}
