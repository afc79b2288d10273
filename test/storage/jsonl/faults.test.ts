import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { StorageError } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { append, collect, contents, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { hasUnprivileged, storageInChild, unprivileged } from "./child.js";
import type { Step } from "./child-program.js";
import { fileNames, indexPath, putFile, sessionsDir, transcriptPath } from "./store-files.js";

const alice = dm("alice");
const inChild = storageInChild();

/** Every file below a directory with its bytes. */
function bytesBelow(dir: string): Map<string, string> {
  const files = readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map(({ parentPath, name }) => [join(parentPath, name), readFileSync(join(parentPath, name), "latin1")]),
  );
}

describe("a path that is not what it should be", () => {
  test.each([
    ["the dir", ""],
    ["agents", "agents"],
    ["the agent's directory", "agents/main"],
    ["the agent's sessions", "agents/main/sessions"],
  ])(
    "%s is a file: every call rejects with a StorageError that has the cause, and the file is left alone",
    async (_, path) => {
      const dir = join(tempDir(), "store");
      mkdirSync(join(dir, path, ".."), { recursive: true });
      writeFileSync(join(dir, path), "precious");
      const storage = openJsonl(dir);
      const calls = [
        () => storage.read(alice),
        () => append(storage, alice, builders().user("x")),
        () => storage.delete(alice),
        () => storage.claim(alice),
        () => collect(storage.list({ agentId: "main" })),
      ];
      for (const call of calls) {
        const error: unknown = await call().catch((cause: unknown) => cause);
        expect(error).toBeInstanceOf(StorageError);
        expect(error).toMatchObject({ code: "STORAGE", cause: { code: expect.stringMatching(/^(ENOTDIR|EEXIST)$/) } });
      }
      expect(readFileSync(join(dir, path), "utf8")).toBe("precious");
      rmSync(join(dir, path));
      expect((await append(storage, alice, builders().user("x"))).messageCount).toBe(1);
    },
  );

  test("G10 the index is a directory: it is set aside and rebuilt", async () => {
    const dir = tempDir();
    const first = openJsonl(dir);
    const record = await say(first, alice, 2);
    await first.close();
    rmSync(indexPath(dir));
    mkdirSync(join(indexPath(dir), "inside"), { recursive: true });
    const storage = openJsonl(dir);
    expect(await storage.read(alice)).toEqual(record);
    await storage.close();
    expect(readFileSync(indexPath(dir), "utf8")).toContain(record.uuid);
    expect(fileNames(dir).filter((name) => name.startsWith("sessions.json.corrupt-"))).toHaveLength(1);
  });
});

describe.runIf(hasUnprivileged)("a directory that this process may not write", () => {
  /** Gives a tree to the child's user, with these modes. */
  function give(dir: string, dirMode: number, fileMode: number): void {
    const { uid, gid } = unprivileged;
    const all = readdirSync(dir, { recursive: true, withFileTypes: true });
    const paths = all.map((entry) => ({ path: join(entry.parentPath, entry.name), isDir: entry.isDirectory() }));
    for (const { path, isDir } of [{ path: dir, isDir: true }, ...paths]) {
      if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
      chmodSync(path, isDir ? dirMode : fileMode);
    }
  }

  /** A store whose directories cannot be written; its files get `fileMode`. */
  function lock(dir: string, fileMode: number): { unlock(): void } {
    give(dir, 0o555, fileMode);
    const unlock = () => give(dir, 0o755, 0o644);
    onTestFinished(unlock);
    return { unlock };
  }

  test("nothing is there: an update rejects with a StorageError, and nothing is written", async () => {
    const dir = tempDir();
    lock(dir, 0o444);
    const write: Step = { do: "append", peer: "alice", texts: ["x"] };
    const steps: Step[] = [write, { do: "list" }, { do: "count", peer: "alice" }, write, { do: "close" }];
    const { results } = await inChild({ dir, steps }, { unprivileged: true });
    const refused = { code: "STORAGE", name: "StorageError", cause: "EACCES" };
    expect(results).toEqual([refused, { value: 0 }, { value: 0 }, refused, {}]);
    expect(readdirSync(dir)).toEqual([]);
  });

  test("a store is there: it can be read, and whatever would write rejects and leaves every byte", async () => {
    const dir = tempDir();
    const first = openJsonl(dir);
    await say(first, alice, 3);
    await first.close();
    const before = bytesBelow(dir);
    const { unlock } = lock(dir, 0o444);
    const { results } = await inChild(
      {
        dir,
        steps: [
          { do: "list" },
          { do: "count", peer: "alice" },
          { do: "append", peer: "alice", texts: ["x", "y"] },
          { do: "append", peer: "new", texts: ["x"] },
          { do: "claim", peer: "alice" },
          { do: "delete", peer: "alice" },
          { do: "count", peer: "alice" },
          { do: "close" },
        ],
      },
      { unprivileged: true },
    );
    const refused = { code: "STORAGE", name: "StorageError", cause: "EACCES" };
    expect(results).toEqual([{ value: 1 }, { value: 3 }, refused, refused, refused, refused, { value: 3 }, {}]);
    unlock();
    expect(bytesBelow(dir)).toEqual(before);
  });

  test("G10 an unreadable index in a store that can only be read costs no session anything and stays as it is", async () => {
    const dir = tempDir();
    const first = openJsonl(dir);
    await say(first, alice, 3);
    await first.close();
    writeFileSync(indexPath(dir), "{ broken");
    const { unlock } = lock(dir, 0o444);
    const steps: Step[] = [{ do: "list" }, { do: "count", peer: "alice" }, { do: "close" }];
    const { results, reports } = await inChild({ dir, steps }, { unprivileged: true });
    expect(results).toEqual([{ value: 1 }, { value: 3 }, {}]);
    expect(reports).toContainEqual({ kind: "index-not-written" });
    unlock();
    expect(readFileSync(indexPath(dir), "utf8")).toBe("{ broken");
  });

  test("only the index cannot be replaced: messages are stored, and the next storage finds them", async () => {
    const dir = tempDir();
    const first = openJsonl(dir);
    await say(first, alice, 3);
    await first.close();
    const { unlock } = lock(dir, 0o600);
    const steps: Step[] = [{ do: "append", peer: "alice", texts: ["x"] }, { do: "close" }];
    const { results, reports } = await inChild({ dir, steps }, { unprivileged: true });
    expect(results).toEqual([{ value: 4 }, {}]);
    expect(reports).toContainEqual({ kind: "index-not-written" });
    unlock();
    expect(await openJsonl(dir).read(alice)).toMatchObject({ messageCount: 4 });
  });
});

