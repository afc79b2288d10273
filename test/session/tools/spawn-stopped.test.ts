import { expect, test, vi } from "vitest";
import { MemoryStorage, type SessionManager, type SessionsConfigInput, type Subagent } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, deferred, linesOf, tempDir } from "../store-dir.js";
import { asKey, calls, lastText, stage, tool } from "./cast.js";
import { quiet } from "./family.js";
import { pause, TroubledStorage } from "./troubled-storage.js";

const ANN = "agent:main:telegram:dm:ann";
const BOB = "agent:main:telegram:dm:bob";
const CHILD = "agent:main:subagent:";

const DEEP: SessionsConfigInput = { agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } };

const never = () => new Promise<never>(() => {});
const statuses = (subagents: readonly Subagent[]) => subagents.map(({ status }) => status);
const isTask = (request: Parameters<typeof lastText>[0], task: string) =>
  request.messages.length === 1 && lastText(request).endsWith(task);

/** The key of the first sub-agent that is spawned. */
function firstChild(manager: SessionManager): Promise<string> {
  return new Promise((resolve) => manager.on("subagent.spawned", ({ child }) => resolve(child)));
}

const spawnOnce = (_request: unknown, results: readonly unknown[]) =>
  results.length === 0 ? calls("sessions_spawn", { task: "work", mode: "start" }) : "ok";

test("G20 /stop while a spawn is under way ends the sub-agent before its model is called", async () => {
  const storage = new TroubledStorage();
  const held = storage.holdNewSubagent();
  let asked = 0;
  const { manager } = stage(
    {
      [ANN]: spawnOnce,
      [CHILD]: () => {
        asked += 1;
        return "done";
      },
    },
    { storage },
  );
  const b = builders();
  const turn = manager.handle(b.dm("ann", "go"));
  await held.reached;
  const carriedOut = new Promise((resolve) => manager.on("command.executed", resolve));
  const stopping = manager.handle(b.dm("ann", "/stop"));
  await carriedOut;
  held.release();
  expect(await stopping).toMatchObject({ status: "command", text: "Stopped." });
  expect(await turn).toMatchObject({ status: "aborted" });
  await quiet(manager);
  await pause();
  expect(asked).toBe(0);
  expect(statuses(await manager.subagents(ANN))).toEqual(["killed"]);
  await manager.close();
});

test("G20 killing a sub-agent also stops what it is just spawning", async () => {
  const storage = new TroubledStorage();
  const held = storage.holdNewSubagent((madeBefore) => madeBefore === 1);
  let asked = 0;
  const { manager } = stage(
    {
      [CHILD]: (request, results) => {
        if (isTask(request, "OUTER")) return calls("sessions_spawn", { task: "INNER", mode: "start" });
        if (results.length === 0) asked += 1;
        return "ok";
      },
      [ANN]: () => "noted",
    },
    { storage, config: DEEP },
  );
  const spawned = await tool(manager, ANN, "sessions_spawn").execute({ task: "OUTER", mode: "start" });
  const child = String(spawned.childSessionKey);
  await held.reached;
  const killing = manager.killSubagent(child);
  held.release();
  expect(await killing).toBe(true);
  await quiet(manager);
  await pause();
  expect(asked).toBe(0);
  expect(statuses(await manager.subagents(ANN))).toEqual(["killed"]);
  expect(statuses(await manager.subagents(child))).toEqual(["killed"]);
  await manager.close();
});

test("G20 purging a session while it spawns leaves nothing, neither at work nor stored", async () => {
  const storage = new TroubledStorage();
  const held = storage.holdNewSubagent();
  let asked = 0;
  const { manager } = stage(
    {
      [ANN]: spawnOnce,
      [CHILD]: () => {
        asked += 1;
        return "done";
      },
    },
    { storage },
  );
  const turn = manager.handle(builders().dm("ann", "go"));
  void Promise.allSettled([turn]);
  await held.reached;
  const purging = manager.purge(ANN);
  held.release();
  expect(await purging).toBe(true);
  await Promise.allSettled([turn]);
  await pause();
  expect(asked).toBe(0);
  expect(await all(manager.list())).toEqual([]);
  await manager.close();
});

test("G20 who is told that a sub-agent was spawned can kill it at once", async () => {
  let alive = 0;
  const { manager } = stage(
    {
      [CHILD]: async ({ signal }) => {
        alive += 1;
        signal.addEventListener("abort", () => {
          alive -= 1;
        });
        return never();
      },
    },
    { storage: new MemoryStorage() },
  );
  const killed = new Promise<boolean>((resolve) => {
    manager.on("subagent.spawned", ({ child }) => resolve(manager.killSubagent(child)));
  });
  await tool(manager, ANN, "sessions_spawn").execute({ task: "work", mode: "start" });
  expect(await killed).toBe(true);
  await quiet(manager);
  await pause();
  expect(alive).toBe(0);
  expect(statuses(await manager.subagents(ANN))).toEqual(["killed"]);
  await manager.close();
});

