import { describe, expect, test } from "vitest";
import type { JsonObject, Logger, SessionsConfigInput } from "../../../src/index.js";
import { all } from "../store-dir.js";
import { stage, tool } from "./cast.js";
import { populated, wordsOf } from "./populate.js";

const PARENT = "agent:main:telegram:dm:1";
const ASKER = "agent:main:subagent:asker";
const CHILD = "agent:main:subagent:child";

// Who is who, as seen by the asker. `unknown` ones are well-formed and not there.
const RELATIONS: Record<string, string> = {
  itself: ASKER,
  child: CHILD,
  grandchild: "agent:main:subagent:grandchild",
  "child of agent coder": "agent:coder:subagent:mine",
  "its child, of main": "agent:main:subagent:through-coder",
  parent: PARENT,
  sibling: "agent:main:subagent:sibling",
  "sibling of coder": "agent:coder:subagent:sibling",
  "other person": "agent:main:telegram:dm:2",
  room: "agent:main:telegram:group:-100",
  "main session": "agent:main:main",
  coder: "agent:coder:telegram:dm:1",
  "coder's main": "agent:coder:main",
  "another's coder child": "agent:coder:subagent:theirs",
  "unknown room": "agent:main:telegram:group:404",
  "unknown sub-agent": "agent:main:subagent:404",
  "unknown person": "agent:main:telegram:dm:404",
  "unknown of coder": "agent:coder:telegram:dm:404",
  malformed: "agent:main:telegram",
};

const LINEAGE: Record<string, string[]> = {
  [ASKER]: [PARENT],
  [CHILD]: [ASKER, PARENT],
  "agent:main:subagent:grandchild": [CHILD, ASKER, PARENT],
  "agent:coder:subagent:mine": [ASKER, PARENT],
  "agent:main:subagent:through-coder": ["agent:coder:subagent:mine", ASKER, PARENT],
  "agent:main:subagent:sibling": [PARENT],
  "agent:coder:subagent:sibling": [PARENT],
  "agent:coder:subagent:theirs": ["agent:main:telegram:dm:2"],
};

// By hand. S: session_status, L: sessions_list, H: sessions_history, W: sessions_send. agentToAgent is off, or on and allows main
// alone (main), coder alone (code), or both. Nobody sends to itself. A person nobody knows yet may be written to.
const TABLE = `
                       self                 tree                 agent                all
                       off  main code both  off  main code both  off  main code both  off  main code both
itself                 SLH. SLH. SLH. SLH.  SLH. SLH. SLH. SLH.  SLH. SLH. SLH. SLH.  SLH. SLH. SLH. SLH.
child                  .... .... .... ....  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW
grandchild             .... .... .... ....  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW
child of agent coder   .... .... .... ....  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW
its child, of main     .... .... .... ....  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW
parent                 .... .... .... ....  .... .... .... ....  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW
sibling                .... .... .... ....  .... .... .... ....  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW
sibling of coder       .... .... .... ....  .... .... .... ....  .... .... .... ....  .... .... .... SLHW
other person           .... .... .... ....  .... .... .... ....  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW
room                   .... .... .... ....  .... .... .... ....  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW
main session           .... .... .... ....  .... .... .... ....  SLHW SLHW SLHW SLHW  SLHW SLHW SLHW SLHW
coder                  .... .... .... ....  .... .... .... ....  .... .... .... ....  .... .... .... SLHW
coder's main           .... .... .... ....  .... .... .... ....  .... .... .... ....  .... .... .... SLHW
another's coder child  .... .... .... ....  .... .... .... ....  .... .... .... ....  .... .... .... SLHW
unknown room           .... .... .... ....  .... .... .... ....  .... .... .... ....  .... .... .... ....
unknown sub-agent      .... .... .... ....  .... .... .... ....  .... .... .... ....  .... .... .... ....
unknown person         .... .... .... ....  .... .... .... ....  ...W ...W ...W ...W  ...W ...W ...W ...W
unknown of coder       .... .... .... ....  .... .... .... ....  .... .... .... ....  .... .... .... ...W
malformed              .... .... .... ....  .... .... .... ....  .... .... .... ....  .... .... .... ....
`;

// What the operator is told of a denial: of one of the same agent, and of coder's.
const REASONS: Record<string, [own: string, other: string]> = {
  self: ['visibility is "self"', 'visibility is "self"'],
  tree: ['visibility is "tree"', 'visibility is "tree"'],
  agent: ["there is no such session", 'visibility is "agent"'],
  "all off": ["there is no such session", "tools.agentToAgent.enabled"],
  "all main": ["there is no such session", 'tools.agentToAgent.allow does not name "coder"'],
  "all code": ["there is no such session", 'tools.agentToAgent.allow does not name "main"'],
  "all both": ["there is no such session", "there is no such session"],
};

