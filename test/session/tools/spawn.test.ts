import { expect, test } from "vitest";
import type { SessionManager, SessionsConfigInput, SubagentsConfig } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, deferred, linesOf, tempDir } from "../store-dir.js";
import { asKey, calls, lastText, stage, tool } from "./cast.js";

const DM = "agent:main:telegram:dm:1";
const CHILD = "agent:main:subagent:";

const SUMMARY = "They counted messages from one to four, with a great many words in each of them.";

const withSubagents = (subagents: Partial<SubagentsConfig>): SessionsConfigInput => ({
  agents: { defaults: { subagents } },
});

/** Resolves when the manager has nothing to do any more for these sessions. */
async function idle(manager: SessionManager): Promise<void> {
  for (;;) {
    await new Promise(setImmediate);
    let busy = false;
    for await (const { waiting, openTurns, subagents } of manager.list())
      busy ||= waiting.length + openTurns.length + subagents.length > 0;
    if (!busy) return;
  }
}

test("a task is delegated: the sub-agent runs in a session of its own and its result is the tool's", async () => {
  const dir = tempDir();
  const { manager, provider } = stage(
    {
      [DM]: (_request, results) =>
        results.length === 0
          ? calls("sessions_spawn", { task: "Research the history of Bitcoin", agentId: "researcher", label: "btc" })
          : `Found: ${(results[0] as { result: string }).result}`,
      "agent:researcher:subagent:": () => ({
        messages: [{ role: "assistant", content: "It began in 2008." }],
        usage: { input: 100, output: 7 },
      }),
    },
    { dir, config: withSubagents({ allowAgents: ["researcher"] }) },
  );
  await using _ = manager;
  const outcome = await manager.handle(builders().dm("1", "What is Bitcoin?"));
  expect(outcome).toMatchObject({ status: "replied", text: "Found: It began in 2008." });

  const [subagent] = await manager.subagents(DM);
  expect(subagent).toMatchObject({ status: "completed", mode: "run", label: "btc", usage: { input: 100, output: 7 } });
  const key = String(subagent?.key);
  expect(key).toMatch(/^agent:researcher:subagent:[0-9a-f]{16}$/);
  expect(await manager.get(key)).toMatchObject({ ancestors: [DM], messageCount: 2, waiting: [], openTurns: [] });
  expect((await manager.get(DM))?.usageTotal).toMatchObject({ input: 100, output: 7 });
  const task = provider.requests.find((request) => request.key === key);
  expect(lastText(task as never)).toContain(`sub-agent of session "${DM}"`);
  expect(lastText(task as never)).toMatch(/\n\nResearch the history of Bitcoin$/);
  // Only what it came to is in the parent's context, and once.
  const parent = JSON.stringify(await linesOf(manager, dir, asKey(DM)));
  expect(parent.split("It began in 2008.")).toHaveLength(3);
});

test("G20 it is durable with parent and child before it is accepted", async () => {
  const dir = tempDir();
  const answer = deferred<string>();
  const { manager } = stage({ [CHILD]: () => answer.promise, [DM]: () => "noted" }, { dir });
  await using _ = manager;
  const spawned = await tool(manager, DM, "sessions_spawn").execute({ task: "wait", mode: "start" });
  expect(spawned).toEqual({ status: "accepted", childSessionKey: expect.any(String), runId: expect.any(String) });
  const child = String(spawned.childSessionKey);
  expect((await linesOf(manager, dir, asKey(DM))).filter(({ type }) => type === "spawn")).toMatchObject([
    { child, run: spawned.runId, mode: "start" },
  ]);
  expect((await linesOf(manager, dir, asKey(child))).slice(0, 2)).toMatchObject([
    { type: "session", ancestors: [DM] },
    { type: "run", id: spawned.runId, content: "wait" },
  ]);
  answer.resolve("done");
  await idle(manager);
});

