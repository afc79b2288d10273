import type { Check, Need } from "./check.js";
import { claimChecks, claimedUpdateChecks } from "./claims.js";
import { closingChecks } from "./closing.js";
import { deleteChecks } from "./deletes.js";
import { fidelityChecks } from "./fidelity.js";
import { keyChecks } from "./keys.js";
import { listChecks } from "./lists.js";
import { livingClaimChecks } from "./lives.js";
import { processChecks } from "./processes.js";
import { recordChecks } from "./records.js";
import type { MakeStorage, StorageCheck, StorageContractOptions } from "./storage-check.js";
import { transcriptChecks } from "./transcripts.js";
import { Trial } from "./trial.js";
import { updateChecks } from "./updates.js";
import { within } from "./within.js";

const CHECKS: readonly Check[] = [
  ...[recordChecks, updateChecks, transcriptChecks, fidelityChecks, keyChecks, listChecks, deleteChecks],
  ...[closingChecks, claimChecks, livingClaimChecks, claimedUpdateChecks, processChecks],
].flat();

const numberOf = (check: Check) => Number(check.clause.slice(1));

/**
 * The storage contract as data: every clause, S1 to S20, in checks that any test runner can run.
 *
 * ```ts
 * for (const { clause, name, run } of storageContract(makeStorage)) test(`${clause} ${name}`, run);
 * ```
 *
 * A check opens storages on a place that no other check uses, closes all it opened, and rejects when the storage breaks the
 * clause. What is kept on a place afterwards is for the caller to remove.
 */
export function storageContract(makeStorage: MakeStorage, options: StorageContractOptions = {}): StorageCheck[] {
  if (typeof makeStorage !== "function") throw new TypeError("storageContract needs a function that makes a storage.");
  const { persists = true, module, timeout } = options;
  if (timeout !== undefined && !(typeof timeout === "number" && timeout >= 50))
    throw new TypeError("timeout must be at least 50 milliseconds.");
  const can: Record<Need, boolean> = { persistence: persists, processes: persists && module !== undefined };
  return CHECKS.filter(({ needs }) => needs === undefined || can[needs])
    .sort((a, b) => numberOf(a) - numberOf(b))
    .map((check) => ({
      clause: check.clause,
      name: check.name,
      run: () => runOn(new Trial(makeStorage, options), check),
    }));
}

async function runOn(trial: Trial, check: Check): Promise<void> {
  try {
    await within(check.run(trial), "The check", trial.timeout * 5 + trial.lease);
  } catch (error) {
    // What the check found counts, and a storage that does not answer is not to be waited for twice.
    await Promise.allSettled([trial.end(trial.timeout / 8)]);
    throw error;
  }
  await trial.end();
}
