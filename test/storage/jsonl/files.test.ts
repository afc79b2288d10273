import { execFileSync } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { JsonlStorage, StorageError } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { append, collect, dm, say } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { storageInChild } from "./child.js";
import {
  claimLocks,
  collectReports,
  fileNames,
  indexPath,
  ownPaths,
  pathsBelow,
  sessionsDir,
  transcriptPath,
} from "./store-files.js";

const alice = dm("alice");
const posix = process.platform !== "win32";
const inChild = storageInChild();

// Digits, random uuids, and a digest of a key: from none of them can anything of the key be read.
const UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const BESIDE = String.raw`\d{9}\.jsonl|claims|claims/[0-9a-f]{64}\.lock|commits-${UUID}-\d+\.log`;
const INDEX = String.raw`sessions\.json|sessions\.journal/index\.lock|sessions\.journal/sessions\.json\.${UUID}\.tmp(\.\d+)?`;
const OURS = new RegExp(String.raw`^(${UUID}\.jsonl(\.lock)?|${INDEX}|sessions\.journal(/(${BESIDE}))?)$`);

describe("G27 G25 file names", () => {
  test.each(["always", "off"] as const)(
    "G27 whatever the keys, no name of a file or directory comes from one (%s)",
    async (durability) => {
      const root = tempDir();
      const dir = join(root, "store");
      const storage = openJsonl(dir, { durability });
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
        expect(claimLocks(dir)).toContain(`${record.uuid}.jsonl.lock`);
        expect(claimLocks(dir)).toHaveLength(2);
        for (const path of ownPaths(dir)) expect(path).toMatch(OURS);
      }
      await Promise.all(ids.map((id) => say(storage, dm(id), 1)));
      for (const path of ownPaths(dir)) expect(path).toMatch(OURS);
      await storage.close();
      const names = fileNames(dir);
      expect(names).toHaveLength(ids.length + 2);
      for (const path of ownPaths(dir)) expect(path).toMatch(OURS);
      expect(claimLocks(dir)).toEqual([]);
      const outside = pathsBelow(root).filter((path) => !path.startsWith("store/agents/main/sessions/"));
      expect(outside.sort()).toEqual(["store", "store/agents", "store/agents/main", "store/agents/main/sessions"]);
    },
  );

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
    const { results, reports } = await inChild({
      dir,
      umask: Number.parseInt(umask, 8),
      steps: [
        { do: "append", peer: "alice", texts: ["1"] },
        { do: "append", peer: "alice", texts: ["2", "3"] },
        { do: "close" },
        { do: "open" },
        { do: "claim", peer: "alice" },
      ],
    });
    expect({ results, reports }).toEqual({
      results: [{ value: 1 }, { value: 3 }, {}, {}, { value: true }],
      reports: [],
    });
    const modes = pathsBelow(root).map((path) => {
      const stat = statSync(join(root, path));
      return { path, isDir: stat.isDirectory(), mode: (stat.mode & 0o777).toString(8) };
    });
    for (const each of modes) expect(each).toMatchObject({ mode: each.isDir ? "700" : "600" });
    // new, store, agents, main, sessions, and in there the journal with its claims.
    expect(modes.filter(({ isDir }) => isDir)).toHaveLength(7);
    // A process that ended without letting go of its claim: transcript, index, journal, and the two names of the claim's lock.
    const kinds = [
      /sessions\/[^/]+\.jsonl$/,
      /sessions\.json$/,
      /sessions\.journal\/\d{9}\.jsonl$/,
      /claims\/.+\.lock$/,
      /\.jsonl\.lock$/,
    ];
    const paths = modes.map(({ path }) => path);
    for (const kind of kinds) expect(paths.filter((path) => kind.test(path))).toEqual([expect.stringMatching(kind)]);
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
      const listed = await collect(storage.list());
      if (indexed) {
        // Known as it was, and not to be had until its transcript is back.
        expect(listed).toEqual(expect.arrayContaining([record, expect.objectContaining({ key: dm("bob") })]));
        expect(reports).toContainEqual(expect.objectContaining({ kind: "transcript-unreadable", uuid: record.uuid }));
        for (const call of [
          () => storage.read(alice),
          () => collect(storage.entries(record.uuid)),
          () => append(storage, alice, builders().user("x")),
        ])
          await expect(call()).rejects.toBeInstanceOf(StorageError);
        expect((await append(storage, dm("bob"), builders().user("2"))).messageCount).toBe(2);
      } else {
        expect(listed.map(({ key }) => key)).toEqual([dm("bob")]);
        expect(await storage.read(alice)).toBeUndefined();
        expect(await collect(storage.entries(record.uuid))).toEqual([]);
        expect(reports).toContainEqual({ kind: "transcript-unclaimed", uuid: record.uuid });
        const anew = await append(storage, alice, builders().user("anew"));
        expect(anew.uuid).not.toBe(record.uuid);
      }
      expect(readFileSync(victim, "utf8")).toBe(before);
      expect(readdirSync(join(victim, ".."))).not.toContain("victim-nowhere");
      await storage.close();
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

  test.each(["the transcript's lock", "the key's lock"])(
    "G27 a link in the place of %s is neither followed nor taken: the claim waits, and can be given up",
    async (which) => {
      const { dir, record, victim, before } = await storeAndVictim();
      const storage = openJsonl(dir);
      const lock = `${transcriptPath(dir, record.uuid)}.lock`;
      const first = await storage.claim(alice);
      const ofKey = ownPaths(dir).find((path) => path.includes("claims/")) ?? "";
      await first.release();
      const path = which === "the key's lock" ? join(sessionsDir(dir), ofKey) : lock;
      symlinkSync(victim, path);
      const target = readlinkSync(path);
      const stop = new AbortController();
      const reason = new Error("enough");
      const claiming = storage.claim(alice, { signal: stop.signal });
      // A claim of another session, asked for later, has been had and looked at long before.
      for (let n = 0; n < 10; n += 1) await (await storage.claim(dm("bob"))).release();
      stop.abort(reason);
      await expect(claiming).rejects.toBe(reason);
      expect(readlinkSync(path)).toBe(target);
      expect(readFileSync(victim, "utf8")).toBe(before);
      rmSync(path);
      await (await storage.claim(alice)).release();
      expect(claimLocks(dir)).toEqual([]);
    },
  );

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