test("G20 /stop ends a sub-agent that another process runs, once", async () => {
  const dir = tempDir();
  const running = deferred();
  const { manager: runner } = stage(
    {
      [ANN]: spawnOnce,
      [CHILD]: () => {
        running.resolve();
        return never();
      },
    },
    { dir },
  );
  const b = builders();
  await runner.handle(b.dm("ann", "go"));
  await running.promise;
  const { manager } = stage({}, { dir });
  await manager.handle(b.dm("ann", "/stop"));
  await vi.waitFor(async () => expect(statuses(await manager.subagents(ANN))).toEqual(["killed"]), { timeout: 10_000 });
  await runner.close();
  expect((await linesOf(manager, dir, asKey(ANN))).filter(({ type }) => type === "spawn-end")).toHaveLength(1);
  await manager.close();
});

for (const how of ["killSubagents", "/stop"] as const)
  test(`G20 what an ended sub-agent has spawned since is stopped with those of its parent, by ${how}`, async () => {
    const running = deferred();
    const { manager } = stage(
      {
        [CHILD]: (request, results) => {
          if (isTask(request, "INNER")) {
            running.resolve();
            return never();
          }
          const spawns = lastText(request).includes("spawn now") && results.length === 0;
          return spawns ? calls("sessions_spawn", { task: "INNER", mode: "start" }) : "ok";
        },
      },
      { storage: new MemoryStorage(), config: DEEP },
    );
    const { childSessionKey } = await tool(manager, ANN, "sessions_spawn").execute({ task: "OUTER" });
    const child = String(childSessionKey);
    await tool(manager, ANN, "sessions_send").execute({ sessionKey: child, message: "spawn now" });
    await running.promise;
    if (how === "killSubagents") expect(await manager.killSubagents(ANN)).toBe(0);
    else await manager.handle(builders().dm("ann", "/stop"));
    await vi.waitFor(async () => expect(statuses(await manager.subagents(child))).toEqual(["killed"]), {
      timeout: 10_000,
    });
    await manager.close();
  });

test("G20 a spawn that is waited for returns with its task, whatever else its sub-agent was asked", async () => {
  const answer = deferred<string>();
  const { manager } = stage(
    { [CHILD]: (request) => (isTask(request, "work") ? answer.promise : never()) },
    { storage: new MemoryStorage() },
  );
  const spawned = firstChild(manager);
  const running = tool(manager, ANN, "sessions_spawn").execute({ task: "work" });
  const child = await spawned;
  const asked = { sessionKey: child, message: "psst", timeoutSeconds: 0 };
  expect(await tool(manager, BOB, "sessions_send").execute(asked)).toMatchObject({ status: "accepted" });
  answer.resolve("RESULT");
  expect(await running).toMatchObject({ status: "completed", result: "RESULT" });
  expect(await manager.killSubagent(child)).toBe(false);
  expect(await manager.purge(ANN)).toBe(true);
  await manager.close();
});

test("G20 a killed sub-agent does not answer what waited in its line", async () => {
  const running = deferred();
  let asked = 0;
  const { manager } = stage(
    {
      [CHILD]: () => {
        asked += 1;
        running.resolve();
        return asked === 1 ? never() : "late";
      },
    },
    { storage: new MemoryStorage() },
  );
  const spawned = await tool(manager, ANN, "sessions_spawn").execute({ task: "work", mode: "start" });
  const sessionKey = String(spawned.childSessionKey);
  await running.promise;
  const sent = await tool(manager, ANN, "sessions_send").execute({ sessionKey, message: "psst", timeoutSeconds: 0 });
  expect(await manager.killSubagent(sessionKey)).toBe(true);
  await quiet(manager);
  await pause();
  expect(asked).toBe(1);
  expect(await manager.run(sessionKey, String(sent.runId))).toEqual({ status: "error", code: "ABORTED" });
  await manager.close();
});

test("G20 a manager that closes while a sub-agent begins ends it as killed, and nobody answers that later", async () => {
  const dir = tempDir();
  const { manager: closing } = stage({ [ANN]: spawnOnce, [CHILD]: never }, { dir });
  const closed = new Promise<void>((resolve) => {
    closing.on("subagent.spawned", () => resolve(closing.close()));
  });
  await Promise.allSettled([closing.handle(builders().dm("ann", "go"))]);
  await closed;
  const { manager, provider } = stage({}, { dir });
  await manager.recover();
  await quiet(manager);
  const [subagent] = await manager.subagents(ANN);
  expect(subagent).toMatchObject({ status: "killed", ended: expect.any(String) });
  expect(await manager.run(String(subagent?.key), String(subagent?.runId))).toEqual({
    status: "error",
    code: "KILLED",
  });
  expect(provider.requests).toEqual([]);
  await manager.close();
});
