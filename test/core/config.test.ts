import { describe, expect, test } from "vitest";
import { agentModel, defaultAgentId } from "../../src/core/config.js";
import {
  agentCompaction,
  DEFAULT_COMPACTION,
  DM_SCOPES,
  InvalidConfigError,
  parseConfig,
  VISIBILITIES,
} from "../../src/core.js";
import { REAL } from "./real-config.js";

const DEFAULTS = {
  session: {
    dmScope: "per-channel-peer",
    mainKey: "main",
    identityLinks: {},
    threads: "separate",
    agentToAgent: { maxPingPongTurns: 0 },
  },
  agents: {
    defaults: {
      compaction: {
        enabled: true,
        strategy: "summarize",
        reserveTokens: 0,
        reserveTokensFloor: 20_000,
        keepRecentTokens: 20_000,
        minReduction: 0.1,
        timeoutSeconds: 300,
        memoryFlush: { enabled: true, softThresholdTokens: 4000, onFailure: "continue", onClear: false },
      },
      sandbox: { mode: "off", sessionToolsVisibility: "spawned" },
      subagents: {
        maxSpawnDepth: 1,
        maxChildrenPerAgent: 5,
        maxConcurrent: 8,
        allowAgents: [],
        runTimeoutSeconds: 0,
      },
    },
    list: [],
  },
  messages: { queue: { cap: 100 } },
  tools: {
    sessions: { visibility: "tree", maxHops: 5, maxSendsPerMinute: 30 },
    agentToAgent: { enabled: false, allow: [] },
    deny: [],
  },
};

test.each([undefined, null, {}, { session: {}, agents: {}, tools: {}, messages: {} }])(
  "%j has every default",
  (value) => {
    expect(parseConfig(value)).toEqual(DEFAULTS);
  },
);

describe("a real openclaw.json", () => {
  const config = parseConfig(REAL);

  test("gives what is ours", () => {
    expect(config.session).toMatchObject({
      dmScope: "per-peer",
      mainKey: "home",
      threads: "separate",
      agentToAgent: { maxPingPongTurns: 5 },
      identityLinks: REAL.session.identityLinks,
      sendPolicy: REAL.session.sendPolicy,
    });
    expect(config.agents.defaults.model).toBe("anthropic/claude-sonnet-4-5");
    expect(config.agents.defaults.compaction).toMatchObject({
      reserveTokensFloor: 24_000,
      memoryFlush: { enabled: false, softThresholdTokens: 6000 },
    });
    expect(config.messages.queue.cap).toBe(20);
    expect(config.tools.sessions.visibility).toBe("agent");
  });

  test("keeps every setting of somebody else as it stands", () => {
    const ours = { dmScope: "per-peer", threads: "separate" };
    expect(config).toEqual({
      ...REAL,
      session: { ...REAL.session, ...ours },
      agents: {
        ...REAL.agents,
        defaults: {
          ...REAL.agents.defaults,
          model: "anthropic/claude-sonnet-4-5",
          compaction: {
            ...DEFAULT_COMPACTION,
            ...REAL.agents.defaults.compaction,
            memoryFlush: { ...DEFAULT_COMPACTION.memoryFlush, ...REAL.agents.defaults.compaction.memoryFlush },
          },
          sandbox: DEFAULTS.agents.defaults.sandbox,
          subagents: DEFAULTS.agents.defaults.subagents,
        },
      },
      tools: { ...REAL.tools, sessions: { ...DEFAULTS.tools.sessions, ...REAL.tools.sessions } },
    });
  });

  test("is not changed by parsing", () => {
    const copy = structuredClone(REAL);
    parseConfig(REAL);
    expect(REAL).toEqual(copy);
  });

  test.each([{}, REAL])("parsing what was parsed changes nothing", (value) => {
    const once = parseConfig(value);
    expect(parseConfig(once)).toEqual(once);
    expect(parseConfig(JSON.parse(JSON.stringify(once)))).toEqual(once);
  });
});

