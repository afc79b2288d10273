import { execFileSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import { JsonlStorage, SessionManager, StorageError } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { append, collect, contents, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { storageInChild } from "./child.js";
import { collectReports, fileNames, indexPath, putFile, sessionsDir, transcriptPath } from "./store-files.js";

const alice = dm("alice");
const posix = process.platform !== "win32";
const inChild = storageInChild();

function pathsBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" }).map((path) => path.replaceAll("\\", "/"));
}

describe("G27 G25 file names", () => {
  test("G27 whatever the keys, directories are named by agents and files by random uuids and nothing else", async () => {
    const root = tempDir();
    const dir = join(root, "store");
    const storage = openJsonl(dir);
    const ids = [
      "../../x",
      "..",
      "/etc/passwd",
      "CON",
      "__proto__",
      "a\\b",
      "x.jsonl",
      "~",
      '*?<>|"',
      "Ä".repeat(200),
      "\u202e",
      "nul.txt",
    ];
    for (const id of ids) {
      const record = await say(storage, dm(id), 1);
      await using _claim = await storage.claim(record.key);
      expect(fileNames(dir)).toContain(`${record.uuid}.jsonl.lock`);
    }
    await storage.close();
    const names = fileNames(dir);
    expect(names).toHaveLength(ids.length + 1);
    for (const name of names) expect(name).toMatch(/^([0-9a-f-]{36}\.jsonl|sessions\.json)$/);
    const outside = pathsBelow(root).filter((path) => !path.startsWith("store/agents/main/sessions/"));
    expect(outside.sort()).toEqual(["store", "store/agents", "store/agents/main", "store/agents/main/sessions"]);
  });

  test.each(["../x", "..", "", "a/b", "A", "con", "nul", "com1", "x".repeat(65), "a.b", ".a"])(
    "G27 no directory is made for the agent %o",
    async (agentId) => {
      const dir = join(tempDir(), "store");
      const storage = openJsonl(dir);
      const key = `agent:${agentId}:telegram:dm:1` as typeof alice;
      await expect(storage.read(key)).rejects.toMatchObject({ code: "INVALID_SESSION_KEY" });
      await expect(storage.update(key, () => undefined)).rejects.toMatchObject({ code: "INVALID_SESSION_KEY" });
      await expect(storage.claim(key)).rejects.toMatchObject({ code: "INVALID_SESSION_KEY" });
      await expect(collect(storage.list({ agentId }))).rejects.toMatchObject({ code: "INVALID_SESSION_KEY" });
      expect(readdirSync(join(dir, ".."))).toEqual([]);
    },
  );

  test.each(["../../../evil", "/tmp/evil", "", "F8282125-D96C-45A0-84CB-EB5FB6843D0A", "x"])(
    "G27 a record whose uuid is %o is refused before anything is written",
    async (uuid) => {
      const dir = join(tempDir(), "store");
      const storage = openJsonl(dir);
      const { record } = { record: await say(openJsonl(tempDir()), alice, 1) };
      await expect(storage.update(alice, () => ({ record: { ...record, uuid } }))).rejects.toThrow(TypeError);
      expect(readdirSync(join(dir, ".."))).toEqual([]);
    },
  );

  test("a dir is needed, and a durability that is none is refused", () => {
    expect(() => new JsonlStorage({ dir: "" })).toThrow(TypeError);
    expect(() => new JsonlStorage({} as never)).toThrow(TypeError);
    expect(() => new JsonlStorage({ dir: "x", durability: "sometimes" as never })).toThrow(TypeError);
  });
});

describe.runIf(posix)("G22 modes", () => {
  // Root alone can make directories within one that its umask has closed to it.
  const umasks = ["000", "022", "077", ...(process.getuid?.() === 0 ? ["277"] : [])];

  test.each(umasks)("G22 under umask %s directories are 0700 and files 0600", async (umask) => {
    const root = tempDir();
    const dir = join(root, "new", "store");
    const { results } = await inChild({
      dir,
      umask: Number.parseInt(umask, 8),
      steps: [
        { do: "append", peer: "alice", texts: ["1"] },
        { do: "append", peer: "alice", texts: ["2", "3"] },
        { do: "claim", peer: "alice" },
        { do: "close" },
      ],
    });
    expect(results).toEqual([{ value: 1 }, { value: 3 }, { value: true }, {}]);
    const modes = pathsBelow(root).map((path) => {
      const stat = statSync(join(root, path));
      return `${stat.isDirectory() ? "dir" : "file"} ${(stat.mode & 0o777).toString(8)}`;
    });
    expect(modes.filter((mode) => mode.startsWith("dir"))).toEqual(Array(5).fill("dir 700"));
    expect(modes.filter((mode) => mode.startsWith("file"))).toEqual(Array(3).fill("file 600"));
  });

  test("G22 directories that were there keep their modes, and an index set aside keeps no others out", async () => {
    const dir = tempDir();
    chmodSync(dir, 0o755);
    const storage = openJsonl(dir);
    await say(storage, alice, 1);
    await storage.close();
    expect(statSync(dir).mode & 0o777).toBe(0o755);
    expect(statSync(join(dir, "agents")).mode & 0o777).toBe(0o700);
    chmodSync(indexPath(dir), 0o644);
    const again = openJsonl(dir);
    await say(again, alice, 1);
    await again.close();
    expect(statSync(indexPath(dir)).mode & 0o777).toBe(0o600);
  });
});

describe.runIf(posix)("G27 what is no file", () => {
  /** A store with a session of alice's, closed, and a file outside that nothing may touch. */
  async function storeAndVictim() {
    const root = tempDir();
    const dir = join(root, "store");
    const storage = openJsonl(dir);
    const record = await say(storage, alice, 2);
    await say(storage, dm("bob"), 1);
    await storage.close();
    const victim = join(root, "victim");
    writeFileSync(victim, readFileSync(transcriptPath(dir, record.uuid)));
    return { dir, record, victim, before: readFileSync(victim, "utf8") };
  }

  test.each([
    ["a link to a file outside", (path: string, victim: string) => symlinkSync(victim, path)],
    ["a dangling link", (path: string, victim: string) => symlinkSync(`${victim}-nowhere`, path)],
    ["a pipe", (path: string) => void execFileSync("mkfifo", [path])],
    ["a directory", (path: string) => mkdirSync(path)],
  ])("G27 %s in a transcript's place is reported and not followed, indexed or not", async (_, put) => {
    for (const indexed of [true, false]) {
      const { dir, record, victim, before } = await storeAndVictim();
      const path = transcriptPath(dir, record.uuid);
      rmSync(path);
      put(path, victim);
      if (!indexed) rmSync(indexPath(dir));
      const { reports, onReport } = collectReports();
      const storage = openJsonl(dir, { onReport });
      expect((await collect(storage.list())).map(({ key }) => key)).toEqual([dm("bob")]);
      expect(await storage.read(alice)).toBeUndefined();
      expect(await collect(storage.entries(record.uuid))).toEqual([]);
      expect(reports).toContainEqual({ kind: "transcript-unclaimed", uuid: record.uuid });
      const anew = await append(storage, alice, builders().user("anew"));
      expect(anew.uuid).not.toBe(record.uuid);
      expect(readFileSync(victim, "utf8")).toBe(before);
      expect(readdirSync(join(victim, ".."))).not.toContain("victim-nowhere");
    }
  });

  test.each([
    ["a link", (path: string, victim: string) => symlinkSync(victim, path)],
    ["a pipe", (path: string) => void execFileSync("mkfifo", [path])],
    ["a directory", (path: string) => mkdirSync(path)],
  ])(
    "G27 %s put in a transcript's place while the storage is open is refused, and nothing waits for it",
    async (_, put) => {
      const { dir, record, victim, before } = await storeAndVictim();
      const storage = openJsonl(dir);
      await storage.read(alice);
      const path = transcriptPath(dir, record.uuid);
      renameSync(path, `${path}.away`);
      put(path, victim);
      const error: unknown = await append(storage, alice, builders().user("x")).catch((cause: unknown) => cause);
      expect(error).toBeInstanceOf(StorageError);
      expect(readFileSync(victim, "utf8")).toBe(before);
      rmSync(path, { recursive: true });
      renameSync(`${path}.away`, path);
      expect((await append(storage, alice, builders().user("3"))).messageCount).toBe(3);
    },
  );

  test("G27 a link in the index's place is replaced, not followed", async () => {
    const { dir, victim, before } = await storeAndVictim();
    rmSync(indexPath(dir));
    symlinkSync(victim, indexPath(dir));
    const storage = openJsonl(dir);
    expect(await append(storage, alice, builders().user("3"))).toMatchObject({ messageCount: 3 });
    await storage.close();
    expect(lstatSync(indexPath(dir)).isFile()).toBe(true);
    expect(readFileSync(victim, "utf8")).toBe(before);
  });

  test("G27 a link in a lock's place is replaced, not followed", async () => {
    const { dir, record, victim, before } = await storeAndVictim();
    const lock = `${transcriptPath(dir, record.uuid)}.lock`;
    symlinkSync(victim, lock);
    const storage = openJsonl(dir);
    const claim = await storage.claim(alice);
    expect(lstatSync(lock).isFile()).toBe(true);
    await claim.release();
    expect(readFileSync(victim, "utf8")).toBe(before);
    expect(fileNames(dir)).not.toContain(`${record.uuid}.jsonl.lock`);
  });

  test.each(["agents/main", "agents/main/sessions"])("G27 a link in place of %s is refused", async (path) => {
    const { dir, victim } = await storeAndVictim();
    const outside = join(victim, "../outside");
    renameSync(join(dir, path), outside);
    symlinkSync(outside, join(dir, path));
    const names = () => pathsBelow(outside).filter((name) => !name.includes("sessions.json"));
    const before = names();
    const storage = openJsonl(dir);
    for (const call of [
      () => storage.read(alice),
      () => append(storage, dm("new"), builders().user("x")),
      () => collect(storage.list({ agentId: "main" })),
    ])
      await expect(call()).rejects.toMatchObject({ code: "STORAGE" });
    expect(names()).toEqual(before);
  });

  test("a store whose dir itself is a link works: where it stands is the host's business", async () => {
    const { dir } = await storeAndVictim();
    const link = join(tempDir(), "link");
    symlinkSync(dir, link);
    expect(await collect(openJsonl(link).list())).toHaveLength(2);
  });
});

describe("the lock file", () => {
  test("is there while a turn runs, says who runs it, and is gone afterwards", async () => {
    const dir = tempDir();
    const storage = openJsonl(dir);
    const { uuid } = await say(storage, alice, 1);
    const lock = `${transcriptPath(dir, uuid)}.lock`;
    const claim = await storage.claim(alice);
    expect(JSON.parse(readFileSync(lock, "utf8"))).toMatchObject({ pid: process.pid, token: claim.token });
    await claim.release();
    expect(relative(dir, lock)).not.toContain("..");
    expect(fileNames(dir)).not.toContain(`${uuid}.jsonl.lock`);
  });

  test("one that a crash left behind keeps nobody out", async () => {
    const dir = tempDir();
    const storage = openJsonl(dir);
    const { uuid } = await say(storage, alice, 1);
    putFile(dir, `${uuid}.jsonl.lock`, '{"pid":1,"token":"dead"}');
    await using claim = await storage.claim(alice);
    expect(readFileSync(`${transcriptPath(dir, uuid)}.lock`, "utf8")).toContain(claim.token);
  });

  test("is there during a real turn, and only then", async () => {
    const dir = tempDir();
    const during: string[][] = [];
    const provider = {
      generate: async () => {
        during.push(readdirSync(sessionsDir(dir)).filter((name) => name.endsWith(".lock")));
        return "hi";
      },
    };
    const manager = new SessionManager({ dir, provider, durability: "off" });
    const { key } = await manager.handle(builders().dm("1", "hello"));
    const uuid = (await manager.get(key))?.uuid ?? "";
    await manager.close();
    expect(during).toEqual([[`${uuid}.jsonl.lock`]]);
    expect(fileNames(dir)).toEqual([`${uuid}.jsonl`, "sessions.json"]);
    expect(contents(await collect(openJsonl(dir).entries(uuid)))).toEqual(["hello", "hi"]);
  });
});