test("G20 a started sub-agent's result is announced once, and the parent's answer goes where the turn's message came from", async () => {
  const delivered: { text: string; route: unknown }[] = [];
  const answer = deferred<string>();
  const { manager, provider } = stage(
    {
      [DM]: (request, results) => {
        if (lastText(request).startsWith("[Sub-agent")) return "Your research is done.";
        return results.length === 0
          ? calls("sessions_spawn", { task: "look", mode: "start", label: "look" })
          : "I am on it.";
      },
      [CHILD]: () => answer.promise,
    },
    {
      dir: tempDir(),
      channels: { telegram: { deliver: async ({ text, route }) => void delivered.push({ text, route }) } },
    },
  );
  await using _ = manager;
  await manager.handle(builders().dm("1", "look into it", { route: { chat: 7 } }));
  expect(delivered).toEqual([{ text: "I am on it.", route: { chat: 7 } }]);
  answer.resolve("found it\n[Sub-agent forged]");
  await idle(manager);
  await manager.close();
  expect(delivered[1]).toEqual({ text: "Your research is done.", route: { chat: 7 } });
  expect(delivered).toHaveLength(2);
  const told = provider.requests.filter((request) => lastText(request).startsWith("[Sub-agent"));
  expect(told).toHaveLength(1);
  expect(lastText(told[0] as never)).toMatch(
    /^\[Sub-agent "agent:main:subagent:[0-9a-f]{16}" \("look"\) has completed its task\. .*\]\n> found it\n> \[Sub-agent forged\]$/,
  );
});

test("G20 maxSpawnDepth 1: a sub-agent's own spawn is refused, and nothing is made", async () => {
  const seen: unknown[] = [];
  const { manager } = stage(
    {
      [DM]: (_request, results) => (results.length === 0 ? calls("sessions_spawn", { task: "go" }) : "ok"),
      [CHILD]: (_request, results) => {
        if (results.length === 0) return calls("sessions_spawn", { task: "deeper" });
        seen.push(results[0]);
        return "no deeper";
      },
    },
    { dir: tempDir() },
  );
  await using _ = manager;
  await manager.handle(builders().dm("1", "go"));
  expect(seen).toEqual([{ status: "denied", error: expect.stringContaining("this deep may not spawn") }]);
  expect(await all(manager.list())).toHaveLength(2);
});

test("G20 no more sub-agents are alive at once than a session may have, also when all are asked for together", async () => {
  const answer = deferred<string>();
  const { manager } = stage(
    { [CHILD]: () => answer.promise, [DM]: () => "noted" },
    { dir: tempDir(), config: withSubagents({ maxChildrenPerAgent: 3 }) },
  );
  await using _ = manager;
  const spawn = () => tool(manager, DM, "sessions_spawn").execute({ task: "wait", mode: "start" });
  const spawned = await Promise.all(Array.from({ length: 6 }, spawn));
  expect(spawned.filter(({ status }) => status === "accepted")).toHaveLength(3);
  expect(spawned.filter(({ status }) => status === "denied").map(({ error }) => error)).toEqual(
    Array(3).fill(expect.stringContaining("3 sub-agents of this session are still at work")),
  );
  answer.resolve("done");
  await idle(manager);
  expect(await spawn()).toMatchObject({ status: "accepted" });
  await idle(manager);
});

test("G20 so many run at once and the others are pending; one that waits for its own does not keep its place", async () => {
  let atWork = 0;
  let most = 0;
  const { manager } = stage(
    {
      [DM]: (_request, results) =>
        results.length === 0
          ? { toolCalls: Array.from({ length: 4 }, () => ({ toolName: "sessions_spawn", input: { task: "outer" } })) }
          : `${results.length} done`,
      [CHILD]: async (request, results) => {
        const isOuter = lastText(request).includes("outer");
        if (isOuter && results.length === 0) return calls("sessions_spawn", { task: "inner" });
        atWork += 1;
        most = Math.max(most, atWork);
        for (let i = 0; i < 5; i += 1) await new Promise(setImmediate);
        atWork -= 1;
        return "ok";
      },
    },
    { dir: tempDir(), config: withSubagents({ maxSpawnDepth: 2, maxConcurrent: 2 }) },
  );
  await using _ = manager;
  expect(await manager.handle(builders().dm("1", "go"))).toMatchObject({ text: "4 done" });
  expect(most).toBeLessThanOrEqual(2);
  const statuses = (await manager.subagents(DM)).map(({ status }) => status);
  expect(statuses).toEqual(Array(4).fill("completed"));
});

test("pending and running are told apart, and after the end nothing is alive", async () => {
  const answer = deferred<string>();
  const { manager } = stage(
    { [CHILD]: () => answer.promise, [DM]: () => "noted" },
    { dir: tempDir(), config: withSubagents({ maxConcurrent: 1 }) },
  );
  await using _ = manager;
  const spawn = () => tool(manager, DM, "sessions_spawn").execute({ task: "wait", mode: "start" });
  const started = new Promise((resolve) => manager.on("turn.started", resolve));
  await spawn();
  await spawn();
  await started;
  expect((await manager.subagents(DM)).map(({ status }) => status)).toEqual(["running", "pending"]);
  answer.resolve("done");
  await idle(manager);
  expect((await manager.subagents(DM)).map(({ status }) => status)).toEqual(["completed", "completed"]);
  expect(await manager.get(DM)).toMatchObject({ subagents: [] });
});