const BETWEEN = {
  off: { enabled: false, allow: ["main", "coder"] },
  main: { enabled: true, allow: ["main"] },
  code: { enabled: true, allow: ["coder"] },
  both: { enabled: true, allow: ["main", "coder"] },
} as const;
const WIDTHS = ["self", "tree", "agent", "all"] as const;
const COLUMNS = WIDTHS.flatMap((visibility) =>
  (["off", "main", "code", "both"] as const).map((between) => ({ visibility, between })),
);

/** Which relations a letter stands at in a column. */
function expected(column: number, letter: string): string[] {
  const rows = TABLE.trim().split("\n").slice(2);
  return rows.flatMap((row) => {
    const cell = row.slice(23).split(/ +/)[column] ?? "";
    return cell.includes(letter) ? [row.slice(0, 23).trim()] : [];
  });
}

const TOOLS = [
  { letter: "S", name: "session_status", input: {} },
  { letter: "H", name: "sessions_history", input: {} },
  { letter: "W", name: "sessions_send", input: { message: "hello" } },
] as const;

const configOf = (visibility: (typeof WIDTHS)[number], between: keyof typeof BETWEEN): SessionsConfigInput => ({
  agents: { defaults: { subagents: { maxSpawnDepth: 4, allowAgents: ["coder"] } } },
  tools: { sessions: { visibility }, agentToAgent: { ...BETWEEN[between], allow: [...BETWEEN[between].allow] } },
});

const there = Object.entries(RELATIONS).filter(([name]) => !/unknown|malformed/.test(name));

/** The store of the table, who looks at it, and what the operator is told meanwhile. */
async function watched(config: SessionsConfigInput) {
  const storage = await populated(there.map(([, key]) => ({ key, ancestors: LINEAGE[key] ?? [] })));
  const warnings: object[] = [];
  const logger: Logger = {
    debug: () => {},
    info: () => {},
    error: () => {},
    warn: (facts) => void warnings.push(facts),
  };
  const { manager, provider } = stage({ "agent:": () => "done" }, { storage, config, logger });
  const events: { event: string; tool: string; target: string; reason?: string }[] = [];
  manager.on("access.allowed", ({ tool: name, target }) => events.push({ event: "allowed", tool: name, target }));
  manager.on("access.denied", ({ tool: name, target, reason }) =>
    events.push({ event: "denied", tool: name, target, reason }),
  );
  return { manager, provider, events, warnings };
}

const refused = (answer: JsonObject) => "error" in answer;

