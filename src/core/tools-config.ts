import { z } from "zod";
import { section } from "./config-section.js";
import { isAgentId } from "./key.js";
import { matches } from "./pattern.js";
import { closestWord } from "./spelling.js";
import { modelName } from "./state.js";

/** How far an agent's session tools may look, from narrow to wide. */
export const VISIBILITIES = ["self", "tree", "agent", "all"] as const;
export type Visibility = (typeof VISIBILITIES)[number];

/** Which agents may reach into each other's sessions. */
export interface AgentToAgent {
  /** Default false. */
  enabled: boolean;
  /** Agents by id; `*` stands for any run of characters. Both sides must be named. Default: nobody. */
  allow: readonly string[];
}

/** Settings of the session tools, for all agents. */
export interface ToolsConfig {
  sessions: SessionToolsConfig;
  agentToAgent: AgentToAgent;
  /**
   * Tools that are not given to anyone, by name; `*` stands for any run of characters, `group:sessions` for all session tools. Names of
   * others' tools may stand here too. Default: none.
   */
  deny: readonly string[];
}

/** How session tools look and send. */
export interface SessionToolsConfig {
  /** Default `tree`. */
  visibility: Visibility;
  /** How many messages between sessions, and sub-agents, one thing a person said may lead to in a row; at least 1, default 5. */
  maxHops: number;
  /** How many messages a session may send in a minute, at least 1. Default 30. */
  maxSendsPerMinute: number;
}

/** Settings of one agent's tools; what is left out is as for all. */
export interface AgentToolsConfig {
  sessions?: { visibility?: Visibility };
  /** Tools that this agent is not given, besides those that nobody is. */
  deny?: readonly string[];
}

/** What runs of an agent are kept in a sandbox, and what its session tools may see from there. */
export interface SandboxConfig {
  /** `non-main`: all but the agent's main session. Default `off`. */
  mode: "off" | "non-main" | "all";
  /** `spawned`: no further than `tree`, whatever `tools.sessions.visibility` says. Default `spawned`. */
  sessionToolsVisibility: "spawned" | "all";
}

/** Who may spawn sub-agents, and how many. */
export interface SubagentsConfig {
  /** How deep a sub-agent may stand; 1: sub-agents may spawn none. At least 1, default 1. */
  maxSpawnDepth: number;
  /** How many of a session's sub-agents may be alive at once. 1 to 100, default 5. */
  maxChildrenPerAgent: number;
  /** How many sub-agents may run at once in this process; others wait. At least 1, default 8. */
  maxConcurrent: number;
  /** Other agents that may be spawned, by id or with `*`. Default: none but the session's own agent. */
  allowAgents: readonly string[];
  /** The model of sub-agents. Default: that of their agent. */
  model?: string;
  /** A run that takes longer has timed out. In seconds, at most 2,000,000; 0, the default: no limit. */
  runTimeoutSeconds: number;
}

/** The session tools, by name. */
const SESSION_TOOLS = [
  "session_status",
  "sessions_list",
  "sessions_history",
  "sessions_send",
  "sessions_spawn",
] as const;

const meantBy = (name: string) => closestWord(name, [...SESSION_TOOLS, ALL_SESSION_TOOLS]);

// A pattern, or a list in one text, that is about session tools and names none.
const isEmptyPattern = (name: string) =>
  /^\W*(?:group\W*)?session.*[*,\s]/i.test(name) && !SESSION_TOOLS.some((tool) => matches(tool, name));

/** Names all of them. */
export const ALL_SESSION_TOOLS = "group:sessions";

// Names of others' tools stand here too; one that is nearly one of ours denies nothing.
const toolNames = z.array(
  z
    .string()
    .min(1)
    .refine((name) => name.includes("*") || [name, undefined].includes(meantBy(name)), {
      error: ({ input }) => `${JSON.stringify(input)} is no tool; did you mean "${meantBy(String(input))}"?`,
    })
    .refine((name) => !isEmptyPattern(name), {
      error: ({ input }) =>
        `${JSON.stringify(input)} is the name of no tool; session tools are ${SESSION_TOOLS.join(", ")}`,
    }),
);
const visibility = z.enum(VISIBILITIES);
const limit = (value: number) => z.int().min(1).default(value);

// `*` in an id, or an id: anything else could never match, and its author would wait in vain.
const agentPattern = z
  .string()
  .refine((pattern) => isAgentId(pattern.replaceAll("*", "x")), 'expected the id of an agent, in which "*" may stand');

export const toolsSection = section(
  "tools",
  {
    sessions: section("tools.sessions", {
      visibility: visibility.default("tree"),
      maxHops: limit(5),
      maxSendsPerMinute: limit(30),
    }).prefault({}),
    agentToAgent: section(
      "tools.agentToAgent",
      { enabled: z.boolean().default(false), allow: z.array(agentPattern).default([]) },
      [],
      { maxPingPongTurns: "session.agentToAgent.maxPingPongTurns" },
    ).prefault({}),
    deny: toolNames.default([]),
  },
  [],
  { visibility: "tools.sessions.visibility" },
);

export const agentToolsSection = section(
  "agents.list[].tools",
  {
    sessions: section("agents.list[].tools.sessions", { visibility: visibility.optional() }, [], {
      maxHops: "tools.sessions.maxHops, for all agents",
      maxSendsPerMinute: "tools.sessions.maxSendsPerMinute, for all agents",
    }).optional(),
    deny: toolNames.optional(),
  },
  [],
  {
    visibility: "agents.list[].tools.sessions.visibility",
    agentToAgent: "tools.agentToAgent, for all agents",
  },
);

const sandboxShape = { mode: z.enum(["off", "non-main", "all"]), sessionToolsVisibility: z.enum(["spawned", "all"]) };

export const sandboxSection = section("sandbox", {
  mode: sandboxShape.mode.default("off"),
  sessionToolsVisibility: sandboxShape.sessionToolsVisibility.default("spawned"),
});

export const agentSandboxSection = section("agents.list[].sandbox", {
  mode: sandboxShape.mode.optional(),
  sessionToolsVisibility: sandboxShape.sessionToolsVisibility.optional(),
});

export const subagentsSection = section("agents.defaults.subagents", {
  maxSpawnDepth: limit(1),
  // The record of a session names those that live.
  maxChildrenPerAgent: z.int().min(1).max(100).default(5),
  maxConcurrent: limit(8),
  allowAgents: z.array(agentPattern).default([]),
  model: modelName.optional(),
  // Timers of JavaScript hold no more than 24 days.
  runTimeoutSeconds: z.number().nonnegative().max(2_000_000).default(0),
});

const FOR_ALL = ["maxSpawnDepth", "maxChildrenPerAgent", "maxConcurrent", "runTimeoutSeconds"];

export const agentSubagentsSection = section(
  "agents.list[].subagents",
  { allowAgents: z.array(agentPattern).optional(), model: modelName.optional() },
  [],
  Object.fromEntries(FOR_ALL.map((name) => [name, `agents.defaults.subagents.${name}, for all agents`])),
);