describe("a misspelt setting is named, with what was meant", () => {
  test.each<[value: object, slip: string, meant: string]>([
    [{ session: { dmScop: "main" } }, "dmScop", "dmScope"],
    [{ session: { dmscope: "main" } }, "dmscope", "dmScope"],
    [{ session: { dmScoep: "main" } }, "dmScoep", "dmScope"],
    [{ session: { DmScope: "main" } }, "DmScope", "dmScope"],
    [{ session: { dm_scope: "main" } }, "dm_scope", "dmScope"],
    [{ session: { identityLink: {} } }, "identityLink", "identityLinks"],
    [{ session: { mainkey: "x" } }, "mainkey", "mainKey"],
    [{ session: { thread: "shared" } }, "thread", "threads"],
    [{ session: { sendpolicy: {} } }, "sendpolicy", "sendPolicy"],
    [{ sesion: {} }, "sesion", "session"],
    [{ sessions: {} }, "sessions", "session"],
    [{ Session: {} }, "Session", "session"],
    [{ tool: {} }, "tool", "tools"],
    [{ message: {} }, "message", "messages"],
    [{ agents: { default: {} } }, "default", "defaults"],
    [{ agents: { defaults: { modle: "x" } } }, "modle", "model"],
    [{ agents: { defaults: { compactoin: {} } } }, "compactoin", "compaction"],
    [{ agents: { defaults: { compaction: { reserveTokenFloor: 1 } } } }, "reserveTokenFloor", "reserveTokensFloor"],
    [{ agents: { defaults: { compaction: { memoryflush: {} } } } }, "memoryflush", "memoryFlush"],
    [{ agents: { defaults: { compaction: { memoryFlush: { enable: true } } } } }, "enable", "enabled"],
    [
      { agents: { defaults: { compaction: { memoryFlush: { softTresholdTokens: 1 } } } } },
      "softTresholdTokens",
      "softThresholdTokens",
    ],
    [{ agents: { list: [{ id: "a", Model: "x" }] } }, "Model", "model"],
    [{ tools: { session: {} } }, "session", "sessions"],
    [{ tools: { sessions: { visibilty: "all" } } }, "visibilty", "visibility"],
    [{ messages: { queu: {} } }, "queu", "queue"],
    [{ messages: { queue: { Cap: 1 } } }, "Cap", "cap"],
    [{ messages: { queue: { cpa: 1 } } }, "cpa", "cap"],
    [{ agents: { lsit: [] } }, "lsit", "list"],
    [{ session: { idntityLnks: {} } }, "idntityLnks", "identityLinks"],
    [{ session: { mainKeyyy: "x" } }, "mainKeyyy", "mainKey"],
    [{ session: { maimKay: "x" } }, "maimKay", "mainKey"],
  ])("%j", (value, slip, meant) => {
    const parse = () => parseConfig(value);
    expect(parse).toThrow(InvalidConfigError);
    expect(parse).toThrow(`"${slip}"`);
    expect(parse).toThrow(`did you mean "${meant}"?`);
  });

  test("the section it stands in is named too, and what could stand there", () => {
    expect(() => parseConfig({ tools: { sessions: { visibilty: "all" } } })).toThrow(
      'tools.sessions: "visibilty" is no setting of tools.sessions;',
    );
    expect(() => parseConfig({ sesion: {} })).toThrow(
      '"sesion" is no setting; did you mean "session"? Settings here: "session", "agents", "messages", "tools".',
    );
  });

  test("a name that is close to nothing of ours belongs to somebody else", () => {
    for (const name of ["store", "reset", "scope", "typingMode", "mode", "x", "__proto", "constructor", "toString"])
      expect(parseConfig({ session: { [name]: 1 } })).toMatchObject({ session: { [name]: 1 } });
    expect(parseConfig({ agents: { least: 1, list: [{ id: "a", ids: 1, is: 1 }] } })).toMatchObject({
      agents: { least: 1, list: [{ ids: 1, is: 1 }] },
    });
  });
});

