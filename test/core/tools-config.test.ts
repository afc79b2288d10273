import { describe, expect, test } from "vitest";
import { InvalidConfigError, parseConfig } from "../../src/core.js";

describe("a setting that would do nothing is refused, and told where it belongs", () => {
  const forAll = (tools: object) => ({ tools });
  const forOne = (tools: object) => ({ agents: { list: [{ id: "a", tools }] } });
  const subagentsOfOne = (subagents: object) => ({ agents: { list: [{ id: "a", subagents }] } });
  const refusal = (config: object): Error => {
    try {
      parseConfig(config);
    } catch (error) {
      return error as Error;
    }
    throw new Error(`${JSON.stringify(config)} is taken.`);
  };

  test.each<[object, string]>([
    [{ session: { agentToAgent: { enabled: true } } }, "tools.agentToAgent.enabled"],
    [{ session: { agentToAgent: { allow: ["*"] } } }, "tools.agentToAgent.allow"],
    [forAll({ agentToAgent: { maxPingPongTurns: 2 } }), "session.agentToAgent.maxPingPongTurns"],
    [forAll({ visibility: "all" }), "tools.sessions.visibility"],
    [forOne({ visibility: "all" }), "agents.list[].tools.sessions.visibility"],
    [forOne({ agentToAgent: { enabled: true } }), "tools.agentToAgent, for all agents"],
    [forOne({ sessions: { maxHops: 2 } }), "tools.sessions.maxHops, for all agents"],
    [forOne({ sessions: { maxSendsPerMinute: 2 } }), "tools.sessions.maxSendsPerMinute, for all agents"],
    [{ agents: { defaults: { tools: { deny: ["sessions_send"] } } } }, "tools, for all agents, or agents.list[].tools"],
    [subagentsOfOne({ maxSpawnDepth: 2 }), "agents.defaults.subagents.maxSpawnDepth, for all agents"],
    [subagentsOfOne({ maxChildrenPerAgent: 2 }), "agents.defaults.subagents.maxChildrenPerAgent, for all agents"],
    [subagentsOfOne({ maxConcurrent: 2 }), "agents.defaults.subagents.maxConcurrent, for all agents"],
    [subagentsOfOne({ runTimeoutSeconds: 2 }), "agents.defaults.subagents.runTimeoutSeconds, for all agents"],
  ])("%j: it is %s", (config, place) => {
    const error = refusal(config);
    expect(error).toBeInstanceOf(InvalidConfigError);
    expect(error.message).toContain(`does nothing here; the setting is ${place}.`);
  });

  test.each([
    ["session_send", "sessions_send"],
    ["sessions_lists", "sessions_list"],
    ["sessions_status", "session_status"],
    ["session_history", "sessions_history"],
    ["sesions_spawn", "sessions_spawn"],
    ["sessions_end", "sessions_send"],
    ["session-send", "sessions_send"],
    ["sessionsspawn", "sessions_spawn"],
    ["session_lists", "sessions_list"],
    ["group:session", "group:sessions"],
    ["group:Sessions", "group:sessions"],
  ])("to deny %s denies no tool: it is %s", (name, meant) => {
    for (const config of [forAll({ deny: [name] }), forOne({ deny: [name] })]) {
      const error = refusal(config);
      expect(error).toBeInstanceOf(InvalidConfigError);
      expect(error.message).toContain(`"${name}" is no tool; did you mean "${meant}"?`);
    }
  });

  test.each(["sessions-*", "sessions.*", "Sessions_*", "sessions_sen?*", "session *", "sessions_send,sessions_spawn"])(
    "to deny %s denies no tool, and is refused",
    (name) => {
      const error = refusal(forAll({ deny: [name] }));
      expect(error).toBeInstanceOf(InvalidConfigError);
      expect(error.message).toContain(JSON.stringify(name).slice(1, -1));
    },
  );

  test.each([
    ["ours by their names", ["sessions_send", "sessions_spawn", "session_status"]],
    ["others' by theirs", ["bash", "browser", "send_mail"]],
    ["others' whose names begin as ours", ["sessions_yield", "sessions_search", "session_notes"]],
    ["a pattern that is nearly a name", ["sessions_list*", "*sessions_send", "session_statu*", "session*_send"]],
    ["what a pattern or a group names", ["*", "sessions_*", "session*", "*_send", "group:sessions", "group:fs"]],
  ])("to deny %s is taken", (_what, deny) => {
    expect(parseConfig(forAll({ deny })).tools.deny).toEqual(deny);
    expect(parseConfig(forOne({ deny })).agents.list[0]?.tools?.deny).toEqual(deny);
  });
});