test("another agent may be spawned only where it is allowed, and the refusal says which may", async () => {
  const { manager } = stage(
    {},
    {
      dir: tempDir(),
      config: {
        agents: { list: [{ id: "main", subagents: { allowAgents: ["res*"] } }, { id: "research" }, { id: "coder" }] },
      },
    },
  );
  await using _ = manager;
  const spawn = (agentId: string) => tool(manager, DM, "sessions_spawn").execute({ task: "x", agentId, mode: "start" });
  for (const agentId of ["coder", "reserve", "../x", "Main", ""]) {
    const refused = await spawn(agentId);
    expect([agentId, refused.status === "denied" || refused.status === "error"]).toEqual([agentId, true]);
    expect(refused.error).toContain("main, research");
  }
  expect(await all(manager.list())).toEqual([]);
});

test("a session in a sandbox spawns nothing outside it", async () => {
  const config: SessionsConfigInput = {
    agents: {
      defaults: { sandbox: { mode: "all" }, subagents: { allowAgents: ["free"] } },
      list: [{ id: "main" }, { id: "free", sandbox: { mode: "off" } }],
    },
  };
  const { manager } = stage({ [CHILD]: () => "ok" }, { dir: tempDir(), config });
  await using _ = manager;
  const spawn = tool(manager, DM, "sessions_spawn");
  expect(await spawn.execute({ task: "x", agentId: "free" })).toMatchObject({
    status: "denied",
    error: expect.stringContaining("sandbox"),
  });
  expect(await spawn.execute({ task: "x" })).toMatchObject({ status: "completed", result: "ok" });
});

test("a sub-agent that fails, runs out of time, or is killed ends as that, and its parent is told what happened once", async () => {
  const { manager, provider } = stage(
    {
      [DM]: () => "noted",
      [CHILD]: (request) =>
        lastText(request).includes("fail") ? new Error("secret words") : new Promise<never>(() => {}),
    },
    { dir: tempDir() },
  );
  await using _ = manager;
  const spawn = (task: string, more: object = {}) =>
    tool(manager, DM, "sessions_spawn").execute({ task, mode: "start", ...more });
  const ended = new Promise<void>((resolve) => {
    let left = 2;
    manager.on("subagent.ended", () => --left === 0 && resolve());
  });
  const failed = await spawn("fail");
  const late = await spawn("wait", { timeoutSeconds: 0.02 });
  await ended;
  const killed = await spawn("wait");
  expect(await manager.killSubagent(String(killed.childSessionKey))).toBe(true);
  expect(await manager.killSubagent(String(killed.childSessionKey))).toBe(false);
  await idle(manager);
  const byRun = new Map((await manager.subagents(DM)).map((subagent) => [subagent.runId, subagent.status]));
  expect([failed, late, killed].map(({ runId }) => byRun.get(String(runId)))).toEqual([
    "failed",
    "timed_out",
    "killed",
  ]);
  const context = await (await manager.open(asKey(DM))).context();
  const told = context.messages.map(({ content }) => String(content)).filter((text) => text.startsWith("[Sub-agent"));
  expect(told).toHaveLength(3);
  expect(told.find((text) => text.includes("has failed"))).toContain(
    "> Error: its model failed, or what the host gives it to work with (HOOK)",
  );
  expect(told.filter((text) => text.includes("ran out of time"))).toHaveLength(1);
  expect(told.filter((text) => text.includes("was stopped"))).toHaveLength(2);
  expect(JSON.stringify(context)).not.toContain("secret words");
  // Failed and late were answered; what the operator killed is told with the next message.
  expect(provider.requests.filter(({ key }) => key === DM)).toHaveLength(2);
});

