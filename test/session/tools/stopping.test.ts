import { expect, onTestFinished, test, vi } from "vitest";
import { JsonlStorage, MemoryStorage, type SessionManager, type SessionsConfigInput } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { tempDir } from "../store-dir.js";
import { calls, lastText, stage, tool } from "./cast.js";
import { quiet } from "./family.js";

const ANN = "agent:main:telegram:dm:ann";
const CHILD = "agent:main:subagent:";

const never = () => new Promise<never>(() => {});
const spawn = (manager: SessionManager, more: object = {}) =>
  tool(manager, ANN, "sessions_spawn").execute({ task: "work", mode: "start", ...more });
const statuses = async (manager: SessionManager) => (await manager.subagents(ANN)).map(({ status }) => status);

/** Resolves when so many turns have begun. */
function begun(manager: SessionManager, count: number): Promise<void> {
  let started = 0;
  return new Promise((resolve) => {
    manager.on("turn.started", () => {
      started += 1;
      if (started === count) resolve();
    });
  });
}

for (const [what, code] of [
  ["killed", "KILLED"],
  ["timed_out", "TIMED_OUT"],
] as const)
  test(`G20 who asks for the run of a sub-agent that has ended as ${what} is told ${code}`, async () => {
    const { manager } = stage({ [ANN]: () => "noted", [CHILD]: never }, { storage: new MemoryStorage() });
    await using _ = manager;
    const running = begun(manager, 1);
    const ended = new Promise((resolve) => manager.on("subagent.ended", ({ status }) => resolve(status)));
    const { childSessionKey, runId } = await spawn(manager, what === "timed_out" ? { timeoutSeconds: 0.05 } : {});
    const child = String(childSessionKey);
    if (what === "killed") {
      await running;
      await manager.killSubagent(child);
    }
    expect(await ended).toBe(what);
    await quiet(manager);
    expect(await manager.run(child, String(runId))).toEqual({ status: "error", code });
    const asked = await tool(manager, ANN, "session_status").execute({ sessionKey: child, runId });
    expect(asked).toMatchObject({ status: "error", code });
  });

test("G20 who has been answered /stop finds no sub-agent running, in this process or in another", async () => {
  const dir = tempDir();
  const { manager: other } = stage({ [CHILD]: never }, { storage: new JsonlStorage({ dir }) });
  await using _other = other;
  const elsewhere = begun(other, 1);
  await spawn(other);
  await elsewhere;
  const { manager } = stage({ [ANN]: () => "hi", [CHILD]: never }, { storage: new JsonlStorage({ dir }) });
  await using _ = manager;
  const here = begun(manager, 2);
  await spawn(manager);
  await spawn(manager);
  await here;
  expect(await statuses(manager)).toEqual(["running", "running", "running"]);
  expect(await manager.handle(builders().dm("ann", "/stop"))).toMatchObject({ status: "command" });
  expect(await statuses(manager)).toEqual(["killed", "killed", "killed"]);
});

/** Ann's sub-agent has spawned one, that has spawned one, and so on; the last works for ever. */
async function chain(depth: number) {
  const config: SessionsConfigInput = {
    agents: { defaults: { subagents: { maxSpawnDepth: 100, maxConcurrent: 1 } } },
    tools: { sessions: { maxHops: 100 } },
  };
  const { manager } = stage(
    {
      [CHILD]: (request) => {
        const below = Number(/\d+$/.exec(lastText(request))?.[0]);
        return below > 1 ? calls("sessions_spawn", { task: String(below - 1) }) : never();
      },
    },
    { storage: new MemoryStorage(), config },
  );
  onTestFinished(() => manager.close());
  const allRun = begun(manager, depth);
  const { childSessionKey } = await spawn(manager, { task: String(depth) });
  await allRun;
  return { manager, top: String(childSessionKey) };
}

test("G20 what it takes to stop a chain of sub-agents does not double with each of them", async () => {
  const depth = 14;
  const { manager, top } = await chain(depth);
  const aborts = vi.spyOn(AbortController.prototype, "abort");
  onTestFinished(() => aborts.mockRestore());
  expect(await manager.killSubagent(top)).toBe(true);
  const asked = aborts.mock.calls.length;
  await quiet(manager);
  // Each of them may stop all below it once more; one that did so for each that tells it to would ask 73,000 times.
  expect(asked).toBeLessThan(4 * depth * depth);
  expect(await statuses(manager)).toEqual(["killed"]);
});

test.each(["killSubagent", "/stop", "close"] as const)(
  "G20 a chain of forty sub-agents is stopped by %s",
  async (how) => {
    const { manager, top } = await chain(40);
    if (how === "killSubagent") expect(await manager.killSubagent(top)).toBe(true);
    else if (how === "/stop") await manager.handle(builders().dm("ann", "/stop"));
    else return manager.close();
    expect(await statuses(manager)).toEqual(["killed"]);
    await quiet(manager);
  },
  10_000,
);
