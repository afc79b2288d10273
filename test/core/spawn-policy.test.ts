import { expect, test } from "vitest";
import { runTimeLimit } from "../../src/core/spawn-policy.js";
import { denialOf, mayBegin } from "../../src/core/tool-policy.js";
import { canSpawn, parseConfig, type SessionKey, type SessionsConfigInput, type SpawnWish } from "../../src/core.js";

const DM = "agent:main:telegram:dm:1" as SessionKey;
const child = (agentId: string) => `agent:${agentId}:subagent:1` as SessionKey;

function reasonFor(config: SessionsConfigInput, wish: Partial<SpawnWish> = {}): string {
  const verdict = canSpawn(parseConfig(config), {
    parent: { key: DM, ancestors: [] },
    child: child("main"),
    live: 0,
    ...wish,
  });
  return verdict.allowed ? "allowed" : `${verdict.reason} | ${verdict.setting}`;
}

test("a session may spawn of its own agent, one deep, five at once, by default", () => {
  expect(reasonFor({})).toBe("allowed");
  expect(reasonFor({}, { live: 4 })).toBe("allowed");
  expect(reasonFor({}, { live: 5 })).toContain("maxChildrenPerAgent is 5");
  expect(reasonFor({}, { parent: { key: child("main"), ancestors: [DM] } })).toContain("maxSpawnDepth is 1");
  expect(reasonFor({}, { child: child("coder") })).toContain("agentId may be main here");
});

test("G20 depth is counted by what is stored, not by the key", () => {
  const deep = { agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } };
  const parent = { key: child("main"), ancestors: [DM] };
  expect(reasonFor(deep, { parent })).toBe("allowed");
  expect(reasonFor(deep, { parent: { ...parent, ancestors: [child("x"), DM] } })).toContain("maxSpawnDepth is 2");
  // A main session that was spawned, however that came about, is as deep as it is stored.
  expect(reasonFor({}, { parent: { key: DM, ancestors: [DM] } })).toContain("maxSpawnDepth");
});

test.each<[SessionsConfigInput["agents"], string, boolean]>([
  [{ defaults: { subagents: { allowAgents: ["coder"] } } }, "coder", true],
  [{ defaults: { subagents: { allowAgents: ["c*"] } }, list: [{ id: "main" }, { id: "coder" }] }, "coder", true],
  [{ defaults: { subagents: { allowAgents: ["*"] } }, list: [{ id: "main" }, { id: "coder" }] }, "nobody", false],
  // Without a list there is nothing a pattern could stand for.
  [{ defaults: { subagents: { allowAgents: ["*"] } } }, "coder", false],
  [
    {
      defaults: { subagents: { allowAgents: ["coder"] } },
      list: [{ id: "main", subagents: { allowAgents: [] } }, { id: "coder" }],
    },
    "coder",
    false,
  ],
  [{ list: [{ id: "main", subagents: { allowAgents: ["coder"] } }, { id: "coder" }] }, "coder", true],
  [{ list: [{ id: "main" }, { id: "coder", subagents: { allowAgents: ["main"] } }] }, "coder", false],
])("with agents %j, %s may be spawned: %s", (agents, agentId, allowed) => {
  expect(reasonFor({ agents: agents ?? {} }, { child: child(agentId) }) === "allowed").toBe(allowed);
});

test("nothing outside a sandbox is spawned from inside one, at any depth", () => {
  const agents = (mode: "off" | "non-main" | "all", free: "off" | "all" = "off"): SessionsConfigInput => ({
    agents: {
      defaults: { sandbox: { mode }, subagents: { allowAgents: ["free"], maxSpawnDepth: 2 } },
      list: [{ id: "main" }, { id: "free", sandbox: { mode: free } }],
    },
  });
  const wish = { child: child("free") };
  expect(reasonFor(agents("off"), wish)).toBe("allowed");
  expect(reasonFor(agents("all"), wish)).toContain("sandbox");
  expect(reasonFor(agents("all", "all"), wish)).toBe("allowed");
  expect(reasonFor(agents("non-main"), wish)).toContain("sandbox");
  const main = { key: "agent:main:main" as SessionKey, ancestors: [] };
  expect(reasonFor(agents("non-main"), { ...wish, parent: main })).toBe("allowed");
  const freed = { key: child("free"), ancestors: [DM] };
  expect(reasonFor(agents("all"), { ...wish, parent: freed })).toContain("sandbox");
});

test("what one above it is denied, a sub-agent is denied too, and nobody else", () => {
  const config = parseConfig({
    tools: { deny: ["sessions_list"] },
    agents: { list: [{ id: "main", tools: { deny: ["sessions_send"] } }, { id: "coder" }] },
  });
  const below = [child("coder"), DM];
  expect(denialOf(config, "sessions_list", [child("coder")])).toContain("tools.deny");
  expect(denialOf(config, "sessions_send", below)).toContain("agents.list (main)");
  expect(denialOf(config, "sessions_send", [child("coder")])).toBeUndefined();
  expect(denialOf(config, "sessions_spawn", below)).toBeUndefined();
});

test.each<[string, boolean]>([
  ["agent:main:home", true],
  ["agent:main:telegram:dm:1", true],
  ["agent:main:main", false],
  ["agent:main:telegram:group:1", false],
  ["agent:main:subagent:1", false],
  ["agent:nobody:home", false],
])("a message of another session may begin %s: %s", (key, may) => {
  const config = parseConfig({ session: { mainKey: "home" }, agents: { list: [{ id: "main" }] } });
  expect(mayBegin(config, key as SessionKey)).toBe(may);
});

test.each([
  [undefined, 0, 0],
  [undefined, 60, 60],
  [0, 60, 60],
  [0, 0, 0],
  [10, 60, 10],
  [10, 0, 10],
  [60.5, 60, 60],
])("who asks for %s seconds where %s are allowed is given %s", (wish, allowed, given) => {
  expect(runTimeLimit(wish, allowed)).toBe(given);
});
