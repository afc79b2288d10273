import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { Order } from "./lock-child.js";

export interface LockChild {
  readonly pid: number;
  tell(order: Order): Promise<unknown>;
  readonly ended: Promise<unknown>;
  /** Ends it with a signal that it cannot answer to, and waits for its end. */
  kill(): Promise<void>;
}

/** Whether a process can be started in a namespace of process numbers of its own. */
export const hasPidNamespaces = canRun("unshare", ["-pf", "--kill-child", "--mount-proc", "true"]);

function canRun(file: string, args: string[]): boolean {
  try {
    execFileSync(file, args, { stdio: "ignore" });
    return true;
  } catch {
    // Not here: the tests that need it are skipped.
    return false;
  }
}

/** Processes that take locks with the library as it stands in `src`. None of them outlives its test. */
export function lockChildren() {
  let home = "";
  let children: ChildProcess[] = [];
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "sessions-lock-child-"));
    const entryPoints = [fileURLToPath(new URL("./lock-child.ts", import.meta.url))];
    for (const [format, end] of [
      ["cjs", "cjs"],
      ["esm", "mjs"],
    ] as const)
      await build({ entryPoints, bundle: true, platform: "node", format, outfile: join(home, `program.${end}`) });
  });
  afterEach(() => {
    for (const child of children) child.kill("SIGKILL");
    children = [];
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  return {
    /** The library as a file that can be loaded once more. */
    library: (end: "cjs" | "mjs") => join(home, `program.${end}`),
    async start(...wrapper: string[]): Promise<LockChild> {
      const [file = "", ...args] = [...wrapper, process.execPath, join(home, "program.cjs")];
      const child = spawn(file, args, { cwd: home, stdio: ["ignore", "ignore", "inherit", "ipc"] });
      children.push(child);
      const ended = once(child, "exit");
      const answers = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
      child.on("message", ({ id, value, error }: { id: number; value?: unknown; error?: string }) => {
        if (error === undefined) answers.get(id)?.resolve(value);
        else answers.get(id)?.reject(new Error(error));
        answers.delete(id);
      });
      child.once("error", (error) => {
        for (const { reject } of answers.values()) reject(error);
      });
      let last = 0;
      const answer = (id: number) =>
        new Promise<unknown>((resolve, reject) => void answers.set(id, { resolve, reject }));
      await answer(0);
      return {
        pid: child.pid ?? 0,
        ended,
        tell(order) {
          const id = ++last;
          child.send({ id, order });
          return answer(id);
        },
        async kill() {
          child.kill("SIGKILL");
          await ended;
        },
      };
    },
  };
}
