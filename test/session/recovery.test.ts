import { expect, test } from "vitest";
import {
  JsonlStorage,
  MemoryStorage,
  type RecoveryError,
  type SessionKey,
  SessionManager,
  type SessionStorage,
  type TranscriptEntry,
} from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { deferred, leaveUnanswered, linesOf, mortalStorage, replaced, tempDir } from "./store-dir.js";
import { stage, tool } from "./tools/cast.js";
import { toldOf } from "./tools/family.js";
import { populated } from "./tools/populate.js";

const ANN = "agent:main:telegram:dm:ann" as SessionKey;
const CHILD = "agent:main:subagent:";
const dmOf = (peer: string) => `agent:main:telegram:dm:${peer}` as SessionKey;

const never = () => new Promise<never>(() => {});

/** A storage in a directory, of which a test replaces what it watches. */
function watched(dir: string, own: (inner: SessionStorage) => Partial<SessionStorage>): SessionStorage {
  const inner = new JsonlStorage({ dir });
  return replaced(inner, own(inner));
}

test("G5 one session's fault loses no interrupted turn of the others, and the next recover() returns that one's", async () => {
  const dir = tempDir();
  const { dm } = builders();
  const left = ["1", "2", "3", "4"].map((peer) => dm(peer, "hello", { messageId: `message ${peer}` }));
  await leaveUnanswered(dir, ...left);
  let isFaulty = true;
  const fault = new Error("EIO");
  const storage = watched(dir, (inner) => ({
    update: async (key, ...rest) => {
      if (isFaulty && key === dmOf("2")) throw fault;
      return inner.update(key, ...rest);
    },
  }));
  await using manager = new SessionManager({ storage });
  const error = await manager.recover().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: "RECOVERY", operation: "recover", cause: fault });
  const { recovered, failures } = error as { recovered: { key: string; messageId: string }[]; failures: object[] };
  expect(failures).toEqual([{ key: dmOf("2"), error: fault }]);
  expect(recovered.map(({ messageId }) => messageId).sort()).toEqual(["message 1", "message 3", "message 4"]);
  isFaulty = false;
  expect(await manager.recover()).toMatchObject([{ key: dmOf("2"), messageId: "message 2" }]);
  expect(await manager.recover()).toEqual([]);
});

test("G5 a list of sessions that breaks off loses no interrupted turn that was marked", async () => {
  const dir = tempDir();
  const { dm } = builders();
  await leaveUnanswered(dir, dm("1", "hello"), dm("2", "hello"));
  let isFaulty = true;
  const storage = watched(dir, (inner) => ({
    async *list(query) {
      for await (const record of inner.list(query)) {
        yield record;
        if (isFaulty) throw new Error("EIO");
      }
    },
  }));
  await using manager = new SessionManager({ storage });
  const error = (await manager.recover().catch((thrown: unknown) => thrown)) as RecoveryError;
  expect(error).toMatchObject({ code: "RECOVERY", failures: [{ key: undefined }] });
  expect(error.recovered).toHaveLength(1);
  isFaulty = false;
  const keys = [...error.recovered, ...(await manager.recover())].map(({ key }) => key);
  expect(keys.sort()).toEqual([dmOf("1"), dmOf("2")]);
});

test("G5 of two recover() at once each returns what it has marked, and a turn is in one of them", async () => {
  const dir = tempDir();
  const { dm } = builders();
  await leaveUnanswered(dir, ...["1", "2", "3"].map((peer) => dm(peer, "hello")));
  await using manager = new SessionManager({ dir });
  const found = (await Promise.all([manager.recover(), manager.recover()])).flat();
  expect(found.map(({ key }) => key).sort()).toEqual(["1", "2", "3"].map(dmOf));
});

test("recover() reads no session that has nothing left over", async () => {
  class Counting extends MemoryStorage {
    readonly touched: SessionKey[] = [];
    override async read(key: SessionKey) {
      this.touched.push(key);
      return super.read(key);
    }
    override async claim(...args: Parameters<MemoryStorage["claim"]>) {
      this.touched.push(args[0]);
      return super.claim(...args);
    }
  }
  const storage = new Counting();
  const { user } = builders();
  const open: TranscriptEntry = user("hello", { turn: true });
  const peers = Array.from({ length: 40 }, (_, number) => ({ key: dmOf(String(number)) }));
  await populated([...peers, { key: ANN, entries: [open] }], storage);
  storage.touched.length = 0;
  await using manager = new SessionManager({ storage });
  expect(await manager.recover()).toMatchObject([{ key: ANN, turn: open.id }]);
  expect(new Set(storage.touched)).toEqual(new Set([ANN]));
});

