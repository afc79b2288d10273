import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { SessionManager } from "../../src/index.js";
import { scriptedProvider } from "../../src/testing.js";
import { all, linesOf, tempDir } from "./store-dir.js";

const ROUNDS = 8;

async function bundleChild(): Promise<string> {
  const outfile = join(tempDir(), "child.mjs");
  await build({
    entryPoints: [join(import.meta.dirname, "kill-child.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
    logLevel: "error",
  });
  return outfile;
}

/** Runs the host until it has dealt with some messages, kills it in the middle of the next ones, and says how many. */
function runAndKill(child: string, dir: string, first: number, after: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const host = spawn(process.execPath, [child, dir, String(first)], { stdio: ["ignore", "pipe", "inherit"] });
    let acknowledged = first;
    createInterface({ input: host.stdout }).on("line", (line) => {
      acknowledged = Number(line) + 1;
      if (acknowledged - first >= after) host.kill("SIGKILL");
    });
    host.on("error", reject);
    host.on("close", () => resolve(acknowledged));
  });
}

test("G5 G10 a host killed with SIGKILL, again and again, loses no acknowledged message and repeats none", async () => {
  const child = await bundleChild();
  const dir = tempDir();
  let next = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const acknowledged = await runAndKill(child, dir, next, 1 + (round % 5));
    await using manager = new SessionManager({ dir, provider: scriptedProvider(() => "ok") });
    const interrupted = await manager.recover();
    expect(new Set(interrupted.map(({ key }) => key)).size).toBe(interrupted.length);
    const records = await all(manager.list());
    expect(records).toHaveLength(3);
    for (const record of records) {
      expect(record.openTurns).toEqual([]);
      const lines = await linesOf(manager, dir, record.key);
      const users = lines.filter((line) => line.role === "user");
      const numbers = users.map((line) => Number(String(line.content).slice(1)));
      expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
      expect(numbers.length).toBeGreaterThanOrEqual(acknowledged);
      expect(numbers.slice(0, acknowledged)).toEqual(Array.from({ length: acknowledged }, (_, i) => i));
      for (const user of users) {
        expect(lines.filter((line) => line.type === "turn" && line.of === user.id)).toHaveLength(1);
      }
      expect(record.messageCount).toBe(lines.filter((line) => line.role !== undefined).length);
    }
    // What the dead host had stored of its last message is recognised; the others are new.
    next = acknowledged;
  }
});
