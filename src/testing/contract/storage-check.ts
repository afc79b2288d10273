import type { SessionStorage } from "../../storage/storage.js";

/** A clause of the storage contract, `S1` to `S20`. */
export type StorageClause =
  | `S${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`
  | `S1${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}`
  | "S20";

/** One fact that a storage must make true. `run` rejects when it does not. */
export interface StorageCheck {
  readonly clause: StorageClause;
  /** The fact, in the present tense. */
  readonly name: string;
  run(): Promise<void>;
}

/** Opens a storage on a place. The same place asked for again must have the same sessions. */
export type MakeStorage = (place: string) => SessionStorage | Promise<SessionStorage>;

export interface StorageContractOptions {
  /** `false`: nothing outlives the instance, and `makeStorage` gives the same one for the same place. Default: `true`. */
  persists?: boolean | undefined;
  /**
   * A JavaScript file that calls `serveContract(makeStorage)`. With it the contract also runs what concerns several processes:
   * it starts the file as child processes and ends them. Without it those checks are not in the list.
   */
  module?: string | URL | undefined;
  /** What the child processes are started with, such as `["--import", "tsx"]`. Default: what this process was started with. */
  execArgv?: readonly string[] | undefined;
  /** Milliseconds in which each call must be answered; at least 50. Default: 2,000. A whole check may take five times that. */
  timeout?: number | undefined;
  /**
   * Milliseconds in which the claim of a process that was killed must be free. Default: 1,000, for a storage that sees the
   * death. One that cannot gives its lease.
   */
  lease?: number | undefined;
}
