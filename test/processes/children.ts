import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { Answer, Order, Reported } from "./orders.js";
import type { Sent } from "./writer-child.js";

export interface Child {
  readonly pid: number;
  tell(order: Order): Promise<Answer>;
  signal(name: "SIGSTOP" | "SIGCONT"): void;
  /** Ends it in whatever it is doing, and waits until it is gone and all that it had sent has come. */
  kill(): Promise<void>;
}

/** Processes that use a store with the library as it stands in `src`. None of them outlives its test. */
export function children() {
  let home = "";
  let started: ChildProcess[] = [];
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "sessions-processes-"));
    const entryPoints = [fileURLToPath(new URL("./writer-child.ts", import.meta.url))];
    const outfile = join(home, "program.cjs");
    await build({ entryPoints, bundle: true, platform: "node", format: "cjs", outfile, logLevel: "error" });
  });
  afterEach(() => {
    for (const child of started) child.kill("SIGKILL");
    started = [];
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  return async (
    dir: string,
    durability: "always" | "batch" | "off" = "off",
    onReported: (reported: Reported) => void = () => undefined,
  ): Promise<Child> => {
    const child = fork(join(home, "program.cjs"), [dir, durability], { execArgv: [] });
    started.push(child);
    const ended = once(child, "close");
    const answers = new Map<number, { resolve(value: Answer): void; reject(error: Error): void }>();
    let last = 0;
    const answer = (id: number) => new Promise<Answer>((resolve, reject) => void answers.set(id, { resolve, reject }));
    child.on("message", (sent: Sent) => {
      if ("reported" in sent) return onReported(sent.reported);
      if ("error" in sent) answers.get(sent.id)?.reject(new Error(sent.error));
      else answers.get(sent.id)?.resolve(sent.value);
      answers.delete(sent.id);
    });
    child.on("exit", () => {
      for (const { reject } of answers.values()) reject(new Error("The process has ended."));
    });
    await answer(0);
    return {
      pid: child.pid ?? 0,
      tell(order) {
        last += 1;
        const answered = answer(last);
        child.send({ id: last, order });
        return answered;
      },
      signal: (name) => void child.kill(name),
      async kill() {
        child.kill("SIGKILL");
        await ended;
      },
    };
  };
}
