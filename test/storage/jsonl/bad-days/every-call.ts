import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FailingDisk, type Fault } from "./failing-disk.js";
import { faultsOf, Trial } from "./trial.js";
import { WORKLOADS } from "./workloads.js";

const ONCE = ["EIO", "ENOSPC", "EMFILE", "EACCES", "EROFS", "SHORT"] as const;
const LASTING = ["EIO", "ENOSPC", "EMFILE", "EACCES", "EROFS"] as const;

// All of them take several minutes; set to have them.
const ALL = process.env.EVERY_FAULT === "1";

/**
 * Fails the calls of each workload one after the other, with one error code each (another one for each durability), or all
 * that come after a call.
 */
export function failEveryCall({ lasting }: { lasting: boolean }): void {
  let disk: FailingDisk;
  beforeEach(async () => {
    disk = await FailingDisk.install();
  });
  afterEach(() => disk.remove());

  describe.each(WORKLOADS)("$name", (workload) => {
    test.each([
      ["always", 0],
      ["off", 1],
    ] as const)(
      "whatever fails, nothing acknowledged is lost or doubled and the storage goes on, durability %s",
      async (durability, turn) => {
        const began = performance.now();
        const trial = await Trial.prepare(workload, disk);
        const failures: string[] = [];
        let cases = 0;
        let failed = 0;
        try {
          const calls = await trial.calls(durability);
          const faults = [...faultsOf(calls, lasting ? LASTING : ONCE, lasting)];
          for (const fault of ALL ? faults : some(faults, turn, lasting ? 12 : 40)) {
            cases += 1;
            try {
              failed += (await trial.run(durability, fault)).failed;
            } catch (error) {
              failures.push(saying(error));
            }
          }
          const took = Math.round(performance.now() - began);
          const counts = `${calls.length} calls, ${cases} cases, ${failed} calls failed, ${failures.length} wrong`;
          console.log(`${workload.name}, ${durability}, ${lasting ? "lasting" : "once"}: ${counts}, ${took} ms`);
        } finally {
          trial.remove();
        }
        expect(failures).toEqual([]);
      },
      600_000,
    );
  });
}

/** About so many faults: one for every call, or every few calls, of the codes in turn. */
function some(faults: readonly Fault[], turn: number, about: number): Fault[] {
  const byCall = new Map<number, Fault[]>();
  for (const fault of faults) byCall.set(fault.at, [...(byCall.get(fault.at) ?? []), fault]);
  const step = Math.ceil(byCall.size / about);
  return [...byCall.values()].flatMap((codes, n) =>
    n % step === turn % step ? (codes[(n + turn) % codes.length] ?? []) : [],
  );
}

function saying(error: unknown): string {
  const { message, cause } = error as Error;
  return cause === undefined ? message : `${message}: ${cause instanceof Error ? saying(cause) : String(cause)}`;
}
