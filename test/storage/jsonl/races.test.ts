import { join } from "node:path";
import { expect, test } from "vitest";
import { JsonlStorage } from "../../../src/index.js";
import { storageContract } from "../../../src/testing.js";
import { tempDir } from "../storage-kinds.js";

// Which of two instances comes first is chance, and the rare orders are the ones that go wrong.
const ROUNDS = 12;

test("S5 S13 S16 instances that update, delete and begin sessions at once agree on what is there, again and again", async () => {
  const dir = tempDir();
  const failures: string[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const makeStorage = (place: string) =>
      new JsonlStorage({ dir: join(dir, `${round}${place}`), durability: round % 2 ? "off" : "always" });
    const checks = storageContract(makeStorage).filter(({ clause }) => ["S5", "S13", "S16"].includes(clause));
    expect(checks.length).toBeGreaterThan(6);
    for (const { clause, name, run } of checks) {
      await run().catch((error: unknown) => failures.push(`round ${round}: ${clause} ${name}: ${String(error)}`));
    }
  }
  expect(failures).toEqual([]);
}, 60_000);