describe("a value that is not allowed is named with its place and what is", () => {
  test.each(["per-chanel-peer", "Per-Peer", "", null, 5])("G2 session.dmScope: %j", (dmScope) => {
    const parse = () => parseConfig({ session: { dmScope } });
    expect(parse).toThrow(InvalidConfigError);
    expect(parse).toThrow("session.dmScope");
    for (const word of DM_SCOPES) expect(parse).toThrow(`"${word}"`);
  });

  test.each(["everyone", "Tree", ["self"]])("tools.sessions.visibility: %j", (visibility) => {
    const parse = () => parseConfig({ tools: { sessions: { visibility } } });
    expect(parse).toThrow("tools.sessions.visibility");
    for (const word of VISIBILITIES) expect(parse).toThrow(`"${word}"`);
  });

  test.each<[place: string, value: unknown]>([
    ["session.threads", { session: { threads: "separated" } }],
    ["session.mainKey", { session: { mainKey: "Main" } }],
    ["session.mainKey", { session: { mainKey: "a:b" } }],
    ["session.identityLinks.alice", { session: { identityLinks: { alice: "telegram:1" } } }],
    ["session.identityLinks.alice.1", { session: { identityLinks: { alice: ["telegram:1", 42] } } }],
    ["session.identityLinks.alice", { session: { identityLinks: { alice: null } } }],
    ["session.identityLinks", { session: { identityLinks: null } }],
    ["session.identityLinks", { session: { identityLinks: "telegram:1" } }],
    ["session.sendPolicy.default", { session: { sendPolicy: { default: "maybe" } } }],
    ["session.sendPolicy.rules.0.action", { session: { sendPolicy: { rules: [{ match: {} }] } } }],
    ["session.sendPolicy", { session: { sendPolicy: { rule: [] } } }],
    [
      "session.sendPolicy.rules.0.match",
      { session: { sendPolicy: { rules: [{ action: "deny", match: { chan: "x" } }] } } },
    ],
    [
      "session.sendPolicy.rules.0.match.chatType",
      { session: { sendPolicy: { rules: [{ action: "deny", match: { chatType: "room" } }] } } },
    ],
    ["session", { session: [] }],
    ["session", { session: null }],
    ["agents.list", { agents: { list: {} } }],
    ["agents.list.0.id", { agents: { list: [{}] } }],
    ["agents.list.0.id", { agents: { list: [{ id: "../x" }] } }],
    ["agents.list.1.id", { agents: { list: [{ id: "a" }, { id: "Home Bot" }] } }],
    ["agents.list.0.default", { agents: { list: [{ id: "a", default: "yes" }] } }],
    ["agents.list.0.model", { agents: { list: [{ id: "a", model: 5 }] } }],
    ["agents.defaults.model", { agents: { defaults: { model: "" } } }],
    ["agents.defaults.model", { agents: { defaults: { model: { primary: 5 } } } }],
    ["agents.defaults.model", { agents: { defaults: { model: "x".repeat(257) } } }],
    [
      "agents.defaults.compaction.reserveTokensFloor",
      { agents: { defaults: { compaction: { reserveTokensFloor: -1 } } } },
    ],
    [
      "agents.defaults.compaction.reserveTokensFloor",
      { agents: { defaults: { compaction: { reserveTokensFloor: 1.5 } } } },
    ],
    [
      "agents.defaults.compaction.memoryFlush.enabled",
      { agents: { defaults: { compaction: { memoryFlush: { enabled: "no" } } } } },
    ],
    ["messages.queue.cap", { messages: { queue: { cap: 0 } } }],
    ["messages.queue.cap", { messages: { queue: { cap: "20" } } }],
  ])("%s: %j", (place, value) => {
    const parse = () => parseConfig(value);
    expect(parse).toThrow(InvalidConfigError);
    expect(parse).toThrow(`${place}: `);
  });

  test.each([[], "session", 5, true])("%j is no config", (value) => {
    expect(() => parseConfig(value)).toThrow(InvalidConfigError);
  });

  test("several faults are named together", () => {
    const parse = () => parseConfig({ session: { dmScope: "x", threads: "y" }, messages: { queue: { cap: 0 } } });
    for (const place of ["session.dmScope", "session.threads", "messages.queue.cap"]) expect(parse).toThrow(place);
  });

  test("an agent listed twice is named", () => {
    expect(() => parseConfig({ agents: { list: [{ id: "a" }, { id: "b" }, { id: "a" }] } })).toThrow('"a" twice');
  });
});

describe("the model of an agent", () => {
  test.each<[model: unknown, name: string | undefined]>([
    ["gpt-4o", "gpt-4o"],
    [{ primary: "gpt-4o" }, "gpt-4o"],
    [{ primary: "gpt-4o", fallbacks: ["x"] }, "gpt-4o"],
    [{ fallbacks: ["x"] }, undefined],
    [undefined, undefined],
  ])("written as %j is %j", (model, name) => {
    expect(agentModel(parseConfig({ agents: { defaults: { model } } }), "main")).toBe(name);
    expect(agentModel(parseConfig({ agents: { list: [{ id: "main", model }] } }), "main")).toBe(name);
  });

  test("is its own, else that of the defaults", () => {
    const config = parseConfig({
      agents: { defaults: { model: "house" }, list: [{ id: "coder", model: "own" }, { id: "b" }] },
    });
    expect(["coder", "b", "unlisted"].map((id) => agentModel(config, id))).toEqual(["own", "house", "house"]);
  });
});