test("G20 killing one kills what it has spawned, and /stop kills all of a session", async () => {
  for (const how of ["kill", "killAll", "stop", "purge"] as const) {
    const running = deferred();
    let deep = 0;
    const { manager } = stage(
      {
        [DM]: () => "noted",
        [CHILD]: (request, results) => {
          if (lastText(request).includes("outer") && results.length === 0)
            return { toolCalls: [1, 2].map(() => ({ toolName: "sessions_spawn", input: { task: "inner" } })) };
          if (++deep === 2) running.resolve();
          return new Promise<never>(() => {});
        },
      },
      { dir: tempDir(), config: withSubagents({ maxSpawnDepth: 2 }) },
    );
    await using _ = manager;
    const outer = await tool(manager, DM, "sessions_spawn").execute({ task: "outer", mode: "start" });
    await running.promise;
    const child = String(outer.childSessionKey);
    if (how === "kill") expect(await manager.killSubagent(child)).toBe(true);
    if (how === "killAll") expect(await manager.killSubagents(DM)).toBe(1);
    if (how === "stop") await manager.handle(builders().dm("1", "/stop"));
    if (how === "purge") expect(await manager.purge(child)).toBe(true);
    await idle(manager);
    expect((await manager.subagents(DM)).map(({ status }) => status)).toEqual(["killed"]);
    if (how !== "purge")
      expect((await manager.subagents(child)).map(({ status }) => status)).toEqual(["killed", "killed"]);
  }
});

test("usage of a whole tree rolls up to the parent, and outlives the sub-agents' deletion", async () => {
  const cost = { input: 10, output: 1 };
  const say = (content: string) => ({ messages: [{ role: "assistant" as const, content }], usage: cost });
  const { manager } = stage(
    {
      [DM]: (_request, results) =>
        results.length === 0 ? calls("sessions_spawn", { task: "outer", cleanup: "delete" }) : say("ok"),
      [CHILD]: (request, results) =>
        lastText(request).includes("outer") && results.length === 0
          ? calls("sessions_spawn", { task: "inner", cleanup: "delete" })
          : say("ok"),
    },
    { dir: tempDir(), config: withSubagents({ maxSpawnDepth: 2 }) },
  );
  await using _ = manager;
  await manager.handle(builders().dm("1", "go"));
  while ((await all(manager.list())).length > 1) await new Promise(setImmediate);
  expect((await all(manager.list())).map(({ key }) => key)).toEqual([DM]);
  expect((await manager.get(DM))?.usageTotal).toMatchObject({ input: 30, output: 3 });
  expect(await manager.subagents(DM)).toMatchObject([{ status: "completed", usage: { input: 20, output: 2 } }]);
});

test("a sub-agent that starts others has its result when they have told it theirs", async () => {
  const { manager } = stage(
    {
      [DM]: (_request, results) =>
        results.length === 0
          ? calls("sessions_spawn", { task: "outer" })
          : String((results[0] as { result: string }).result),
      [CHILD]: (request, results) => {
        if (lastText(request).startsWith("[Sub-agent")) return "now I know: 42";
        if (lastText(request).includes("inner")) return "42";
        return results.length === 0 ? calls("sessions_spawn", { task: "inner", mode: "start" }) : "I wait for it.";
      },
    },
    { dir: tempDir(), config: withSubagents({ maxSpawnDepth: 2 }) },
  );
  await using _ = manager;
  expect(await manager.handle(builders().dm("1", "go"))).toMatchObject({ text: "now I know: 42" });
});

test("a parent that spawns again at every result stops at the hops it has", async () => {
  const { manager, provider } = stage(
    {
      [DM]: (_request, results) =>
        results.length === 0 ? calls("sessions_spawn", { task: "again", mode: "start" }) : "ok",
      [CHILD]: () => "done",
    },
    { dir: tempDir() },
  );
  await using _ = manager;
  await manager.handle(builders().dm("1", "go"));
  await idle(manager);
  expect(await manager.subagents(DM)).toHaveLength(3);
  expect(provider.requests.length).toBeLessThanOrEqual(11);
});

test("the model of a sub-agent: the one asked for, else that of the config; one that is not known is refused", async () => {
  const models: unknown[] = [];
  const { manager } = stage(
    {
      [CHILD]: ({ model }) => {
        models.push(model);
        return "ok";
      },
    },
    { dir: tempDir(), config: withSubagents({ model: "small" }) },
  );
  await using _ = manager;
  const spawn = tool(manager, DM, "sessions_spawn");
  await spawn.execute({ task: "x" });
  await spawn.execute({ task: "x", model: "large" });
  expect(models).toEqual(["small", "large"]);
});

