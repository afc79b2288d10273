import { expect, test } from "vitest";
import { JsonlStorage, MemoryStorage, type SessionsConfigInput } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, deferred, mortalStorage, tempDir } from "../store-dir.js";
import { calls, lastText, type Part, stage, tool } from "./cast.js";
import { quiet, toldOf, wrongs } from "./family.js";
import { populated } from "./populate.js";
import { pause, TroubledStorage } from "./troubled-storage.js";

const ANN = "agent:main:telegram:dm:ann";
const CHILD = "agent:main:subagent:";

const DEEP: SessionsConfigInput = { agents: { defaults: { subagents: { maxSpawnDepth: 2, maxConcurrent: 1 } } } };

/** A conversation that has a sub-agent spawn another. */
function family(mode: "run" | "start"): Record<string, Part> {
  return {
    [ANN]: (request, results) => {
      if (lastText(request).startsWith("[Sub-agent") || lastText(request) === "next") return "noted";
      return results.length === 0 ? calls("sessions_spawn", { task: "OUTER", mode }) : "fine";
    },
    [CHILD]: (request, results) => {
      if (lastText(request).startsWith("[Sub-agent")) return "all done";
      const spawns = lastText(request).endsWith("OUTER") && results.length === 0;
      return spawns ? calls("sessions_spawn", { task: "INNER", mode }) : "ok";
    },
  };
}

for (const mode of ["start", "run"] as const)
  test(`G20 one fault at any step of the storage leaves nothing alive or waiting, mode ${mode}`, async () => {
    const found: string[] = [];
    let failing = 1;
    for (; ; failing += 1) {
      const storage = new TroubledStorage();
      storage.failingStep = failing;
      const { manager } = stage(family(mode), { storage, config: DEEP });
      const b = builders();
      await Promise.allSettled([manager.handle(b.dm("ann", "go"))]);
      await pause();
      if (storage.failed === undefined) break;
      storage.failingStep = undefined;
      const check = (ok: boolean, what: string) => ok || found.push(`step ${failing} (${storage.failed}): ${what}`);
      for (const { status, ended } of await manager.subagents(ANN)) check(ended !== undefined, `a ${status} sub-agent`);
      await manager.handle(b.dm("ann", "next"));
      await pause();
      check((await manager.get(ANN))?.waiting.length === 0, "messages wait after the next use");
      await manager.recover();
      await pause();
      for await (const { key, waiting, openTurns, subagents } of manager.list())
        check(waiting.length + openTurns.length + subagents.length === 0, `${key} is left at work`);
      // Its place among those at work is free.
      const fresh = await tool(manager, ANN, "sessions_spawn").execute({ task: "fresh" });
      check(fresh.status === "completed", `the next spawn is ${fresh.status}`);
      await manager.close();
    }
    expect(found).toEqual([]);
    expect(failing).toBeGreaterThan(20);
  });

class ClosingStorage extends JsonlStorage {
  updates = 0;
  closeAt = 0;
  onDue = () => {};

  override async update(...args: Parameters<JsonlStorage["update"]>) {
    this.updates += 1;
    if (this.updates === this.closeAt) this.onDue();
    return super.update(...args);
  }
}

test("G20 closed at any write, every sub-agent ends once and is told once", async () => {
  const found: string[] = [];
  const ends = new Set<string>();
  for (let closeAt = 1; ; closeAt += 1) {
    const dir = tempDir();
    const storage = new ClosingStorage({ dir });
    storage.closeAt = closeAt;
    const { manager: closing } = stage(family("start"), { storage, config: DEEP });
    const over = new Promise<"over">((resolve) => {
      let turns = 0;
      closing.on("turn.completed", ({ key }) => {
        turns += key === ANN ? 1 : 0;
        // The second is the answer to what the sub-agent came to, and the last there is to do.
        if (turns === 2) resolve("over");
      });
    });
    const closed = deferred();
    storage.onDue = () => {
      closed.resolve();
      void closing.close();
    };
    await Promise.allSettled([closing.handle(builders().dm("ann", "go"))]);
    const isOver = (await Promise.race([closed.promise, over])) === "over";
    await closing.close();
    const { manager } = stage(family("start"), { dir, config: DEEP });
    await manager.recover();
    await quiet(manager);
    for (const { status } of await manager.subagents(ANN)) ends.add(status);
    found.push(...(await wrongs(manager, dir, ANN)).map((what) => `at write ${closeAt}: ${what}`));
    await manager.close();
    if (isOver) break;
    expect(closeAt).toBeLessThan(100);
  }
  expect(found).toEqual([]);
  expect([...ends]).toEqual(expect.arrayContaining(["killed", "completed"]));
});

