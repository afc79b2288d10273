import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { narrower } from "../../src/core/visibility.js";
import {
  canAccess,
  parseConfig,
  type SessionKey,
  type SessionRef,
  VISIBILITIES,
  visibilityOf,
} from "../../src/core.js";

const ref = (key: string, ...ancestors: string[]): SessionRef => ({
  key: key as SessionKey,
  ancestors: ancestors as SessionKey[],
});

const self = ref("agent:main:telegram:dm:1", "agent:main:telegram:dm:0");
const child = ref("agent:main:subagent:c", self.key, "agent:main:telegram:dm:0");
const targets = {
  self,
  child,
  grandchild: ref("agent:main:subagent:g", child.key, self.key, "agent:main:telegram:dm:0"),
  childOfOtherAgent: ref("agent:coder:subagent:x", self.key, "agent:main:telegram:dm:0"),
  parent: ref("agent:main:telegram:dm:0"),
  sibling: ref("agent:main:subagent:s", "agent:main:telegram:dm:0"),
  otherPerson: ref("agent:main:telegram:dm:2"),
  group: ref("agent:main:telegram:group:-100"),
  main: ref("agent:main:main"),
  otherAgent: ref("agent:coder:telegram:dm:1"),
};

// By hand: what each visibility opens, with and without the word that agents may reach into each other's sessions.
const OPEN: Record<string, (keyof typeof targets)[]> = {
  "self closed": ["self"],
  "self open": ["self"],
  "tree closed": ["self", "child", "grandchild", "childOfOtherAgent"],
  "tree open": ["self", "child", "grandchild", "childOfOtherAgent"],
  "agent closed": [
    "self",
    "child",
    "grandchild",
    "childOfOtherAgent",
    "parent",
    "sibling",
    "otherPerson",
    "group",
    "main",
  ],
  "agent open": [
    "self",
    "child",
    "grandchild",
    "childOfOtherAgent",
    "parent",
    "sibling",
    "otherPerson",
    "group",
    "main",
  ],
  "all closed": [
    "self",
    "child",
    "grandchild",
    "childOfOtherAgent",
    "parent",
    "sibling",
    "otherPerson",
    "group",
    "main",
  ],
  "all open": [
    "self",
    "child",
    "grandchild",
    "childOfOtherAgent",
    "parent",
    "sibling",
    "otherPerson",
    "group",
    "main",
    "otherAgent",
  ],
};

const OPEN_TO_BOTH = { enabled: true, allow: ["main", "coder"] };

