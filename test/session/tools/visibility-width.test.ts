import { describe, expect, test } from "vitest";
import {
  InvalidConfigError,
  type JsonObject,
  type Logger,
  MemoryStorage,
  SessionManager,
  type SessionsConfigInput,
} from "../../../src/index.js";
import { deferred, replaced } from "../store-dir.js";
import { calls, lastText, stage, tool } from "./cast.js";
import { populated } from "./populate.js";

const refused = (answer: JsonObject) => "error" in answer;

describe("G18 how wide a session sees", () => {
  const open = { enabled: true, allow: ["*"] };
  const MAIN = "agent:main:main";
  const DM = "agent:main:telegram:dm:1";
  const people = [MAIN, DM, "agent:main:telegram:dm:2", "agent:coder:main"].map((key) => ({ key }));
  const store = () =>
    populated([
      ...people,
      { key: "agent:main:subagent:of-main", ancestors: [MAIN] },
      { key: "agent:main:subagent:of-dm", ancestors: [DM] },
    ]);
  const seenBy = async (manager: SessionManager, key: string) => {
    const { sessions } = await tool(manager, key, "sessions_list").execute({});
    return (sessions as { key: string }[]).map((one) => one.key.replace("agent:", "")).sort();
  };
  const EVERYONE =
    "coder:main main:main main:subagent:of-dm main:subagent:of-main main:telegram:dm:1 main:telegram:dm:2";

  test.each<[mode: "off" | "non-main" | "all", sees: "spawned" | "all", from: string, seen: string]>([
    ["off", "spawned", MAIN, EVERYONE],
    ["off", "spawned", DM, EVERYONE],
    ["non-main", "spawned", MAIN, EVERYONE],
    ["non-main", "spawned", DM, "main:subagent:of-dm main:telegram:dm:1"],
    ["non-main", "all", DM, EVERYONE],
    ["all", "spawned", MAIN, "main:main main:subagent:of-main"],
    ["all", "spawned", DM, "main:subagent:of-dm main:telegram:dm:1"],
    ["all", "all", MAIN, EVERYONE],
  ])(
    "sandbox mode %s with sessionToolsVisibility %s, asked by %s",
    async (mode, sessionToolsVisibility, from, seen) => {
      const config: SessionsConfigInput = {
        agents: { defaults: { sandbox: { mode, sessionToolsVisibility } } },
        tools: { sessions: { visibility: "all" }, agentToAgent: open },
      };
      const { manager } = stage({}, { storage: await store(), config });
      await using _ = manager;
      expect((await seenBy(manager, from)).join(" ")).toBe(seen);
      const target = await tool(manager, from, "sessions_history").execute({ sessionKey: "agent:main:telegram:dm:2" });
      expect(refused(target)).toBe(!seen.includes("dm:2"));
    },
  );

  test("sandbox mode non-main leaves out the one main session there is, by session.mainKey", async () => {
    const config: SessionsConfigInput = {
      session: { mainKey: "home" },
      agents: { defaults: { sandbox: { mode: "non-main" } } },
      tools: { sessions: { visibility: "all" }, agentToAgent: open },
    };
    const storage = await populated([{ key: "agent:main:home" }, { key: MAIN }]);
    const { manager } = stage({}, { storage, config });
    await using _ = manager;
    expect(await seenBy(manager, "agent:main:home")).toEqual(["main:home", "main:main"]);
    expect(await seenBy(manager, MAIN)).toEqual(["main:main"]);
  });

  test("an agent's own setting goes before the one for all, wider or narrower", async () => {
    const config: SessionsConfigInput = {
      agents: { list: [{ id: "main", tools: { sessions: { visibility: "agent" } } }, { id: "coder" }] },
      tools: { sessions: { visibility: "self" }, agentToAgent: open },
    };
    const { manager } = stage({}, { storage: await store(), config });
    await using _ = manager;
    expect(await seenBy(manager, DM)).toHaveLength(5);
    expect(await seenBy(manager, "agent:coder:main")).toEqual(["coder:main"]);
  });

  test.each(["TREE", "none", "", null, ["all"], "__proto__"])("visibility %j throws at construction", (visibility) => {
    const config = { tools: { sessions: { visibility } } } as unknown as SessionsConfigInput;
    expect(() => new SessionManager({ dir: "unused", config })).toThrow(InvalidConfigError);
    const own = { agents: { list: [{ id: "main", tools: { sessions: { visibility } } }] } };
    expect(() => new SessionManager({ dir: "unused", config: own as unknown as SessionsConfigInput })).toThrow(
      InvalidConfigError,
    );
  });

  test.each<[name: string, main: object]>([
    ["tree by its setting", { tools: { sessions: { visibility: "tree" } } }],
    ["tree by its sandbox", { sandbox: { mode: "all" }, tools: { sessions: { visibility: "all" } } }],
  ])("a child of an agent that sees all sees no more than its parent, which has %s", async (_name, main) => {
    const seen: JsonObject[] = [];
    const targets = ["agent:main:telegram:dm:2", "agent:coder:main", "agent:main:subagent:of-main"];
    const asks = targets.flatMap((sessionKey) => [
      { toolName: "session_status", input: { sessionKey } },
      { toolName: "sessions_history", input: { sessionKey } },
      { toolName: "sessions_send", input: { sessionKey, message: "hi" } },
    ]);
    const config = {
      agents: {
        defaults: { subagents: { allowAgents: ["coder"], maxSpawnDepth: 2 } },
        list: [
          { id: "main", ...main },
          {
            id: "coder",
            sandbox: { mode: "all", sessionToolsVisibility: "all" },
            tools: { sessions: { visibility: "all" } },
          },
        ],
      },
      tools: { agentToAgent: open },
    } as SessionsConfigInput;
    const { manager } = stage(
      {
        "agent:coder:subagent:": (_request, results) => {
          if (results.length === 0) return calls("sessions_spawn", { task: "deeper", agentId: "coder" });
          if (results.length === 1) return { toolCalls: [{ toolName: "sessions_list" }, ...asks] };
          seen.push(...(results.slice(1) as JsonObject[]));
          return "seen";
        },
      },
      { storage: await store(), config },
    );
    await using _ = manager;
    await tool(manager, DM, "sessions_spawn").execute({ task: "look", agentId: "coder" });
    const parentSees = await seenBy(manager, DM);
    // Itself, the one it had, this one, and the one that this one has spawned.
    expect(parentSees).toHaveLength(4);
    const lists = seen.filter(({ sessions }) => sessions !== undefined);
    expect(lists).not.toHaveLength(0);
    for (const { sessions } of lists)
      for (const { key } of sessions as { key: string }[]) expect(parentSees).toContain(key.replace("agent:", ""));
    const others = seen.filter(({ sessions }) => sessions === undefined);
    expect(others.length).toBeGreaterThanOrEqual(asks.length);
    expect(others.filter((answer) => !refused(answer))).toEqual([]);
  });
});

