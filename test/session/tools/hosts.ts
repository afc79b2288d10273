import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { Plan } from "./plans.js";

export interface Host {
  handle(plan: Plan): void;
  answer(name: string, text: string): void;
  /** The first line that begins so, also one that has come already. */
  line(begin: string): Promise<string>;
  lines(begin: string): string[];
  /** Ends it in whatever it is doing, and waits until it is gone. */
  kill(): Promise<void>;
  /** Lets it come to its end. */
  close(): Promise<void>;
}

/** Processes that run `spawn-killed-child.ts`. None of them outlives its test. */
export function hosts(): (dir: string, options?: { maxConcurrent?: number; stopsAfter?: number }) => Host {
  let home = "";
  let started: ChildProcess[] = [];
  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), "sessions-hosts-"));
    await build({
      entryPoints: [join(import.meta.dirname, "spawn-killed-child.ts")],
      outfile: join(home, "host.mjs"),
      bundle: true,
      platform: "node",
      format: "esm",
      target: "node20",
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
      logLevel: "error",
    });
  });
  afterEach(() => {
    for (const child of started) child.kill("SIGKILL");
    started = [];
  });
  afterAll(() => rmSync(home, { recursive: true, force: true }));

  return (dir, { maxConcurrent = 8, stopsAfter = 0 } = {}) => {
    const program = [join(home, "host.mjs"), dir, String(maxConcurrent), String(stopsAfter)];
    const child = spawn(process.execPath, program, { stdio: ["pipe", "pipe", "inherit"] });
    started.push(child);
    // Whatever is still written to one that has been killed.
    child.stdin.on("error", () => {});
    const gone = once(child, "close");
    const said: string[] = [];
    const output = createInterface({ input: child.stdout });
    output.on("line", (line) => said.push(line));
    const tell = (order: string) => void child.stdin.write(`${order}\n`);
    const lines = (begin: string) => said.filter((line) => line.startsWith(begin));
    return {
      handle: (plan) => tell(`handle ${JSON.stringify(plan)}`),
      answer: (name, text) => tell(`answer ${name} ${text}`),
      lines,
      line: async (begin) => {
        for (;;) {
          const [found] = lines(begin);
          if (found !== undefined) return found;
          await Promise.race([
            once(output, "line"),
            gone.then(() => Promise.reject(new Error(`Gone without ${begin}`))),
          ]);
        }
      },
      kill: async () => {
        child.kill("SIGKILL");
        await gone;
      },
      close: async () => {
        tell("close");
        await gone;
      },
    };
  };
}