describe("G18 who reaches whom", () => {
  test("the table has a row for everyone", () => {
    const rows = TABLE.trim()
      .split("\n")
      .slice(2)
      .map((row) => row.slice(0, 23).trim());
    expect(rows).toEqual(Object.keys(RELATIONS));
    for (const row of TABLE.trim().split("\n").slice(2)) expect(row.slice(23).split(/ +/)).toHaveLength(16);
  });

  test.each(COLUMNS.map((column, at) => ({ ...column, at })))("$visibility, agentToAgent $between", async (column) => {
    const { visibility, between, at } = column;
    const { manager, events, warnings } = await watched(configOf(visibility, between));
    await using _ = manager;
    for (const { letter, name, input } of TOOLS) {
      const reached: string[] = [];
      const forbidden = new Set<string>();
      for (const [relation, key] of Object.entries(RELATIONS)) {
        events.length = 0;
        warnings.length = 0;
        const answer = await tool(manager, ASKER, name).execute({ sessionKey: key, ...input });
        const told = JSON.stringify(answer);
        if (!refused(answer)) {
          reached.push(relation);
          // Every access to another session is told, and only those.
          expect([relation, events]).toEqual([
            relation,
            key === ASKER ? [] : [{ event: "allowed", tool: name, target: key }],
          ]);
          continue;
        }
        expect(told).not.toMatch(/visibility|agentToAgent|"self"|"tree"|"agent"|"all"|setting|config|allow|enabled/);
        if (key === ASKER || relation === "malformed") continue;
        forbidden.add(told.replaceAll(key, "KEY"));
        const isCoder = key.startsWith("agent:coder:");
        const reason = (REASONS[visibility] ?? REASONS[`${visibility} ${between}`])?.[isCoder ? 1 : 0] ?? "";
        expect([relation, events]).toEqual([
          relation,
          [{ event: "denied", tool: name, target: key, reason: expect.stringContaining(reason) }],
        ]);
        expect(warnings).toEqual([
          { event: "access.denied", key: ASKER, tool: name, target: key, reason: expect.stringContaining(reason) },
        ]);
      }
      expect([name, reached]).toEqual([name, expected(at, letter)]);
      // What may not be seen and what is not there are answered in the same bytes, but for the key that was asked for.
      expect([name, forbidden.size]).toEqual([name, 1]);
    }
  });

  test("whatever else is asked for, a forbidden session answers like one that is not there", async () => {
    const { manager } = await watched(configOf("tree", "both"));
    await using _ = manager;
    const forbidden = expected(COLUMNS.length - 1, "S").filter((relation) => !expected(7, "S").includes(relation));
    expect(forbidden).toHaveLength(9);
    for (const [name, input] of [
      ["session_status", { runId: "run-1" }],
      ["sessions_history", { limit: 1, includeTools: true, before: "e0001" }],
      ["sessions_history", { limit: 200 }],
      ["sessions_send", { message: "x", timeoutSeconds: 0 }],
    ] as const) {
      const answers = new Set<string>();
      for (const relation of [
        ...forbidden,
        "unknown room",
        "unknown sub-agent",
        "unknown person",
        "unknown of coder",
      ]) {
        const key = RELATIONS[relation] ?? "";
        const answer = await tool(manager, ASKER, name).execute({ sessionKey: key, ...input });
        answers.add(JSON.stringify(answer).replaceAll(key, "KEY"));
      }
      expect([name, answers.size]).toEqual([name, 1]);
    }
  });

  test.each(COLUMNS.map((column, at) => ({ ...column, at })))(
    "sessions_list shows and counts them, and nobody else: $visibility, agentToAgent $between",
    async ({ visibility, between, at }) => {
      const { manager, events } = await watched(configOf(visibility, between));
      await using _ = manager;
      const keys = expected(at, "L").map((relation) => RELATIONS[relation] ?? "");
      const list = async (input: object) => tool(manager, ASKER, "sessions_list").execute(input);
      const whole = await list({ messageLimit: 20 });
      const sessions = whole.sessions as { key: string }[];
      expect(sessions.map(({ key }) => key).sort()).toEqual([...keys].sort());
      expect(whole.count).toBe(keys.length);
      expect("more" in whole).toBe(false);
      const said = JSON.stringify(whole);
      for (const [, key] of there) expect([key, said.includes(wordsOf(key))]).toEqual([key, keys.includes(key)]);
      expect(events.map(({ event, target }) => [event, target]).sort()).toEqual(
        keys
          .filter((key) => key !== ASKER)
          .map((key) => ["allowed", key])
          .sort(),
      );
      for (let limit = 1; limit <= keys.length + 1; limit += 1) {
        const { count, more = false, sessions: some } = await list({ limit });
        const shown = Math.min(limit, keys.length);
        expect([limit, count, (some as unknown[]).length, more]).toEqual([limit, shown, shown, limit < keys.length]);
      }
      for (const kind of ["main", "dm", "group", "subagent"]) {
        const { sessions: some } = await list({ kinds: [kind] });
        for (const { key } of some as { key: string }[]) expect(keys).toContain(key);
      }
    },
  );

  test.each(COLUMNS.map((column, at) => ({ ...column, at })))(
    "the sub-agents in a status are only those within reach: $visibility, agentToAgent $between",
    async ({ visibility, between, at }) => {
      const inhabitants = there.map(([, key]) => ({
        key,
        ancestors: LINEAGE[key] ?? [],
        live: there.map(([, other]) => other).filter((other) => LINEAGE[other]?.[0] === key),
      }));
      const storage = await populated(inhabitants);
      const { manager } = stage({}, { storage, config: configOf(visibility, between) });
      await using _ = manager;
      const reachable = expected(at, "S").map((relation) => RELATIONS[relation] ?? "");
      for (const key of reachable) {
        const { subagents = [] } = await tool(manager, ASKER, "session_status").execute({ sessionKey: key });
        const shown = (subagents as { key: string }[]).map((child) => child.key);
        const own = inhabitants.find((one) => one.key === key)?.live ?? [];
        expect([key, shown]).toEqual([key, own.filter((child) => reachable.includes(child))]);
      }
    },
  );

  test.each(COLUMNS)(
    "sessions_spawn depends on allowAgents alone, and does not tell a forbidden agent from none: $visibility, agentToAgent $between",
    async ({ visibility, between }) => {
      const config = configOf(visibility, between);
      const list = [{ id: "main", subagents: { allowAgents: ["coder"] } }, { id: "coder" }, { id: "secret" }];
      const { manager } = await watched({ ...config, agents: { ...config.agents, list } });
      await using _ = manager;
      const spawn = (agentId?: string) =>
        tool(manager, ASKER, "sessions_spawn").execute({ task: "x", ...(agentId === undefined ? {} : { agentId }) });
      expect(await spawn()).toMatchObject({ status: "completed" });
      const made = await spawn("coder");
      expect(made).toMatchObject({ status: "completed", childSessionKey: expect.stringMatching(/^agent:coder:/) });
      expect((await manager.get(String(made.childSessionKey)))?.ancestors).toEqual([ASKER, PARENT]);
      const before = (await all(manager.list())).length;
      const answers = await Promise.all([spawn("secret"), spawn("nobody")]);
      expect(answers[0]).toMatchObject({ status: "denied", error: expect.not.stringContaining("secret") });
      expect(JSON.stringify(answers[0])).toBe(JSON.stringify(answers[1]));
      expect(await all(manager.list())).toHaveLength(before);
    },
  );
});