describe("G18 the operator is told the setting that would have to change", () => {
  const reasonOf = async (config: SessionsConfigInput, from: string, sessionKey: string) => {
    const { manager } = stage({}, { storage: await populated([{ key: from }, { key: sessionKey }]), config });
    await using _ = manager;
    const reasons: string[] = [];
    manager.on("access.denied", ({ reason }) => reasons.push(reason));
    await tool(manager, from, "session_status").execute({ sessionKey });
    return reasons.join();
  };
  const [FROM, TO] = ["agent:main:telegram:dm:1", "agent:main:telegram:dm:2"] as const;

  test("where the sandbox clamps the view, not the visibility that is wide enough", async () => {
    const config: SessionsConfigInput = {
      agents: { defaults: { sandbox: { mode: "all" } } },
      tools: { sessions: { visibility: "all" } },
    };
    expect(await reasonOf(config, FROM, TO)).toContain("sandbox");
  });

  test("where the agent has its own setting, that one", async () => {
    const config: SessionsConfigInput = {
      agents: { list: [{ id: "main", tools: { sessions: { visibility: "self" } } }] },
      tools: { sessions: { visibility: "all" } },
    };
    expect(await reasonOf(config, FROM, TO)).toContain("agents.list");
  });

  test("where another agent may not be spawned, and the model is not told which there are", async () => {
    const warnings: object[] = [];
    const logger: Logger = { debug() {}, info() {}, error() {}, warn: (facts) => void warnings.push(facts) };
    const config: SessionsConfigInput = { agents: { list: [{ id: "main" }, { id: "coder" }] } };
    const { manager } = stage({}, { storage: await populated([{ key: FROM }]), config, logger });
    await using _ = manager;
    const spawned = await tool(manager, FROM, "sessions_spawn").execute({ task: "x", agentId: "coder" });
    expect(spawned).toMatchObject({ status: "denied", error: expect.not.stringContaining("coder") });
    expect(JSON.stringify(warnings)).toContain("allowAgents");
  });
});

