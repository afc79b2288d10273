import { randomBytes } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { SessionKey } from "../../core/key.js";
import type { Claim, SessionStorage } from "../../storage/storage.js";
import type { MakeStorage, StorageContractOptions } from "./storage-check.js";
import { StorageProcess } from "./storage-process.js";
import { watched } from "./watched.js";
import { within } from "./within.js";

/** What one check works with: a place of its own, and storages and processes that are ended with it. */
export class Trial {
  /** Lower-case letters, digits and `_`, so that it can name a directory, a schema or a prefix of keys. */
  readonly place = `contract_${randomBytes(8).toString("hex")}`;
  readonly persists: boolean;
  readonly timeout: number;
  readonly lease: number;
  readonly #make: MakeStorage;
  readonly #options: StorageContractOptions;
  readonly #opened = new Set<SessionStorage>();
  readonly #processes = new Set<StorageProcess>();

  constructor(make: MakeStorage, options: StorageContractOptions) {
    this.#make = make;
    this.#options = options;
    this.persists = options.persists ?? true;
    this.timeout = options.timeout ?? 2000;
    this.lease = options.lease ?? 1000;
  }

  /** A storage on the check's place: a further one each time, or the same where nothing outlives it. */
  async open(): Promise<SessionStorage> {
    const storage = await within(Promise.resolve(this.#make(this.place)), "makeStorage", this.timeout);
    this.#opened.add(storage);
    return watched(storage, this.timeout);
  }

  /** A process of its own with a storage on the check's place. */
  async process(): Promise<StorageProcess> {
    const { module, execArgv } = this.#options;
    if (module === undefined) throw new Error("There is no module to start.");
    const child = new StorageProcess(module, { execArgv, timeout: this.timeout * 4 });
    this.#processes.add(child);
    await child.open(this.place);
    return child;
  }

  async processes(count: number): Promise<StorageProcess[]> {
    return Promise.all(Array.from({ length: count }, () => this.process()));
  }

  /** A claim that is to be had now. */
  granted(claiming: Promise<Claim>): Promise<Claim> {
    return this.soon(claiming, "storage.claim");
  }

  soon<T>(work: PromiseLike<T>, what: string): Promise<T> {
    return within(work, what, this.timeout);
  }

  /** Whether a promise is still open after the storage has done other things. What is not to happen cannot be awaited. */
  async stillOpen(promise: Promise<unknown>, storage: SessionStorage, key: SessionKey): Promise<boolean> {
    let open = true;
    const done = () => {
      open = false;
    };
    promise.then(done, done);
    for (let n = 0; n < 3; n += 1) {
      await storage.read(key);
      await nextTurn();
    }
    return open;
  }

  /** Ends everything the check began. Children first: they may hold what a storage waits for. */
  async end(patience = this.timeout): Promise<void> {
    await Promise.all([...this.#processes].map((child) => child.kill()));
    const closing = [...this.#opened].map((storage) => storage.close());
    await within(Promise.all(closing), "storage.close at the end of the check", patience);
  }
}
