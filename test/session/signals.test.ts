import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { MemoryStorage, SessionManager, sessionTools } from "../../src/index.js";
import { builders } from "../../src/testing.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

const OPEN = { tools: { sessions: { visibility: "agent" as const } } };

/** A model that never answers, while memory is collected again and again. */
async function whileCollecting<T>(work: Promise<T>): Promise<T> {
  let isOver = false;
  void Promise.allSettled([work]).then(() => {
    isOver = true;
  });
  while (!isOver) {
    collect();
    await new Promise(setImmediate);
  }
  return work;
}

test("a host's time limit holds also when memory is collected meanwhile", async () => {
  const provider = { generate: () => new Promise<never>(() => {}) };
  await using manager = new SessionManager({ storage: new MemoryStorage(), provider });
  const turn = manager.handle(builders().dm("1", "hi"), { signal: AbortSignal.timeout(50) });
  expect(await whileCollecting(turn)).toMatchObject({ status: "aborted" });
});

test("the time limits of tools do as well", async () => {
  const provider = { generate: () => new Promise<never>(() => {}) };
  await using manager = new SessionManager({ storage: new MemoryStorage(), provider, config: OPEN });
  const tools = sessionTools(manager, "agent:main:telegram:dm:1");
  const use = async (name: string, input: object) =>
    whileCollecting(tools.find((tool) => tool.name === name)?.execute(input) ?? Promise.reject(new Error(name)));
  expect(await use("sessions_send", { sessionKey: "main", message: "hi", timeoutSeconds: 0.05 })).toMatchObject({
    status: "timeout",
  });
  expect(await use("sessions_spawn", { task: "wait", timeoutSeconds: 0.05 })).toMatchObject({ status: "timed_out" });
});

test("that of a compaction does, too", async () => {
  const provider = {
    generate: ({ purpose }: { purpose: string }) =>
      purpose === "reply" ? Promise.resolve("word ".repeat(2000)) : new Promise<never>(() => {}),
  };
  const compaction = { timeoutSeconds: 0.05, keepRecentTokens: 100, memoryFlush: { enabled: false } };
  await using manager = new SessionManager({
    storage: new MemoryStorage(),
    provider,
    config: { agents: { defaults: { compaction } } },
  });
  const { dm } = builders();
  for (const text of ["one", "two", "three"]) await manager.handle(dm("1", text));
  const session = await manager.open(manager.resolve({ channel: "telegram", chatType: "dm", peerId: "1" }));
  expect(await whileCollecting(session.compact())).toMatchObject({ status: "failed", reason: "provider-failed" });
});
