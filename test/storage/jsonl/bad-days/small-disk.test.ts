import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { dm } from "../../sessions.js";
import { tempDir } from "../../storage-kinds.js";
import { readIndexFile } from "../store-files.js";
import { BadDay } from "./bad-day.js";

const canMount = process.platform === "linux" && process.getuid?.() === 0 && tryMount();

/** Mounts a file system of one megabyte that is gone with the test; false where that is not allowed. */
function mountSmall(dir: string): boolean {
  mkdirSync(dir, { recursive: true });
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", dir], { stdio: "ignore" });
    return true;
  } catch {
    // Not in here, such as in a container.
    return false;
  }
}

function unmount(dir: string): void {
  // Lazily: a test that failed may have left something open there.
  execFileSync("umount", ["-l", dir], { stdio: "ignore" });
}

function tryMount(): boolean {
  const dir = join("/tmp", `sessions-mount-${process.pid}`);
  const mounted = mountSmall(dir);
  if (mounted) unmount(dir);
  rmSync(dir, { recursive: true, force: true });
  return mounted;
}

test.runIf(canMount).each(["always", "batch", "off"] as const)(
  "a disk that is full rejects what does not fit, keeps what it took, and takes more when there is room, durability %s",
  async (durability) => {
    const disk = join(tempDir(), "disk");
    if (!mountSmall(disk)) throw new Error("It could be mounted a moment ago.");
    onTestFinished(() => unmount(disk));
    const filler = join(disk, "filler");
    const dir = join(disk, "store");
    mkdirSync(dir);
    writeFileSync(filler, Buffer.alloc(700_000));
    const day = new BadDay(dir, { durability });
    onTestFinished(() => day.storage.close().catch(() => undefined));
    const peers = ["a", "b", "c", "d", "e", "f"].map((peer) => dm(peer));
    let taken = 0;
    for (let n = 0; day.errors.length === 0 && n < 1_000; n += 1)
      if (await day.append(peers[n % peers.length] ?? dm("a"), { count: 1 + (n % 3), text: "x".repeat(3_000) }))
        taken += 1;
    expect(taken).toBeGreaterThan(20);
    expect(day.errors).toHaveLength(1);
    // Smaller ones may still fit.
    for (let n = 0; n < 200; n += 1) await day.append(peers[n % peers.length] ?? dm("a"), { text: "y".repeat(100) });
    expect(day.errors.length).toBeGreaterThan(100);
    await day.append(dm("new"));
    await day.ask(day.storage.claim(dm("a")).then((claim) => claim.release()));
    await day.read(dm("a"));
    rmSync(filler);
    for (const peer of peers) expect(await day.append(peer)).toBe(true);
    await day.recover();
    await day.expectKept();
    expect(Object.keys(readIndexFile(dir))).toHaveLength(peers.length + 1);
    expect(readdirSync(join(dir, "agents", "main", "sessions")).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  },
  20_000,
);