test.each<[list: object[], id: string]>([
  [[], "main"],
  [[{ id: "coder" }, { id: "main" }], "coder"],
  [[{ id: "a" }, { id: "b", default: true }, { id: "c", default: true }], "b"],
  [[{ id: "a", default: false }, { id: "b" }], "a"],
])("of the agents %j the default one is %s", (list, id) => {
  expect(defaultAgentId(parseConfig({ agents: { list } }))).toBe(id);
});

describe("compaction", () => {
  const withDefaults = (compaction: object, more: object = {}) =>
    parseConfig({ agents: { defaults: { compaction, ...more } } });

  test.each([
    ["reserveTokensFloor", -1],
    ["reserveTokensFloor", Number.NaN],
    ["reserveTokens", -1],
    ["keepRecentTokens", -1],
    ["keepRecentTokens", 0.5],
    ["keepRecentTokens", "20000"],
    ["minReduction", 0],
    ["minReduction", 1],
    ["minReduction", Number.NaN],
    ["timeoutSeconds", 0],
    ["timeoutSeconds", Number.POSITIVE_INFINITY],
    ["strategy", "summarise"],
    ["enabled", "yes"],
    ["model", ""],
    ["memoryFlush", { softThresholdTokens: -1 }],
    ["memoryFlush", { onFailure: "ignore" }],
    ["memoryFlush", { prompt: "  " }],
  ])("G6 %s: %j is refused, for all agents and for one", (name, value) => {
    const named = new RegExp(name);
    expect(() => withDefaults({ [name]: value })).toThrow(named);
    expect(() => parseConfig({ agents: { list: [{ id: "a", compaction: { [name]: value } }] } })).toThrow(named);
    expect(() => withDefaults({ [name]: value })).toThrow(InvalidConfigError);
  });

  test("G6 a reserve as large as the window is refused; the floor that nobody asked for is not", () => {
    const refused = /contextTokens/;
    expect(() => withDefaults({ reserveTokensFloor: 8000 }, { contextTokens: 8000 })).toThrow(refused);
    const list = [{ id: "a", contextTokens: 4096, compaction: { reserveTokensFloor: 5000 } }];
    expect(() => parseConfig({ agents: { list } })).toThrow(refused);
    expect(() => withDefaults({ reserveTokens: 8000 }, { contextTokens: 8000 })).toThrow(refused);
    expect(() =>
      parseConfig({
        agents: {
          defaults: { contextTokens: 8000 },
          list: [{ id: "a", compaction: { reserveTokensFloor: 9000 } }],
        },
      }),
    ).toThrow(/agents\.list \(a\).*contextTokens/);
    const small = withDefaults({}, { contextTokens: 8000 });
    expect(small.agents.defaults.compaction.reserveTokensFloor).toBe(20_000);
    expect(parseConfig(small)).toEqual(small);
  });

  test("what an agent sets of its own wins, setting by setting; undefined sets nothing", () => {
    const config = parseConfig({
      agents: {
        defaults: { compaction: { keepRecentTokens: 7, memoryFlush: { softThresholdTokens: 3 } } },
        list: [
          { id: "a", compaction: { strategy: "drop", memoryFlush: { enabled: false } } },
          { id: "b", compaction: { keepRecentTokens: undefined } } as never,
        ],
      },
    });
    const all = { ...DEFAULT_COMPACTION, keepRecentTokens: 7 };
    const memoryFlush = { ...all.memoryFlush, softThresholdTokens: 3 };
    expect(agentCompaction(config, "a")).toEqual({
      ...all,
      strategy: "drop",
      memoryFlush: { ...memoryFlush, enabled: false },
    });
    expect(agentCompaction(config, "b")).toEqual({ ...all, memoryFlush });
    expect(agentCompaction(config, "nobody")).toEqual({ ...all, memoryFlush });
  });

  test("a function of the host may make the summaries", () => {
    const strategy = () => "a summary";
    expect(withDefaults({ strategy }).agents.defaults.compaction.strategy).toBe(strategy);
  });
});