/** A manager whose sub-agent has something to say, and whose parent's next writes fail from then on. */
function precious(faults: number) {
  const storage = new TroubledStorage();
  const staged = stage(
    {
      [ANN]: () => "noted",
      [CHILD]: () => {
        for (let fault = 0; fault < faults; fault += 1) storage.failNext("update", (key) => key === ANN);
        return "PRECIOUS";
      },
    },
    { storage },
  );
  return staged.manager;
}

test("G20 a write that fails once does not lose the result of a sub-agent that is deleted", async () => {
  const manager = precious(1);
  await tool(manager, ANN, "sessions_spawn").execute({ task: "work", mode: "start", cleanup: "delete" });
  await quiet(manager);
  await pause();
  expect(await manager.subagents(ANN)).toMatchObject([{ status: "completed" }]);
  expect(await toldOf(manager, ANN)).toMatchObject([{ content: "PRECIOUS" }]);
  expect(await all(manager.list())).toMatchObject([{ key: ANN }]);
  await manager.close();
});

test("G20 a sub-agent whose end cannot be written is not deleted, and its result is found later", async () => {
  const manager = precious(3);
  const spawned = { task: "work", mode: "start", cleanup: "delete" };
  const child = String((await tool(manager, ANN, "sessions_spawn").execute(spawned)).childSessionKey);
  await pause();
  expect(await manager.get(ANN)).toMatchObject({ subagents: [{ key: child }] });
  expect(await manager.get(child)).toMatchObject({ messageCount: 2 });
  await manager.recover();
  expect(await manager.subagents(ANN)).toMatchObject([{ status: "completed" }]);
  expect(await toldOf(manager, ANN)).toMatchObject([{ content: "PRECIOUS" }]);
  expect(await manager.get(child)).toBeUndefined();
  await manager.close();
});

test("G20 a sub-agent that failed before it began is told as failed, and its task as ended", async () => {
  const storage = new TroubledStorage();
  const { manager, provider } = stage({}, { storage });
  manager.on("subagent.spawned", ({ child }) => {
    storage.failNext("update", (key, claim) => key === child && claim !== undefined);
  });
  const spawned = await tool(manager, ANN, "sessions_spawn").execute({ task: "work" });
  expect(spawned).toMatchObject({ status: "failed" });
  const { childSessionKey: sessionKey, runId } = spawned;
  expect(provider.requests).toEqual([]);
  expect(await manager.run(String(sessionKey), String(runId))).toMatchObject({ status: "error" });
  const asked = await tool(manager, ANN, "session_status").execute({ sessionKey, runId });
  expect(asked).toMatchObject({ runId, status: "error" });
  await manager.close();
});

test("a model of a name that cannot be stored is refused, and nothing is spawned", async () => {
  const { manager } = stage({}, { storage: new MemoryStorage() });
  const spawned = await tool(manager, ANN, "sessions_spawn").execute({ task: "work", model: "é".repeat(200) });
  expect(spawned).toEqual({ status: "error", error: expect.stringContaining("no model of that name") });
  expect(await all(manager.list())).toEqual([]);
  await manager.close();
});

for (const how of ["killSubagent", "killSubagents"] as const)
  test(`G20 a sub-agent whose session was never made is ended by ${how}`, async () => {
    const child = `${CHILD}dead`;
    const { manager } = stage({}, { storage: await populated([{ key: ANN, live: [child] }]) });
    if (how === "killSubagent") expect(await manager.killSubagent(child)).toBe(true);
    else expect(await manager.killSubagents(ANN)).toBe(1);
    expect(await manager.subagents(ANN)).toMatchObject([{ status: "killed", ended: expect.any(String) }]);
    expect(await manager.get(ANN)).toMatchObject({ subagents: [] });
    await manager.close();
  });

test("G20 an orphan that was to be deleted is deleted, and its parent told", async () => {
  const dir = tempDir();
  const { storage, die } = mortalStorage(dir);
  const running = deferred();
  const { manager: dying } = stage(
    {
      [CHILD]: () => {
        running.resolve();
        return new Promise<never>(() => {});
      },
    },
    { storage },
  );
  const spawned = { task: "work", mode: "start", cleanup: "delete" };
  const child = String((await tool(dying, ANN, "sessions_spawn").execute(spawned)).childSessionKey);
  await running.promise;
  await die();
  const { manager } = stage({}, { dir });
  await manager.recover();
  expect(await manager.subagents(ANN)).toMatchObject([{ key: child, status: "orphaned" }]);
  expect(await toldOf(manager, ANN)).toMatchObject([{ provenance: { from: child, status: "orphaned" } }]);
  expect(await manager.get(child)).toBeUndefined();
  await manager.close();
});
