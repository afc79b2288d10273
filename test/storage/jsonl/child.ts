import { execFile, execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";
import { afterAll, beforeAll } from "vitest";
import type { Outcome, Plan } from "./child-program.js";

const NOBODY = 65534;
const asRoot = process.getuid?.() === 0;

/** Who runs a child that must not have root's rights: whoever runs the tests, or, when that is root, nobody. */
export const unprivileged: { uid?: number; gid?: number } = asRoot ? { uid: NOBODY, gid: NOBODY } : {};

/** Whether a process without root's rights can be had here. */
export const hasUnprivileged = process.platform !== "win32" && canRun(process.execPath, ["--version"], unprivileged);

/** Whether the size of files can be limited for a child. */
export const hasFileSizeLimit = process.platform !== "win32" && canRun("bash", ["-c", "ulimit -f 8"], {});

function canRun(file: string, args: string[], who: object): boolean {
  try {
    execFileSync(file, args, { ...who, stdio: "ignore" });
    return true;
  } catch {
    // Not here: the tests that need it are skipped.
    return false;
  }
}

/** Does what a plan says in a process of its own, with the library as it stands in `src`. */
export function storageInChild() {
  let home = "";
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "sessions-child-"));
    chmodSync(home, 0o755);
    const entryPoints = [fileURLToPath(new URL("./child-program.ts", import.meta.url))];
    await build({ entryPoints, bundle: true, platform: "node", format: "cjs", outfile: join(home, "program.cjs") });
    chmodSync(join(home, "program.cjs"), 0o644);
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  return async (plan: Plan, options: { unprivileged?: boolean; fileSizeLimitKiB?: number } = {}): Promise<Outcome> => {
    const program = [process.execPath, join(home, "program.cjs"), JSON.stringify(plan)];
    const limit = options.fileSizeLimitKiB;
    const [file = "", ...args] =
      limit === undefined ? program : ["bash", "-c", 'ulimit -f "$0" && exec "$@"', String(limit), ...program];
    const { stdout } = await promisify(execFile)(file, args, {
      ...(options.unprivileged ? unprivileged : {}),
      cwd: home,
      maxBuffer: 1 << 26,
    });
    return JSON.parse(stdout) as Outcome;
  };
}
