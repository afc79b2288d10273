import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll, expect } from "vitest";
import { collect, dm } from "../../sessions.js";
import { openJsonl } from "../../storage-kinds.js";
import type { Load, Outcome } from "./bad-day-child.js";

const CHILD_MS = 25_000;

/** Puts a load on a store from a process of its own, which is started by way of other commands. */
export function loadInChild() {
  let home = "";
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "sessions-bad-days-"));
    const entryPoints = [fileURLToPath(new URL("./bad-day-child.ts", import.meta.url))];
    const outfile = join(home, "program.cjs");
    await build({ entryPoints, bundle: true, platform: "node", format: "cjs", outfile, logLevel: "error" });
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));
  return async (load: Load, by: readonly string[]): Promise<Outcome> => {
    const [file = "", ...args] = [...by, process.execPath, join(home, "program.cjs"), JSON.stringify(load)];
    const options = { maxBuffer: 1 << 26, timeout: CHILD_MS, env: { ...process.env, UV_THREADPOOL_SIZE: "1" } };
    const { stdout } = await promisify(execFile)(file, args, options);
    return JSON.parse(stdout) as Outcome;
  };
}

/** Whether a command can be run here. */
export function canRun(file: string, args: readonly string[]): boolean {
  try {
    execFileSync(file, args, { stdio: "ignore" });
    return true;
  } catch {
    // Not here: the tests that need it are skipped.
    return false;
  }
}

/** That a store has what was acknowledged once and in order, and what was refused at most once. */
export async function expectStored(dir: string, { acknowledged, refused }: Outcome): Promise<void> {
  const storage = openJsonl(dir);
  for (const [peer, ids] of Object.entries(acknowledged)) {
    const record = await storage.read(dm(peer));
    const found = record === undefined ? [] : await collect(storage.entries(record.uuid));
    const unsure = new Set(refused.map(({ id }) => id));
    const own = found.map(({ id }) => id).filter((id) => id.startsWith(`${peer}.`));
    expect(new Set(own).size).toBe(own.length);
    expect(own.filter((id) => !unsure.has(id))).toEqual(ids);
  }
}
