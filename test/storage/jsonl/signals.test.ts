import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, onTestFinished, test } from "vitest";
import { tempDir } from "../storage-kinds.js";

async function startHost(shutdown: "once" | "none"): Promise<{ child: ChildProcess; said(): string }> {
  const dir = tempDir();
  const outfile = join(dir, "host.cjs");
  const entryPoints = [fileURLToPath(new URL("./host-child.ts", import.meta.url))];
  await build({ entryPoints, bundle: true, platform: "node", format: "cjs", outfile });
  const child = spawn(process.execPath, [outfile, join(dir, "store"), shutdown], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  while (!text.includes("ready")) await once(child.stdout as NodeJS.ReadableStream, "data");
  return { child, said: () => text };
}

test.skipIf(process.platform === "win32")(
  "a host that ends itself in order at SIGTERM is not cut short by what the storage uses, also when it listens once",
  async () => {
    const { child, said } = await startHost("once");
    child.kill("SIGTERM");
    expect(await once(child, "close")).toEqual([0, null]);
    expect(said()).toContain("ended in order");
  },
);

test.skipIf(process.platform === "win32")("a host that does not listen to SIGTERM ends by it", async () => {
  const { child } = await startHost("none");
  child.kill("SIGTERM");
  expect(await once(child, "close")).toEqual([null, "SIGTERM"]);
});
