import { expect, test } from "vitest";
import type { SessionStorage } from "../../src/index.js";
import { storageContract } from "../../src/testing.js";
import type { BrokenStorage } from "./broken-storage.js";

interface Failure {
  clause: string;
  name: string;
  error: unknown;
}

/** Runs the whole contract on storages of one kind. */
export async function failures(place: () => () => SessionStorage, timeout?: number): Promise<Failure[]> {
  const places = new Map<string, () => SessionStorage>();
  const makeStorage = (name: string) => {
    const open = places.get(name) ?? place();
    places.set(name, open);
    return open();
  };
  const failed: Failure[] = [];
  for (const { clause, name, run } of storageContract(makeStorage, { persists: false, timeout })) {
    const [result] = await Promise.allSettled([run()]);
    if (result.status === "rejected") failed.push({ clause, name, error: result.reason });
  }
  return failed;
}

/** Tests that the contract finds the defect of each storage, in the clause it breaks and not by waiting in vain. */
export function catches(storages: readonly BrokenStorage[]): void {
  test.each(storages)("$breaks catches a storage in which $defect", async ({ breaks, place, silent }) => {
    const failed = await failures(place, 250);
    const own = failed.filter(({ clause }) => clause === breaks);
    expect(own, `fails ${failed.map(({ clause, name }) => `${clause} ${name}`).join("; ") || "nothing"}`).not.toEqual(
      [],
    );
    if (silent) return;
    const caught = own.filter(({ error }) => !String(error).includes("was not done within"));
    expect(caught, `waits in vain: ${own.map(({ error }) => error)}`).not.toEqual([]);
  });
}
