import { expect, test, vi } from "vitest";
import { JsonlStorage, type SessionManager, type SessionStorage } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, deferred, linesOf, mortalStorage, tempDir } from "../store-dir.js";
import { asKey, stage, tool } from "./cast.js";
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