test("G10 a process that ends without closing its storage ends at once, and the next one finds everything", async () => {
  const dir = tempDir();
  const steps = Array.from({ length: 20 }, (_, n): Step => ({ do: "append", peer: `p${n % 7}`, texts: [`${n}`] }));
  const { results } = await inChild({ dir, steps });
  expect(results).toHaveLength(20);
  const records = await collect(openJsonl(dir).list());
  expect(records.map(({ messageCount }) => messageCount).sort()).toEqual([2, 3, 3, 3, 3, 3, 3]);
});

test.runIf(existsSync("/proc/self/fd"))(
  "no file stays open, whatever was asked, refused or left half way",
  async () => {
    const openFiles = () => readdirSync("/proc/self/fd").length;
    const dir = tempDir();
    const storage = openJsonl(dir);
    const { uuid } = await say(storage, alice, 5);
    const before = openFiles();
    for (let n = 0; n < 20; n += 1) {
      const b = builders();
      await append(storage, alice, b.user("x"), b.assistant("y"));
      for await (const _ of storage.entries(uuid)) break;
      for await (const _ of storage.entries(uuid, { last: 2 })) break;
      for await (const _ of storage.list()) break;
      await collect(storage.entries(uuid, { after: "nowhere" })).catch((error: unknown) => error);
      await storage.update(alice, () => ({}) as never).catch((error: unknown) => error);
      await (await storage.claim(alice)).release();
      await say(storage, dm("gone"), 1);
      await storage.delete(dm("gone"));
      const other = openJsonl(dir);
      await other.read(alice);
      await append(other, alice, b.user("z"));
      await other.close();
    }
    await storage.close();
    expect(openFiles()).toBeLessThanOrEqual(before);
  },
);

test("a transcript that disappears while the storage is open is a session that is gone", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const record = await say(storage, alice, 3);
  rmSync(transcriptPath(dir, record.uuid));
  expect(await storage.read(alice)).toBeUndefined();
  expect(await collect(storage.entries(record.uuid))).toEqual([]);
  expect((await append(storage, alice, builders().user("anew"))).messageCount).toBe(1);
});

test("S16 a transcript that disappears at any moment while its entries are asked for gives all of them or none", async () => {
  const dir = tempDir();
  const first = openJsonl(dir);
  const record = await say(first, alice, 3);
  await first.close();
  const path = transcriptPath(dir, record.uuid);
  const bytes = readFileSync(path);
  for (let round = 0; round < 200; round += 1) {
    // What comes back by hand is found when the store is next opened.
    const storage = openJsonl(dir);
    expect(await storage.read(alice)).toEqual(record);
    const asked = collect(storage.entries(record.uuid));
    for (let n = 0; n < round % 20; n += 1) await new Promise((resolve) => setImmediate(resolve));
    rmSync(path);
    expect([0, 3]).toContain((await asked).length);
    writeFileSync(path, bytes);
    await storage.close();
  }
});

test("a transcript that is cut short while the storage is open is read as it now is", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const record = await say(storage, alice, 5);
  const lines = readFileSync(transcriptPath(dir, record.uuid), "utf8").split("\n");
  putFile(dir, `${record.uuid}.jsonl`, `${lines.slice(0, 3).join("\n")}\n`);
  expect(await storage.read(alice)).toMatchObject({ messageCount: 2 });
  expect((await append(storage, alice, builders().user("3"))).messageCount).toBe(3);
  expect(contents(await collect(storage.entries(record.uuid)))).toEqual(["1", "2", "3"]);
});

test("the whole directory removed under an open storage: sessions begin anew and are stored", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir);
  await say(storage, alice, 3);
  rmSync(sessionsDir(dir), { recursive: true });
  expect(await storage.read(alice)).toBeUndefined();
  expect((await say(storage, alice, 2)).messageCount).toBe(2);
  await storage.close();
  expect(existsSync(indexPath(dir))).toBe(true);
  expect(await openJsonl(dir).read(alice)).toMatchObject({ messageCount: 2 });
});
