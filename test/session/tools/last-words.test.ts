import { expect, test } from "vitest";
import { MemoryStorage, type SessionsConfigInput } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { deferred } from "../store-dir.js";
import { asKey, calls, lastText, stage, tool } from "./cast.js";

const DM = "agent:main:telegram:dm:1";
const CHILD = "agent:main:subagent:";
const DEEP: SessionsConfigInput = { agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } };

const isTold = ({ messages }: { messages: readonly { content: unknown }[] }, what: string) =>
  messages.some(({ content }) => String(content).startsWith("[Sub-agent") && String(content).includes(what));

test("G20 a sub-agent whose own is quick has its result when that has been told, and pays for it", async () => {
  const usage = { input: 10, output: 1 };
  const say = (content: string) => ({ messages: [{ role: "assistant" as const, content }], usage });
  const innerEnded = deferred();
  const { manager } = stage(
    {
      [CHILD]: async (request, results) => {
        if (isTold(request, "quick")) return say("FINAL");
        if (lastText(request).includes("inner")) return say("quick");
        if (results.length === 0) return calls("sessions_spawn", { task: "inner", mode: "start" });
        await innerEnded.promise;
        return say("I wait.");
      },
    },
    { storage: new MemoryStorage(), config: DEEP },
  );
  await using _ = manager;
  manager.on("subagent.ended", ({ key }) => key.startsWith(CHILD) && innerEnded.resolve());
  const made = await tool(manager, DM, "sessions_spawn").execute({ task: "outer" });
  expect(made).toMatchObject({ status: "completed", result: "FINAL" });
  expect((await manager.subagents(DM))[0]?.usage).toMatchObject({ input: 30, output: 3 });
});

test("G20 with several of its own, a sub-agent's result is what it said of the one told last", async () => {
  const quickTold = deferred();
  const { manager } = stage(
    {
      [CHILD]: async (request, results) => {
        const text = lastText(request);
        if (text.startsWith("[Sub-agent")) {
          if (text.includes("slow")) return "FINAL";
          quickTold.resolve();
          return "one to wait for";
        }
        if (text.includes("inner slow")) {
          await quickTold.promise;
          return "slow";
        }
        if (text.includes("inner quick")) return "quick";
        const tasks = ["inner slow", "inner quick"];
        const toolCalls = tasks.map((task) => ({ toolName: "sessions_spawn", input: { task, mode: "start" } }));
        return results.length === 0 ? { toolCalls } : "I wait.";
      },
    },
    { storage: new MemoryStorage(), config: DEEP },
  );
  await using _ = manager;
  const made = await tool(manager, DM, "sessions_spawn").execute({ task: "outer" });
  expect(made).toMatchObject({ status: "completed", result: "FINAL" });
});

for (const mode of ["run", "start"] as const) {
  test(`G20 an end that is stored and told as failed loses no result: mode ${mode}`, async () => {
    class Doubtful extends MemoryStorage {
      hasFailed = false;
      override async update(...args: Parameters<MemoryStorage["update"]>) {
        const before = (await this.read(args[0]))?.subagents.length ?? 0;
        const record = await super.update(...args);
        if (this.hasFailed || args[0] !== DM || (record?.subagents.length ?? 0) >= before) return record;
        this.hasFailed = true;
        throw new Error("EIO");
      }
    }
    const storage = new Doubtful();
    const { manager } = stage(
      { [CHILD]: () => "PRECIOUS", [DM]: (request) => `told ${lastText(request)}` },
      { storage },
    );
    await using _ = manager;
    const answered = new Promise((resolve) => manager.on("turn.completed", ({ key }) => key === DM && resolve(key)));
    const made = await tool(manager, DM, "sessions_spawn").execute({ task: "x", mode, cleanup: "delete" });
    if (mode === "run") expect(made).toMatchObject({ status: "completed", result: "PRECIOUS" });
    else {
      await answered;
      const { messages } = await (await manager.open(asKey(DM))).context();
      expect(String(messages.at(-1)?.content)).toContain("PRECIOUS");
    }
    expect(storage.hasFailed).toBe(true);
  });
}

test("killSubagent leaves a session that is no sub-agent alone", async () => {
  const answer = deferred<string>();
  const { manager } = stage({ [CHILD]: () => answer.promise, [DM]: () => "noted" }, { storage: new MemoryStorage() });
  await using _ = manager;
  await tool(manager, DM, "sessions_spawn").execute({ task: "x", mode: "start" });
  expect(await manager.killSubagent(DM)).toBe(false);
  const ended = new Promise((resolve) => manager.on("subagent.ended", ({ status }) => resolve(status)));
  answer.resolve("ok");
  expect(await ended).toBe("completed");
});

test("a fault at what others have left costs no message, and recover goes on with the other sessions", async () => {
  class Faulty extends MemoryStorage {
    isFaulty = false;
    override async claim(...args: Parameters<MemoryStorage["claim"]>) {
      if (this.isFaulty && args[0] === `${CHILD}bad`) throw new Error("EIO");
      return super.claim(...args);
    }
  }
  const storage = new Faulty();
  const { manager: before } = stage({}, { storage });
  for (const [peer, child] of [
    ["1", `${CHILD}bad`],
    ["2", `${CHILD}good`],
  ]) {
    const key = asKey(`agent:main:telegram:dm:${peer}`);
    await (await before.open(key)).append({ role: "user", content: "hi" });
    await storage.update(key, (current) => {
      if (current === undefined) return undefined;
      const spawn = {
        type: "spawn",
        id: `s${peer}`,
        timestamp: current.created,
        child,
        run: `r${peer}`,
        mode: "start",
      };
      const subagents = [{ key: asKey(child as string), run: `r${peer}`, mode: "start" as const }];
      return { record: { ...current, subagents }, append: [spawn as never] };
    });
  }
  storage.isFaulty = true;
  const { manager } = stage({ "agent:main:telegram": () => "answered" }, { storage });
  await using _ = manager;
  expect(await manager.handle(builders().dm("1", "hello"))).toMatchObject({ text: "answered" });
  await expect(manager.recover()).rejects.toMatchObject({
    code: "RECOVERY",
    recovered: [],
    failures: [{ error: expect.objectContaining({ message: "EIO" }) }],
  });
  expect(await manager.subagents("agent:main:telegram:dm:2")).toMatchObject([{ status: "orphaned" }]);
});