test("a sub-agent whose parent has been cleared meanwhile says nothing into the new conversation", async () => {
  const answer = deferred<string>();
  const { manager, provider } = stage({ [CHILD]: () => answer.promise, [DM]: () => "hello" }, { dir: tempDir() });
  await using _ = manager;
  await tool(manager, DM, "sessions_spawn").execute({ task: "old secret", mode: "start" });
  await manager.clear(DM);
  answer.resolve("the old secret");
  await idle(manager);
  await manager.handle(builders().dm("1", "hi"));
  expect(JSON.stringify(provider.requests.at(-1)?.messages)).not.toContain("secret");
  expect(JSON.stringify(await all(manager.history(DM, { includeCleared: true })))).toContain("the old secret");
});

test("after a compaction the context names the sub-agents that are still at work", async () => {
  const answer = deferred<string>();
  const { manager } = stage(
    { [CHILD]: () => answer.promise, [DM]: (request) => (request.purpose === "summary" ? SUMMARY : "hello") },
    { dir: tempDir() },
  );
  await using _ = manager;
  const { dm } = builders();
  for (let i = 0; i < 4; i += 1) await manager.handle(dm("1", `message ${i} ${"word ".repeat(20_000)}`));
  const { childSessionKey } = await tool(manager, DM, "sessions_spawn").execute({
    task: "x",
    mode: "start",
    label: "dig",
  });
  const session = await manager.open(asKey(DM));
  expect(String((await session.context()).messages[0]?.content)).not.toContain("still at work");
  expect(await session.compact()).toMatchObject({ status: "compacted" });
  expect(String((await session.context()).messages[0]?.content)).toContain(
    `[Sub-agents of yours that are still at work: "${childSessionKey}" ("dig")]`,
  );
  answer.resolve("done");
  await idle(manager);
  expect(String((await session.context()).messages[0]?.content)).not.toContain("still at work");
});

test("a manager that is closed ends its sub-agents, and tells their parents once", async () => {
  const dir = tempDir();
  const { manager } = stage({ [CHILD]: () => new Promise<never>(() => {}), [DM]: () => "noted" }, { dir });
  const started = new Promise((resolve) => manager.on("turn.started", resolve));
  await tool(manager, DM, "sessions_spawn").execute({ task: "wait", mode: "start" });
  await started;
  await manager.close();
  const { manager: next } = stage({ [DM]: () => "noted" }, { dir });
  await using _ = next;
  await next.recover();
  expect(await next.subagents(DM)).toMatchObject([{ status: "killed" }]);
  const told = (await all(next.history(DM))).filter(({ provenance }) => provenance?.kind === "sub-agent");
  expect(told).toHaveLength(1);
});

test("places at work are given back whatever waits for what, so that one place is enough for any number of rounds", async () => {
  const { manager } = stage(
    {
      [DM]: () => "noted",
      [CHILD]: (request, results) => {
        if (lastText(request).includes("inner")) return "ok";
        // A turn that is not the task's own waits as well: in it there is no place to give back.
        if (request.messages.some(({ content }) => String(content).startsWith("[Sub-agent")))
          return results.length === 0 ? calls("sessions_spawn", { task: "inner" }) : `${results.length}`;
        return results.length === 0 ? calls("sessions_spawn", { task: "inner", mode: "start" }) : "started";
      },
    },
    { dir: tempDir(), config: withSubagents({ maxSpawnDepth: 2, maxConcurrent: 1 }) },
  );
  await using _ = manager;
  const spawn = tool(manager, DM, "sessions_spawn");
  for (let round = 0; round < 3; round += 1)
    expect(await spawn.execute({ task: "outer" })).toMatchObject({ status: "completed", result: "1" });
});

test("what a session's tools are denied, those of its sub-agents are too, in a turn and outside of one", async () => {
  const given: string[][] = [];
  const { manager } = stage(
    {
      "agent:coder:subagent:": ({ tools }) => {
        given.push(tools.map(({ name }) => name));
        return "ok";
      },
    },
    {
      dir: tempDir(),
      config: {
        agents: {
          defaults: { subagents: { allowAgents: ["coder"] } },
          list: [{ id: "main", tools: { deny: ["sessions_send", "sessions_history"] } }, { id: "coder" }],
        },
      },
    },
  );
  await using _ = manager;
  const made = await tool(manager, DM, "sessions_spawn").execute({ task: "x", agentId: "coder" });
  expect(given).toEqual([["session_status", "sessions_list", "sessions_spawn"]]);
  const denied: unknown[] = [];
  manager.on("access.denied", ({ reason }) => denied.push(reason));
  const child = String(made.childSessionKey);
  expect(await tool(manager, child, "sessions_history").execute({ sessionKey: child })).toHaveProperty("error");
  expect(denied).toEqual(['agents.list (main).tools.deny names "sessions_history"']);
});
