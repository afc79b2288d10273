import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { hostname } from "node:os";
import { relative } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { SessionManager, type SessionRecord } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { append, appending, collect, contents, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { storageInChild } from "./child.js";
import type { Step } from "./child-program.js";
import { claimLocks, fileNames, putFile, transcriptPath } from "./store-files.js";

const alice = dm("alice");
const posix = process.platform !== "win32";
const inChild = storageInChild();

/** A disk on which a long write takes until it is told to go on. */
async function slowDisk() {
  const handle = await open(import.meta.filename);
  const prototype = Object.getPrototypeOf(handle) as { write(bytes: Buffer): Promise<unknown> };
  await handle.close();
  const { write } = prototype;
  let goOn = () => {};
  const goneOn = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  const reached = new Promise<void>((resolve) => {
    const spy = vi.spyOn(prototype, "write").mockImplementation(async function (this: unknown, bytes) {
      if (bytes.length > 500_000) {
        resolve();
        await goneOn;
      }
      return write.call(this as typeof prototype, bytes);
    });
    onTestFinished(() => spy.mockRestore());
  });
  return { reached, goOn };
}

describe("the lock file", () => {
  test("is there while a turn runs, says who runs it, and is gone afterwards", async () => {
    const dir = tempDir();
    const storage = openJsonl(dir);
    const { uuid } = await say(storage, alice, 1);
    const lock = `${transcriptPath(dir, uuid)}.lock`;
    const before = Date.now();
    const claim = await storage.claim(alice);
    const said = JSON.parse(readFileSync(lock, "utf8")) as Record<string, unknown>;
    expect(said).toMatchObject({ host: hostname(), pid: process.pid, token: claim.token, key: alice });
    expect(Object.keys(said)).toEqual(expect.arrayContaining(["boot", "pidns", "start", "thread", "since"]));
    expect(Date.parse(String(said.since))).toBeGreaterThanOrEqual(before);
    expect(Date.parse(String(said.since))).toBeLessThanOrEqual(Date.now());
    await claim.release();
    expect(relative(dir, lock)).not.toContain("..");
    expect(claimLocks(dir)).toEqual([]);
  });

  test("of a session that is begun under its claim is there from its first line on", async () => {
    const dir = tempDir();
    const storage = openJsonl(dir);
    await using claim = await storage.claim(alice);
    const { uuid } = (await storage.update(alice, appending(alice, [builders().user("1")]), {
      claim,
    })) as SessionRecord;
    expect(readFileSync(`${transcriptPath(dir, uuid)}.lock`, "utf8")).toContain(claim.token);
  });

  test("keeps a second storage out until it is gone, and from nothing but the claim", async () => {
    const dir = tempDir();
    const first = openJsonl(dir);
    const second = openJsonl(dir);
    const { uuid } = await say(first, alice, 1);
    const held = await first.claim(alice);
    let isHeld = true;
    const waiting = second.claim(alice).then((claim) => {
      expect(isHeld).toBe(false);
      return claim;
    });
    await (await second.claim(dm("bob"))).release();
    await append(second, alice, builders().user("2"));
    isHeld = false;
    await held.release();
    const claim = await waiting;
    expect(readFileSync(`${transcriptPath(dir, uuid)}.lock`, "utf8")).toContain(claim.token);
    await claim.release();
  });

  test("stays while what was being written under it is written, also when its storage is closed meanwhile", async () => {
    const dir = tempDir();
    const storage = openJsonl(dir);
    const other = openJsonl(dir);
    await say(storage, alice, 1);
    const claim = await storage.claim(alice);
    const disk = await slowDisk();
    const long = builders().user("x".repeat(1_000_000));
    const writing = storage.update(alice, appending(alice, [long]), { claim });
    await disk.reached;
    const closing = storage.close();
    let granted = false;
    const next = other.claim(alice).then(async (held) => {
      granted = true;
      expect(await other.read(alice)).toMatchObject({ messageCount: 2 });
      await held.release();
    });
    for (let n = 0; n < 20; n += 1) await (await other.claim(dm("bob"))).release();
    expect(granted).toBe(false);
    disk.goOn();
    expect(await writing).toMatchObject({ messageCount: 2 });
    await Promise.all([closing, next]);
  });

  test("one that a crash of an earlier run of this process left behind keeps nobody out", async () => {
    const dir = tempDir();
    const storage = openJsonl(dir);
    const { uuid } = await say(storage, alice, 1);
    const held = await storage.claim(alice);
    const holder = JSON.parse(readFileSync(`${transcriptPath(dir, uuid)}.lock`, "utf8")) as object;
    await held.release();
    putFile(dir, `${uuid}.jsonl.lock`, JSON.stringify({ ...holder, token: "dead" }));
    await using claim = await storage.claim(alice);
    expect(readFileSync(`${transcriptPath(dir, uuid)}.lock`, "utf8")).toContain(claim.token);
  });

  test.runIf(posix)("one that a process left behind which is gone keeps nobody out", async () => {
    const dir = tempDir();
    const steps: Step[] = [
      { do: "append", peer: "alice", texts: ["1"] },
      { do: "claim", peer: "alice" },
    ];
    await inChild({ dir, steps });
    expect(claimLocks(dir)).toHaveLength(2);
    const storage = openJsonl(dir);
    await using claim = await storage.claim(alice);
    const { uuid } = (await storage.read(alice)) as SessionRecord;
    expect(readFileSync(`${transcriptPath(dir, uuid)}.lock`, "utf8")).toContain(claim.token);
  });

  test("is there during a real turn, and only then", async () => {
    const dir = tempDir();
    const during: string[][] = [];
    const provider = {
      generate: async () => {
        during.push(claimLocks(dir).filter((path) => !path.startsWith("sessions.journal/")));
        return "hi";
      },
    };
    const manager = new SessionManager({ dir, provider, durability: "off" });
    const { key } = await manager.handle(builders().dm("1", "hello"));
    const uuid = (await manager.get(key))?.uuid ?? "";
    await manager.close();
    expect(during).toEqual([[`${uuid}.jsonl.lock`]]);
    expect(fileNames(dir)).toEqual([`${uuid}.jsonl`, "sessions.journal", "sessions.json"]);
    expect(claimLocks(dir)).toEqual([]);
    expect(contents(await collect(openJsonl(dir).entries(uuid)))).toEqual(["hello", "hi"]);
  });
});
