import { expect, test, vi } from "vitest";
import {
  JsonlStorage,
  MemoryStorage,
  type RecoveryError,
  type SessionManager,
  type SessionStorage,
} from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, deferred, linesOf, mortalStorage, tempDir } from "../store-dir.js";
import { asKey, stage, tool } from "./cast.js";
import { quiet } from "./family.js";
import { populated } from "./populate.js";
import { pause, TroubledStorage } from "./troubled-storage.js";

const ANN = "agent:main:telegram:dm:ann";
const CHILD = "agent:main:subagent:";

const never = () => new Promise<never>(() => {});
const spawn = async (manager: SessionManager, mode: "run" | "start") => {
  const made = await tool(manager, ANN, "sessions_spawn").execute({ task: "work", mode, cleanup: "delete" });
  return String(made.childSessionKey);
};
const deletionsIn = async (storage: SessionStorage, manager: SessionManager) => {
  const uuid = (await manager.get(ANN))?.uuid ?? "";
  return (await all(storage.entries(uuid))).filter((entry) => "type" in entry && entry.type === "spawn-deleted");
};

for (const how of ["recover()", "the next message"] as const)
  test(`G20 a sub-agent that could not be deleted at its end is deleted after ${how}, and that is noted once`, async () => {
    const storage = new TroubledStorage();
    storage.failNext("delete", (key) => key.startsWith(CHILD));
    const { manager } = stage({ [ANN]: () => "hi", [CHILD]: () => "done" }, { storage });
    await using _ = manager;
    const child = await spawn(manager, "run");
    await pause();
    expect(storage.failed).toBe(`delete of ${child}`);
    expect(await manager.get(child)).toBeDefined();
    if (how === "recover()") await manager.recover();
    else await manager.handle(builders().dm("ann", "hello"));
    await pause();
    expect(await manager.get(child)).toBeUndefined();
    expect((await manager.get(ANN))?.toDelete).toEqual([]);
    await manager.recover();
    expect(await deletionsIn(storage, manager)).toMatchObject([{ child }]);
    expect(await manager.subagents(ANN)).toMatchObject([{ key: child, status: "completed" }]);
  });

test("G20 a deletion that could not be noted is noted once by recover()", async () => {
  const storage = new TroubledStorage();
  const { manager } = stage({ [CHILD]: () => "done" }, { storage });
  await using _ = manager;
  const child = await spawn(manager, "run");
  storage.failNext("update", (key) => key === ANN);
  await pause();
  expect(await manager.get(child)).toBeUndefined();
  expect((await manager.get(ANN))?.toDelete).toMatchObject([{ key: child }]);
  await manager.recover();
  expect((await manager.get(ANN))?.toDelete).toEqual([]);
  expect(await deletionsIn(storage, manager)).toHaveLength(1);
});

test("G20 a sub-agent whose process has died is deleted when another process kills it", async () => {
  const dir = tempDir();
  const { storage, die } = mortalStorage(dir);
  const { manager: dying } = stage({ [CHILD]: never }, { storage });
  const begun = new Promise((resolve) => dying.on("turn.started", resolve));
  const child = await spawn(dying, "start");
  await begun;
  await die();

  const { manager } = stage({ [ANN]: () => "hi" }, { dir });
  await using _ = manager;
  expect(await manager.killSubagent(child)).toBe(true);
  const isDone = async () => {
    expect(await manager.get(child)).toBeUndefined();
    expect((await manager.get(ANN))?.toDelete).toEqual([]);
  };
  await vi.waitFor(isDone, { timeout: 10_000 });
  expect(await manager.subagents(ANN)).toMatchObject([{ key: child, status: "killed" }]);
  await manager.recover();
  const lines = await linesOf(manager, dir, asKey(ANN));
  expect(lines.filter(({ type }) => type === "spawn-deleted")).toHaveLength(1);
});

for (const when of ["before it is deleted", "before that is noted"] as const)
  test(`G20 recover() deletes a sub-agent whose process has died behind its end, ${when}`, async () => {
    const dir = tempDir();
    const { storage, die } = mortalStorage(dir);
    const reached = deferred();
    const { manager: dying } = stage(
      { [CHILD]: () => "done" },
      {
        storage: {
          ...storage,
          delete: async (key) => {
            if (when === "before that is noted") await storage.delete(key);
            reached.resolve();
            return never();
          },
        },
      },
    );
    const child = await spawn(dying, "run");
    await reached.promise;
    await die();

    const { manager } = stage({ [ANN]: () => "hi" }, { dir });
    await using _ = manager;
    expect((await manager.get(child)) === undefined).toBe(when === "before that is noted");
    expect(await manager.recover()).toEqual([]);
    expect(await manager.get(child)).toBeUndefined();
    expect((await manager.get(ANN))?.toDelete).toEqual([]);
    await manager.recover();
    const lines = await linesOf(manager, dir, asKey(ANN));
    expect(lines.filter(({ type }) => type === "spawn-deleted")).toMatchObject([{ child }]);
    expect(await manager.subagents(ANN)).toMatchObject([{ key: child, status: "completed" }]);
  });

