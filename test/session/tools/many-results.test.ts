import { expect, test } from "vitest";
import { MemoryStorage } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { deferred } from "../store-dir.js";
import { lastText, stage } from "./cast.js";
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