test("recover() waits side by side for the turns that another host runs, and leaves them alone", async () => {
  const dir = tempDir();
  const peers = ["1", "2", "3", "4"];
  const b = builders();
  const answer = deferred<string>();
  const { manager: host } = stage({ agent: () => answer.promise }, { storage: new JsonlStorage({ dir }) });
  let started = 0;
  const allRun = new Promise<void>((resolve) => {
    host.on("turn.started", () => {
      started += 1;
      if (started === peers.length) resolve();
    });
  });
  const turns = peers.map((peer) => host.handle(b.dm(peer, "hello")));
  await allRun;

  let inFlight = 0;
  let most = 0;
  const storage = watched(dir, (inner) => ({
    claim: async (...args) => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      try {
        return await inner.claim(...args);
      } finally {
        inFlight -= 1;
      }
    },
  }));
  await using second = new SessionManager({ storage });
  expect(await second.recover()).toEqual([]);
  expect(most).toBe(peers.length);
  answer.resolve("answered");
  expect(await Promise.all(turns)).toMatchObject(peers.map(() => ({ status: "replied", text: "answered" })));
  await host.close();
});

test("G5 a host that was busy itself for more than a second does not take a dead one for alive", async () => {
  const dir = tempDir();
  await leaveUnanswered(dir, builders().dm("ann", "hello"));
  const storage = watched(dir, (inner) => ({
    // As where a claim is looked at again and again: free at the third look.
    claim: async (key, { signal } = {}) => {
      const busyUntil = performance.now() + 1_200;
      while (performance.now() < busyUntil);
      for (let looks = 0; looks < 3; looks += 1) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        signal?.throwIfAborted();
      }
      return inner.claim(key, { signal });
    },
  }));
  await using manager = new SessionManager({ storage });
  expect(await manager.recover()).toMatchObject([{ key: ANN }]);
});

test("G20 two hosts that find the same dead sub-agent at once tell of its end once", async () => {
  const dir = tempDir();
  const { storage, die } = mortalStorage(dir);
  const { manager: dying } = stage({ [CHILD]: never }, { storage });
  const begun = new Promise((resolve) => dying.on("turn.started", resolve));
  const made = await tool(dying, ANN, "sessions_spawn").execute({ task: "work", mode: "start" });
  const child = String(made.childSessionKey);
  await begun;
  await die();

  const ends: unknown[] = [];
  const bothLook = deferred();
  let looking = 0;
  const host = () => {
    const found = watched(dir, (inner) => ({
      claim: async (key, options) => {
        looking += 1;
        if (looking === 2) bothLook.resolve();
        await bothLook.promise;
        return inner.claim(key, options);
      },
    }));
    const manager = new SessionManager({ storage: found });
    manager.on("subagent.ended", (event) => ends.push(event));
    return manager;
  };
  await using one = host();
  await using other = host();
  await Promise.all([one.recover(), other.recover()]);
  expect(ends).toMatchObject([{ key: ANN, child, status: "orphaned" }]);
  expect(await toldOf(one, ANN)).toHaveLength(1);
});

test.each([
  ["failed", "failed", "HOOK"],
  ["was killed", "killed", undefined],
] as const)(
  "G20 a sub-agent that %s, and whose process died before that was told, is told as that",
  async (_how, status, code) => {
    const dir = tempDir();
    const { storage, die } = mortalStorage(dir);
    const reached = deferred();
    let isMade = false;
    const { manager: dying } = stage(
      {
        [CHILD]: () => {
          if (status === "killed") return never();
          throw new Error("The model is down.");
        },
      },
      {
        storage: {
          ...storage,
          update: (key, ...rest) => {
            if (key !== ANN || !isMade) return storage.update(key, ...rest);
            reached.resolve();
            return never();
          },
        },
      },
    );
    dying.on("subagent.spawned", () => {
      isMade = true;
    });
    const begun = new Promise((resolve) => dying.on("turn.started", resolve));
    const made = await tool(dying, ANN, "sessions_spawn").execute({ task: "work", mode: "start" });
    const child = String(made.childSessionKey);
    await begun;
    if (status === "killed") void dying.killSubagent(child);
    await reached.promise;
    await die();

    await using manager = new SessionManager({ dir });
    expect(await manager.recover()).toEqual([]);
    expect(await manager.subagents(ANN)).toMatchObject([{ key: child, status }]);
    const told = await toldOf(manager, ANN);
    expect(told).toMatchObject([{ provenance: { from: child, status } }]);
    if (code !== undefined) expect(told[0]?.content).toContain(`(${code})`);
    const ends = (await linesOf(manager, dir, ANN)).filter(({ type }) => type === "spawn-end");
    expect(ends.map(({ error }) => error)).toEqual([code === undefined ? undefined : { code }]);
  },
);