describe("G18 lineage outlives what a sub-agent does", () => {
  const DM = "agent:main:telegram:dm:1";
  const STRANGER = "agent:main:telegram:dm:2";

  test("a reply that comes after a sub-agent was deleted does not make it anew, free of those that spawned it", async () => {
    const config: SessionsConfigInput = {
      session: { agentToAgent: { maxPingPongTurns: 1 } },
      agents: {
        defaults: { subagents: { allowAgents: ["coder"], maxSpawnDepth: 2 } },
        // The one that is spawned may see all by itself, and is held back by its parent alone.
        list: [{ id: "main" }, { id: "coder", tools: { sessions: { visibility: "all" } } }],
      },
      tools: { agentToAgent: { enabled: true, allow: ["*"] } },
    };
    const answer = deferred<string>();
    const seen: string[] = [];
    let inner = "";
    const { manager } = stage(
      {
        "agent:coder:subagent:": (request, results) => {
          const text = lastText(request);
          if (text.includes("inner task")) return "ready";
          if (text.includes("call me back")) return answer.promise;
          const [first] = results as { childSessionKey?: string; sessions?: { key: string }[] }[];
          if (text.includes("has answered your message")) {
            if (first === undefined) return calls("sessions_list", {});
            seen.push(...(first.sessions ?? []).map(({ key }) => key));
            return "so I see";
          }
          if (first === undefined) return calls("sessions_spawn", { task: "inner task" });
          inner = String(first.childSessionKey);
          if (results.length > 1) return "done";
          return calls("sessions_send", { sessionKey: inner, message: "call me back", timeoutSeconds: 0 });
        },
      },
      { storage: await populated([{ key: DM }, { key: STRANGER }]), config },
    );
    await using _ = manager;
    const task = { task: "outer task", agentId: "coder", cleanup: "delete" };
    const spawned = await tool(manager, DM, "sessions_spawn").execute(task);
    const child = String(spawned.childSessionKey);
    while ((await manager.get(child)) !== undefined) await new Promise(setImmediate);
    const answered = new Promise((resolve) => manager.on("turn.completed", resolve));
    answer.resolve("here I am");
    await answered;
    for (let i = 0; i < 200; i += 1) await new Promise(setImmediate);
    expect(seen).not.toContain(STRANGER);
    expect(await manager.get(child)).toBeUndefined();
  });

  test.each(["agent:main:subagent:gone", "agent:main:telegram:group:-100"])(
    "a message to %s, which is deleted in this moment, does not make it anew",
    async (target) => {
      const inner = await populated([{ key: DM }, { key: target, ancestors: [DM] }], new MemoryStorage());
      const storage = replaced(inner, {
        update: async (key, ...more) => {
          if (key === target) await inner.delete(key);
          return inner.update(key, ...more);
        },
      });
      const { manager, provider } = stage({ "agent:": () => "hm" }, { storage, config: {} });
      await using _ = manager;
      const send = tool(manager, DM, "sessions_send");
      await Promise.allSettled([send.execute({ sessionKey: target, message: "hi" })]);
      expect(await manager.get(target)).toBeUndefined();
      expect(provider.requests).toEqual([]);
    },
  );
});
