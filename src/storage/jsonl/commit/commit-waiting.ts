import type { SyncableFile, Written } from "./commit-contract.js";
import type { Logged } from "./commit-log.js";

/** A larger update takes less time to sync where it is than to write again. */
const LARGE_UPDATE = 262_144;

/** What one session has written and waits for: several updates share one wait. */
export class WaitingCommit {
  readonly uuid: string;
  readonly file: SyncableFile;
  readonly done: Promise<void>;
  #size = 0;
  #placed = true;
  readonly #written: { at: number; bytes: Uint8Array }[] = [];
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  constructor(written: Written) {
    this.uuid = written.uuid;
    this.file = written.file;
    this.file.pin();
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.add(written);
  }

  get fitsLog(): boolean {
    return this.#placed && this.#size <= LARGE_UPDATE;
  }

  add({ offset, bytes }: Written): void {
    if (offset === undefined) this.#placed = false;
    else this.#written.push({ at: offset, bytes });
    this.#size += bytes.length;
  }

  records(): Logged[] {
    const { uuid, file } = this;
    return this.#written.map(({ at, bytes }) => ({ uuid, path: file.path, at, bytes }));
  }

  end(failed?: { error: unknown }): void {
    this.file.unpin();
    if (failed === undefined) this.#resolve();
    else this.#reject(failed.error);
  }
}
