import { expect, onTestFinished, test, vi } from "vitest";
import { MemoryStorage, type SubagentsConfig } from "../../../src/index.js";
import { deferred } from "../store-dir.js";
import { calls, lastText, OPEN, stage, tool } from "./cast.js";
import { pause } from "./troubled-storage.js";

const ANN = "agent:main:telegram:dm:ann";
const CHILD = "agent:main:subagent:";

const config = (subagents: Partial<SubagentsConfig>) => ({ ...OPEN, agents: { defaults: { subagents } } });
const never = () => new Promise<never>(() => {});

/** From here to the end of the test, time passes when the test says so. */
function holdTime(): void {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
}

test("G20 the time limit of a sub-agent is over with its task, and does not stop what it spawns later", async () => {
  const answer = deferred<string>();
  const { manager } = stage(
    {
      [CHILD]: (request, results) => {
        if (lastText(request).endsWith("INNER")) return answer.promise;
        const spawns = lastText(request).includes("spawn now") && results.length === 0;
        return spawns ? calls("sessions_spawn", { task: "INNER", mode: "start" }) : "ok";
      },
    },
    { storage: new MemoryStorage(), config: config({ maxSpawnDepth: 2 }) },
  );
  holdTime();
  const spawned = await tool(manager, ANN, "sessions_spawn").execute({ task: "OUTER", timeoutSeconds: 1 });
  expect(spawned).toMatchObject({ status: "completed" });
  const sessionKey = String(spawned.childSessionKey);
  await tool(manager, ANN, "sessions_send").execute({ sessionKey, message: "spawn now" });
  await vi.advanceTimersByTimeAsync(5000);
  expect(await manager.subagents(sessionKey)).toMatchObject([{ status: "running" }]);
  answer.resolve("done");
  await pause();
  expect(await manager.subagents(sessionKey)).toMatchObject([{ status: "completed" }]);
  await manager.close();
});

for (const timeoutSeconds of [0, 3600, undefined])
  test(`G20 timeoutSeconds ${timeoutSeconds} gives a sub-agent no more time than runTimeoutSeconds`, async () => {
    const running = deferred();
    const { manager } = stage(
      {
        [CHILD]: () => {
          running.resolve();
          return never();
        },
      },
      { storage: new MemoryStorage(), config: config({ runTimeoutSeconds: 10 }) },
    );
    holdTime();
    const wish = timeoutSeconds === undefined ? {} : { timeoutSeconds };
    const spawned = tool(manager, ANN, "sessions_spawn").execute({ task: "work", ...wish });
    await running.promise;
    await vi.advanceTimersByTimeAsync(9_999);
    expect(await manager.subagents(ANN)).toMatchObject([{ status: "running" }]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await spawned).toMatchObject({ status: "timed_out" });
    await manager.close();
  });

test("G20 who spawns may give a sub-agent less time than runTimeoutSeconds, to parts of a millisecond", async () => {
  const { manager } = stage({ [CHILD]: never }, { storage: new MemoryStorage(), config: config({ maxConcurrent: 1 }) });
  const spawn = tool(manager, ANN, "sessions_spawn");
  expect(await spawn.execute({ task: "work", timeoutSeconds: 0.0105 })).toMatchObject({ status: "timed_out" });
  // It has given its place back.
  expect(await spawn.execute({ task: "work", timeoutSeconds: 0.01 })).toMatchObject({ status: "timed_out" });
  await manager.close();
});

test("G19 a sender waits parts of a millisecond too, and the message is answered", async () => {
  const { manager, provider } = stage({ "agent:coder:": () => "hi" }, { storage: new MemoryStorage() });
  const send = tool(manager, ANN, "sessions_send");
  const sent = await send.execute({ sessionKey: "agent:coder:main", message: "hello", timeoutSeconds: 25.0105 });
  expect(sent).toMatchObject({ status: "ok", reply: "hi" });
  expect(provider.requests).toHaveLength(1);
  await manager.close();
});

test("G19 a sub-agent's send returns in its time, also while another sub-agent waits for its place", async () => {
  const answer = deferred<string>();
  const { manager } = stage(
    {
      [CHILD]: (request, results) => {
        if (lastText(request).endsWith("LONG")) return answer.promise;
        if (results.length > 0) return `It is told: ${(results[0] as { status: string }).status}.`;
        return calls("sessions_send", { sessionKey: "agent:coder:main", message: "q", timeoutSeconds: 0.01 });
      },
      "agent:coder:": never,
    },
    { storage: new MemoryStorage(), config: config({ maxConcurrent: 1 }) },
  );
  const spawn = tool(manager, ANN, "sessions_spawn");
  const asked = new Promise((resolve) => manager.on("turn.started", resolve));
  const sender = spawn.execute({ task: "SEND" });
  await asked;
  const other = spawn.execute({ task: "LONG" });
  expect(await sender).toMatchObject({ status: "completed", result: "It is told: timeout." });
  answer.resolve("long");
  expect(await other).toMatchObject({ status: "completed", result: "long" });
  await manager.close();
});
