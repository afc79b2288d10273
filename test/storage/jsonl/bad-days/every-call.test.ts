import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { FailingDisk, type Fault } from "./failing-disk.js";
import { faultsOf, Trial } from "./trial.js";
import { WORKLOADS } from "./workloads.js";

let disk: FailingDisk;
beforeEach(async () => {
  disk = await FailingDisk.install();
});
afterEach(() => disk.remove());

const tally: string[] = [];
afterAll(() => console.log(tally.join("\n")));

const CODES = ["EIO", "ENOSPC", "EMFILE", "EACCES", "EROFS", "SHORT"] as const;

describe.each(WORKLOADS)("$name", (workload) => {
  test.each(["always", "off"] as const)(
    "whatever fails, nothing acknowledged is lost or doubled and the storage goes on, durability %s",
    async (durability) => {
      const trial = await Trial.prepare(workload, disk);
      const failures: unknown[] = [];
      const began = performance.now();
      let cases = 0;
      let failed = 0;
      try {
        const calls = await trial.calls(durability);
        const faults: Fault[] = [...faultsOf(calls, CODES, false), ...faultsOf(calls, CODES.slice(0, 5), true)];
        for (const fault of faults) {
          cases += 1;
          try {
            failed += (await trial.run(durability, fault)).failed;
          } catch (error) {
            failures.push(error);
          }
        }
        const took = Math.round(performance.now() - began);
        tally.push(
          `${workload.name}, ${durability}: ${calls.length} calls, ${cases} cases, ${failed} failed calls, ${took} ms`,
        );
      } finally {
        trial.remove();
      }
      expect(failures.map(saying)).toEqual([]);
    },
    60_000,
  );
});

function saying(error: unknown): string {
  const { message, cause } = error as Error;
  return cause === undefined ? message : `${message}: ${cause instanceof Error ? saying(cause) : String(cause)}`;
}