test("G20 a sub-agent that is killed from elsewhere while its process lives is deleted by one of the two, and that is noted once", async () => {
  const dir = tempDir();
  const answer = deferred<string>();
  const { manager: other } = stage({ [CHILD]: () => answer.promise }, { storage: new JsonlStorage({ dir }) });
  const begun = new Promise((resolve) => other.on("turn.started", resolve));
  const child = await spawn(other, "start");
  await begun;
  const { manager } = stage({ [ANN]: () => "hi" }, { dir });
  await using _ = manager;
  expect(await manager.killSubagent(child)).toBe(true);
  answer.resolve("done");
  await vi.waitFor(async () => expect((await manager.get(ANN))?.toDelete).toEqual([]), { timeout: 10_000 });
  await other.close();
  await manager.recover();
  expect(await manager.get(child)).toBeUndefined();
  const lines = await linesOf(manager, dir, asKey(ANN));
  expect(lines.filter(({ type }) => type === "spawn-deleted")).toMatchObject([{ child }]);
  expect(await manager.subagents(ANN)).toMatchObject([{ key: child, status: "killed" }]);
});

/** A storage in memory that deletes nothing, and notes how many sub-agents of Ann's are to be deleted. */
class Undeletable extends MemoryStorage {
  mostToDelete = 0;

  override async update(...args: Parameters<MemoryStorage["update"]>) {
    const record = await super.update(...args);
    if (record?.key === ANN) this.mostToDelete = Math.max(this.mostToDelete, record.toDelete.length);
    return record;
  }

  override async delete(): Promise<boolean> {
    throw new Error("EBUSY");
  }
}

for (const how of ["recover()", "the next message"] as const)
  test(`G19 G20 a sub-agent whose session cannot be deleted keeps nothing that waits for its parent from being run after ${how}`, async () => {
    const { user } = builders();
    const timestamp = "2026-03-18T10:00:00.000Z";
    const child = asKey(`${CHILD}1`);
    const provenance = {
      kind: "inter-session" as const,
      from: asKey("agent:main:main"),
      hops: 1,
      chain: [],
      run: "r1",
    };
    const entries = [
      user("hi"),
      {
        type: "spawn" as const,
        id: "s1",
        timestamp,
        child,
        run: "c1",
        mode: "start" as const,
        cleanup: "delete" as const,
      },
      { type: "spawn-end" as const, id: "s2", timestamp, child, run: "c1", status: "completed" as const },
      { type: "run" as const, id: "r1", timestamp, content: "important", provenance },
    ];
    const inhabitants = [
      { key: ANN, entries },
      { key: child, ancestors: [ANN] },
    ];
    const storage = await populated(inhabitants, new Undeletable());
    const { manager } = stage({ [ANN]: () => "answered" }, { storage });
    await using _ = manager;
    expect(await manager.run(ANN, "r1")).toEqual({ status: "waiting" });
    if (how === "recover()") {
      const error = (await manager.recover().catch((thrown: unknown) => thrown)) as RecoveryError;
      expect(error).toMatchObject({ code: "RECOVERY", failures: [{ key: ANN, error: { message: "EBUSY" } }] });
    } else expect(await manager.handle(builders().dm("ann", "hello"))).toMatchObject({ status: "replied" });
    await pause();
    expect(await manager.run(ANN, "r1")).toEqual({ status: "ok", reply: "answered" });
    expect(await manager.get(ANN)).toMatchObject({ waiting: [], toDelete: [{ key: child }] });
  });

test("G16 G20 where no sub-agent can be deleted, a record names a hundred to delete, and no more are spawned but to be kept", async () => {
  const storage = new Undeletable();
  const { manager, provider } = stage({ [CHILD]: () => "done" }, { storage });
  await using _ = manager;
  const spawnOne = (cleanup: "delete" | "keep") =>
    tool(manager, ANN, "sessions_spawn").execute({ task: "work", mode: "run", cleanup });
  for (let made = 0; made < 100; made += 1) expect(await spawnOne("delete")).toMatchObject({ status: "completed" });
  for (let more = 0; more < 3; more += 1) {
    const refused = await spawnOne("delete");
    expect(refused).toEqual({ status: "error", error: expect.stringContaining("keep") });
    expect(await spawnOne("keep")).toMatchObject({ status: "completed" });
  }
  await pause();
  expect(storage.mostToDelete).toBe(100);
  expect(await manager.subagents(ANN)).toHaveLength(103);
  expect(provider.requests).toHaveLength(103);
});

test("G16 G20 sub-agents that are alive at once count among the hundred to delete", async () => {
  const storage = new Undeletable();
  const done = deferred<string>();
  let isHeld = false;
  const config = { agents: { defaults: { subagents: { maxChildrenPerAgent: 100, maxConcurrent: 100 } } } };
  const { manager } = stage(
    { [CHILD]: () => (isHeld ? done.promise : "done"), [ANN]: () => "noted" },
    { storage, config },
  );
  await using _ = manager;
  const spawn = (mode: "run" | "start") =>
    tool(manager, ANN, "sessions_spawn").execute({ task: "work", mode, cleanup: "delete" });
  for (let made = 0; made < 98; made += 1) await spawn("run");
  isHeld = true;
  for (let made = 0; made < 5; made += 1) await spawn("start");
  done.resolve("done");
  await quiet(manager);
  expect((await manager.get(ANN))?.toDelete.length).toBeLessThanOrEqual(100);
});
