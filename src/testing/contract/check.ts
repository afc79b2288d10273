import type { StorageClause } from "./storage-check.js";
import type { Trial } from "./trial.js";

/** What a storage must be able to do for a check to make sense. */
export type Need = "persistence" | "processes";

/** A check before it has a storage to run on. */
export interface Check {
  clause: StorageClause;
  name: string;
  needs?: Need;
  run(trial: Trial): Promise<void>;
}