describe("G18 who may see whom", () => {
  test.each(Object.entries(OPEN))("%s", (name, open) => {
    const [visibility, between] = name.split(" ") as [(typeof VISIBILITIES)[number], string];
    const agentToAgent = between === "open" ? OPEN_TO_BOTH : undefined;
    const seen = Object.entries(targets)
      .filter(([, target]) => canAccess(self, target, visibility, agentToAgent).allowed)
      .map(([relation]) => relation);
    expect(seen).toEqual(open);
  });

  test.each<[allow: string[], enabled: boolean, allowed: boolean]>([
    [["main", "coder"], true, true],
    [["main", "coder"], false, false],
    [["coder"], true, false],
    [["main"], true, false],
    [[], true, false],
    [["*"], true, true],
    [["ma*", "*er"], true, true],
    [["m*n", "c*d*r"], true, true],
    [["MAIN", "CODER"], true, false],
    [["main*main", "coder"], true, false],
    [["*x*", "coder"], true, false],
  ])("another agent's session, with allow %j and enabled %s: %s", (allow, enabled, allowed) => {
    expect(canAccess(self, targets.otherAgent, "all", { enabled, allow }).allowed).toBe(allowed);
    expect(canAccess(targets.otherAgent, self, "all", { enabled, allow }).allowed).toBe(allowed);
  });

  test("the reason names the setting that would have to change", () => {
    const reasonOf = (...args: Parameters<typeof canAccess>) => {
      const access = canAccess(...args);
      return access.allowed ? undefined : access.reason;
    };
    expect(reasonOf(self, child, "self")).toContain('tools.sessions.visibility is "self"');
    expect(reasonOf(self, targets.parent, "tree")).toContain('tools.sessions.visibility is "tree"');
    expect(reasonOf(self, targets.otherAgent, "agent")).toContain('tools.sessions.visibility is "agent"');
    expect(reasonOf(self, targets.otherAgent, "all")).toContain("tools.agentToAgent.enabled");
    expect(reasonOf(self, targets.otherAgent, "all", { enabled: true, allow: ["main"] })).toContain('"coder"');
  });

  const agents = fc.constantFrom("main", "coder", "ops");
  const anyRef = fc
    .record({
      agent: agents,
      peer: fc.constantFrom("1", "2", "main"),
      ancestors: fc.array(fc.tuple(agents, fc.nat(2))),
    })
    .map(({ agent, peer, ancestors }) =>
      ref(`agent:${agent}:x:dm:${peer}`, ...ancestors.map(([by, n]) => `agent:${by}:x:dm:${n}`)),
    );
  const anyPolicy = fc.record({
    enabled: fc.boolean(),
    allow: fc.array(fc.constantFrom("main", "coder", "ops", "*", "c*"), { maxLength: 3 }),
  });

  test("what a narrower visibility opens, a wider one opens too; a session sees itself; text in keys is no lineage", () => {
    fc.assert(
      fc.property(anyRef, anyRef, anyPolicy, (from, to, policy) => {
        const open = VISIBILITIES.map((visibility) => canAccess(from, to, visibility, policy).allowed);
        expect(open).toEqual([...open].sort((one, other) => Number(one) - Number(other)));
        expect(canAccess(from, from, "self").allowed).toBe(true);
        const stranger = { ...to, ancestors: [] };
        if (from.key !== to.key) expect(canAccess(from, stranger, "tree", policy).allowed).toBe(false);
      }),
    );
  });
});

describe("how far a session's tools look", () => {
  const DM = "agent:coder:telegram:dm:1" as SessionKey;
  const MAIN = "agent:coder:main" as SessionKey;
  const look = (config: object, key = DM) => visibilityOf(parseConfig(config), key);

  test("is the setting, the agent's own before that for all, and tree where nobody says", () => {
    expect(look({})).toBe("tree");
    expect(look({ tools: { sessions: { visibility: "agent" } } })).toBe("agent");
    const list = [{ id: "coder", tools: { sessions: { visibility: "self" } } }];
    expect(look({ agents: { list }, tools: { sessions: { visibility: "all" } } })).toBe("self");
    expect(() => look({ tools: { sessions: { visibility: "TREE" } } })).toThrow(/self.*tree.*agent.*all/);
  });

  test("is clamped in a sandbox to the narrower of the two, and never widened", () => {
    const sandboxed = (visibility: string, sandbox: object) => ({
      agents: { defaults: { sandbox } },
      tools: { sessions: { visibility } },
    });
    expect(look(sandboxed("all", { mode: "all" }))).toBe("tree");
    expect(look(sandboxed("self", { mode: "all" }))).toBe("self");
    expect(look(sandboxed("all", { mode: "all", sessionToolsVisibility: "all" }))).toBe("all");
    expect(look(sandboxed("all", { mode: "off" }))).toBe("all");
    expect(look(sandboxed("all", { mode: "non-main" }))).toBe("tree");
    expect(look(sandboxed("all", { mode: "non-main" }), MAIN)).toBe("all");
    const own = {
      agents: { list: [{ id: "coder", sandbox: { mode: "all" } }] },
      tools: { sessions: { visibility: "all" } },
    };
    expect(look(own)).toBe("tree");
  });

  test("of two the narrower", () => {
    expect(VISIBILITIES.map((one) => VISIBILITIES.map((other) => narrower(one, other)).join(" "))).toEqual([
      "self self self self",
      "self tree tree tree",
      "self tree agent agent",
      "self tree agent all",
    ]);
  });
});
