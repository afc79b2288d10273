import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MemoryStorage, type SessionStorage } from "../../src/index.js";
import { type MakeStorage, type StorageContractOptions, storageContract } from "../../src/testing.js";
import { makeJsonl } from "./jsonl-process.js";
import { MapStorage } from "./map-storage.js";

const home = mkdtempSync(join(tmpdir(), "sessions-contract-"));
const module = join(home, "jsonl-process.cjs");
// The processes must find the places of this one.
process.env.SESSIONS_CONTRACT_HOME = home;

beforeAll(async () => {
  const entryPoints = [fileURLToPath(new URL("./jsonl-process.ts", import.meta.url))];
  await build({ entryPoints, bundle: true, platform: "node", format: "cjs", outfile: module });
});
afterAll(() => {
  delete process.env.SESSIONS_CONTRACT_HOME;
  rmSync(home, { recursive: true, force: true });
});

/** Gives the same storage for the same place, as a storage that nothing outlives must. */
function sameForPlace(create: () => SessionStorage): MakeStorage {
  const places = new Map<string, SessionStorage>();
  return (place) => {
    const storage = places.get(place) ?? create();
    places.set(place, storage);
    return storage;
  };
}

const makeMemory = sameForPlace(() => new MemoryStorage());

const kinds: [string, MakeStorage, StorageContractOptions][] = [
  ["MemoryStorage", makeMemory, { persists: false }],
  ["the README's Map storage", sameForPlace(() => new MapStorage()), { persists: false }],
  ["JsonlStorage", makeJsonl, { module }],
];

describe.each(kinds)("%s", (_, makeStorage, options) => {
  for (const { clause, name, run } of storageContract(makeStorage, options)) test(`${clause} ${name}`, run);
});

test("every clause, S1 to S20, has a check, also for a storage in memory alone; each check has a name of its own", () => {
  const clauses = Array.from({ length: 20 }, (_, n) => `S${n + 1}`);
  for (const [, makeStorage, options] of kinds) {
    const checks = storageContract(makeStorage, options);
    expect([...new Set(checks.map(({ clause }) => clause))]).toEqual(clauses);
    expect(new Set(checks.map(({ clause, name }) => `${clause} ${name}`)).size).toBe(checks.length);
  }
});

test("checks of several processes are in the list only where there is a module for them", () => {
  const count = (options: StorageContractOptions) => storageContract(makeJsonl, options).length;
  expect(count({ module })).toBeGreaterThan(count({}) + 5);
  expect(count({})).toBeGreaterThan(count({ persists: false }));
  expect(count({ module, persists: false })).toBe(count({ persists: false }));
});

test("the contract refuses what it cannot work with", () => {
  expect(() => storageContract({} as never)).toThrow(TypeError);
  for (const timeout of [0, 49, -1, Number.NaN, "2000" as never])
    expect(() => storageContract(makeMemory, { timeout })).toThrow(TypeError);
});

describe("a module that cannot serve the contract", () => {
  const failing = (path: string) => {
    const checks = storageContract(makeJsonl, { module: path, timeout: 100 });
    return checks.find(({ name }) => name.startsWith("an acknowledged update survives SIGKILL"))?.run();
  };

  test("is named in the error, with what its process complained of", async () => {
    await expect(failing(join(home, "nowhere.cjs"))).rejects.toThrow(/nowhere\.cjs has ended.*Cannot find module/s);
  });

  test("is told when it ends without having called serveContract", async () => {
    await expect(failing(fileURLToPath(new URL("../fixtures/vectors/keys.json", import.meta.url)))).rejects.toThrow(
      /has ended before it answered/,
    );
  });
});
