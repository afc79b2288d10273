import { expect, test } from "vitest";
import { MemoryStorage } from "../../src/index.js";
import { brokenStorages } from "./broken-storages.js";
import { failures } from "./catches.js";

test("a storage without a defect passes the contract that catches the broken ones", async () => {
  const place = () => {
    const storage = new MemoryStorage();
    return () => storage;
  };
  expect(await failures(place)).toEqual([]);
});

test("there is a broken storage for every clause, and no defect twice", () => {
  const clauses = Array.from({ length: 20 }, (_, n) => `S${n + 1}`);
  expect(new Set(brokenStorages.map(({ breaks }) => breaks))).toEqual(new Set(clauses));
  expect(new Set(brokenStorages.map(({ defect }) => defect)).size).toBe(brokenStorages.length);
});
