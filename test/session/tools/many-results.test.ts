import { expect, test } from "vitest";
import { MemoryStorage } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { deferred } from "../store-dir.js";
import { calls, lastText, OPEN, stage, tool } from "./cast.js";
import { quiet, toldOf } from "./family.js";

const ANN = "agent:main:telegram:dm:ann";
const CHILD = "agent:main:subagent:";

const SPAWNED = 300;
const AT_ONCE = 50;

/** A storage that notes how much of a record what waits takes at most. */
class Measuring extends MemoryStorage {
  waiting = 0;
  bytes = 0;

  override async update(...args: Parameters<MemoryStorage["update"]>) {
    const record = await super.update(...args);
    if (record?.key !== ANN) return record;
    this.waiting = Math.max(this.waiting, record.waiting.length);
    this.bytes = Math.max(this.bytes, JSON.stringify(record.waiting).length);
    return record;
  }
}

test.each([
  [100, 32],
  [8, 4],
])(
  "G20 the results of 300 sub-agents that end within one turn are each told once, and with a line of %i no more than %i of them wait",
  async (cap, most) => {
    const storage = new Measuring();
    let ended = 0;
    let onBatch = deferred();
    const half = deferred();
    const { manager } = stage(
      {
        [ANN]: async (request, results) => {
          if (results.length === 0 && lastText(request) !== "go") return "noted";
          if (results.length > 0) await onBatch.promise;
          if (results.length === SPAWNED / 2) half.resolve();
          if (results.length === SPAWNED) return "all are at work";
          onBatch = deferred();
          const input = { task: "work", mode: "start" };
          return { toolCalls: Array.from({ length: AT_ONCE }, () => ({ toolName: "sessions_spawn", input })) };
        },
        [CHILD]: () => "RESULT",
      },
      {
        storage,
        config: {
          messages: { queue: { cap } },
          agents: { defaults: { subagents: { maxChildrenPerAgent: 100, maxConcurrent: 8 } } },
        },
      },
    );
    await using _ = manager;
    manager.on("subagent.ended", () => {
      ended += 1;
      if (ended % AT_ONCE === 0) onBatch.resolve();
    });
    const { dm } = builders();
    const turn = manager.handle(dm("ann", "go"));
    await half.promise;
    const between = manager.handle(dm("ann", "are you there?"));
    expect(await turn).toMatchObject({ status: "replied", text: "all are at work" });
    expect(await between).toMatchObject({ status: "replied", text: "noted" });
    await quiet(manager);
    const told = await toldOf(manager, ANN);
    expect(told).toHaveLength(SPAWNED);
    expect(new Set(told.map(({ provenance }) => provenance?.from)).size).toBe(SPAWNED);
    expect(told.every(({ content }) => content === "RESULT")).toBe(true);
    expect(storage.waiting).toBe(most);
    expect(storage.bytes).toBeLessThan(2_000);
  },
);

test("G20 a line full of other sessions' messages leaves a result its place: it is answered by a turn of its own, which goes where the spawning turn's answer goes", async () => {
  const delivered: { route: unknown; text: string }[] = [];
  const [spawned, found, answer] = [deferred(), deferred<string>(), deferred<string>()];
  const { manager, provider } = stage(
    {
      [ANN]: (request, results) => {
        const text = lastText(request);
        if (text.startsWith("[Sub-agent")) return "It has found it.";
        if (results.length === 0)
          return text === "go" ? calls("sessions_spawn", { task: "T", mode: "start" }) : "noted";
        spawned.resolve();
        return answer.promise;
      },
      [CHILD]: () => found.promise,
    },
    {
      storage: new MemoryStorage(),
      config: { ...OPEN, messages: { queue: { cap: 4 } } },
      channels: { telegram: { deliver: async ({ route, text }) => void delivered.push({ route, text }) } },
    },
  );
  await using _ = manager;
  const { dm } = builders();
  await manager.handle(dm("ann", "hi", { route: "before" }));
  const turn = manager.handle(dm("ann", "go", { route: "of the spawn" }));
  await spawned.promise;
  const send = () =>
    tool(manager, "agent:main:main", "sessions_send").execute({ sessionKey: ANN, message: "spam", timeoutSeconds: 0 });
  for (let sent = 0; sent < 2; sent += 1) expect(await send()).toMatchObject({ status: "accepted" });
  expect(await send()).toHaveProperty("error");
  const ended = new Promise((resolve) => manager.on("subagent.ended", resolve));
  found.resolve("FOUND");
  await ended;
  expect((await manager.get(ANN))?.waiting).toHaveLength(3);
  answer.resolve("I have asked for it.");
  await turn;
  await quiet(manager);
  expect(await toldOf(manager, ANN)).toMatchObject([{ content: "FOUND" }]);
  const own = provider.requests.filter((request) => lastText(request).startsWith("[Sub-agent"));
  expect(own.map(lastText)).toEqual([expect.stringContaining("> FOUND")]);
  expect(delivered.filter(({ route }) => route !== "before")).toEqual([
    { route: "of the spawn", text: "I have asked for it." },
    { route: "of the spawn", text: "It has found it." },
  ]);
});
