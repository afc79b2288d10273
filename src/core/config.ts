import { z } from "zod";
import { InvalidConfigError } from "../errors.js";
import { DEFAULT_AGENT } from "./address.js";
import { compactionSection } from "./compaction-config.js";
import {
  type CompactionPolicy,
  type CompactionSettings,
  DEFAULT_COMPACTION,
  withSettings,
} from "./compaction-policy.js";
import { section } from "./config-section.js";
import { DEFAULT_DM_SCOPE, DM_SCOPES, type DmScope, THREAD_MODES, type ThreadMode } from "./dm-scope.js";
import { compileIdentityLinks, type IdentityLinks } from "./identity-links.js";
import { isAgentId } from "./key.js";
import type { SendPolicy } from "./send-policy.js";
import { modelName } from "./state.js";
import {
  type AgentToAgent,
  type AgentToolsConfig,
  agentSandboxSection,
  agentSubagentsSection,
  agentToolsSection,
  type SandboxConfig,
  type SubagentsConfig,
  sandboxSection,
  subagentsSection,
  type ToolsConfig,
  toolsSection,
} from "./tools-config.js";

/** The settings of `openclaw.json` that are this library's, with their defaults filled in. */
export interface SessionsConfig {
  session: {
    /** Default `per-channel-peer`. */
    dmScope: DmScope;
    /** Default `main`. */
    mainKey: string;
    identityLinks: IdentityLinks;
    /** Default `separate`. */
    threads: ThreadMode;
    sendPolicy?: SendPolicy;
    agentToAgent: {
      /**
       * After a message from session to session whose sender did not wait for the answer: how many turns the two may go on
       * answering each other, 0 to 5. Default 0: none.
       */
      maxPingPongTurns: number;
    };
  };
  agents: {
    defaults: { model?: string } & ContextTokens & {
        compaction: CompactionPolicy;
        sandbox: SandboxConfig;
        subagents: SubagentsConfig;
      };
    list: ({ id: string; default?: boolean; model?: string } & ContextTokens & AgentSettings)[];
  };
  messages: { queue: { /** Messages that may wait for one session, at least 1. Default 100. */ cap: number } };
  tools: ToolsConfig;
}

/** Settings of one agent; what is left out is as for all. */
export interface AgentSettings {
  compaction?: CompactionSettings;
  tools?: AgentToolsConfig;
  sandbox?: Partial<SandboxConfig>;
  subagents?: Pick<Partial<SubagentsConfig>, "allowAgents" | "model">;
}

/** Settings as a host writes them: every one may be left out, and others' settings may stand beside them. */
export interface SessionsConfigInput {
  session?: {
    dmScope?: DmScope;
    mainKey?: string;
    identityLinks?: IdentityLinks;
    threads?: ThreadMode;
    sendPolicy?: SendPolicy;
    agentToAgent?: { maxPingPongTurns?: number; [other: string]: unknown };
    [other: string]: unknown;
  };
  agents?: {
    defaults?: AgentSettingsInput & { subagents?: Partial<SubagentsConfig> & { [other: string]: unknown } };
    list?: readonly (AgentSettingsInput & {
      id: string;
      default?: boolean;
      tools?: AgentToolsConfig & { [other: string]: unknown };
      subagents?: AgentSettings["subagents"] & { [other: string]: unknown };
    })[];
    [other: string]: unknown;
  };
  messages?: { queue?: { cap?: number; [other: string]: unknown }; [other: string]: unknown };
  tools?: {
    sessions?: Partial<ToolsConfig["sessions"]> & { [other: string]: unknown };
    agentToAgent?: Partial<AgentToAgent> & { [other: string]: unknown };
    deny?: readonly string[];
    [other: string]: unknown;
  };
  [other: string]: unknown;
}

/** A model's name, alone or as `primary`. */
export type ModelSetting = string | { primary?: string; [other: string]: unknown };

/** Settings of an agent, or of all. */
export interface AgentSettingsInput extends ContextTokens {
  model?: ModelSetting;
  compaction?: CompactionSettings & { [other: string]: unknown };
  sandbox?: Partial<SandboxConfig> & { [other: string]: unknown };
  [other: string]: unknown;
}

/** How large the window of the model is. */
export interface ContextTokens {
  /** In tokens, at least 1. For models of which `provider.contextWindow` says nothing. Default 200000. */
  contextTokens?: number | undefined;
}

const DEFAULT_QUEUE_CAP = 100;

const agentId = z
  .string()
  .refine(isAgentId, 'expected 1 to 64 characters of a-z, 0-9, "_" and "-", starting with a letter or digit');
const modelSetting = z
  .union([modelName, z.looseObject({ primary: modelName.optional() })])
  .transform((model) => (typeof model === "string" ? model : model.primary));

const sendRule = z.strictObject({
  action: z.enum(["allow", "deny"]),
  match: z
    .strictObject({
      channel: z.string().optional(),
      chatType: z.enum(["dm", "direct", "group"]).optional(),
      keyPrefix: z.string().optional(),
    })
    .optional(),
});

const links = z
  .custom<Record<string, string[]>>(
    (value) => typeof value !== "object" || value === null || !Object.hasOwn(value, "__proto__"),
    '"__proto__" cannot be the name of a person',
  )
  .pipe(z.record(z.string(), z.array(z.string())));

const session = section(
  "session",
  {
    dmScope: z.enum(DM_SCOPES).default(DEFAULT_DM_SCOPE),
    mainKey: agentId.default("main"),
    identityLinks: links.default({}),
    threads: z.enum(THREAD_MODES).default("separate"),
    sendPolicy: z
      .strictObject({ default: z.enum(["allow", "deny"]).optional(), rules: z.array(sendRule).optional() })
      .optional(),
    agentToAgent: section("session.agentToAgent", { maxPingPongTurns: z.int().min(0).max(5).default(0) }, [], {
      enabled: "tools.agentToAgent.enabled",
      allow: "tools.agentToAgent.allow",
    }).prefault({}),
  },
  ["scope"],
);

const windowTokens = z.int().min(1);

const agentDefaults = section(
  "agents.defaults",
  {
    model: modelSetting.optional(),
    contextTokens: windowTokens.optional(),
    compaction: compactionSection.optional(),
    sandbox: sandboxSection.prefault({}),
    subagents: subagentsSection.prefault({}),
  },
  ["models"],
  { tools: "tools, for all agents, or agents.list[].tools" },
).transform(({ compaction, ...rest }) => ({
  ...rest,
  compaction: withSettings(DEFAULT_COMPACTION, (compaction ?? {}) as CompactionSettings),
}));

const agent = section(
  "agents.list[]",
  {
    id: agentId,
    default: z.boolean().optional(),
    model: modelSetting.optional(),
    contextTokens: windowTokens.optional(),
    compaction: compactionSection.optional(),
    tools: agentToolsSection.optional(),
    sandbox: agentSandboxSection.optional(),
    subagents: agentSubagentsSection.optional(),
  },
  ["models"],
);

const rootSettings = {
  session: session.prefault({}),
  agents: section("agents", { defaults: agentDefaults.prefault({}), list: z.array(agent).default([]) }).prefault({}),
  messages: section("messages", {
    queue: section("messages.queue", { cap: z.int().min(1).default(DEFAULT_QUEUE_CAP) }).prefault({}),
  }).prefault({}),
  tools: toolsSection.prefault({}),
};

const configSchema = section("", rootSettings, ["agent", "hooks", "imessage"]);

/**
 * Reads settings in the shape of `openclaw.json` and fills in the defaults. Parsing what it returned changes nothing.
 * @throws InvalidConfigError naming each setting that has an unknown value, with the values allowed, and each misspelt one.
 */
export function parseConfig(value: unknown): SessionsConfig {
  const result = configSchema.safeParse(value ?? {});
  if (!result.success) {
    const issues = result.error.issues.map((issue) => {
      const path = issue.path.map(String).join(".");
      return path === "" ? issue.message : `${path}: ${issue.message}`;
    });
    throw new InvalidConfigError(`The config was not accepted. ${issues.join(" ")}`);
  }
  const config = result.data as SessionsConfig;
  compileIdentityLinks(config.session.identityLinks, config.session.dmScope !== "per-channel-peer");
  const ids = config.agents.list.map((entry) => entry.id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined)
    throw new InvalidConfigError(`agents.list names the agent "${twice}" twice. Keep one of them.`);
  checkReserves(config);
  return config;
}

// What is to be kept free must leave something of the window: its author meant something else. The default floor is nobody's wish,
// and is cut down to fit.
function checkReserves(config: SessionsConfig): void {
  const { defaults, list } = config.agents;
  const places = [
    { path: "agents.defaults", own: defaults },
    ...list.map((own) => ({ path: `agents.list (${own.id})`, own })),
  ];
  for (const { path, own } of places) {
    const window = own.contextTokens ?? defaults.contextTokens;
    const settings = { ...defaults.compaction, ...own.compaction };
    for (const name of ["reserveTokens", "reserveTokensFloor"] as const) {
      const reserve = settings[name];
      if (window === undefined || reserve === undefined || reserve < window || reserve === DEFAULT_COMPACTION[name])
        continue;
      throw new InvalidConfigError(
        `${path}: compaction.${name} is ${reserve} and contextTokens is ${window}. What is kept free must be less than the window.`,
      );
    }
  }
}

/** The agent that answers an address naming none: the one marked `default`, else the first listed, else `main`. */
export function defaultAgentId({ agents }: SessionsConfig): string {
  return (agents.list.find((entry) => entry.default) ?? agents.list[0])?.id ?? DEFAULT_AGENT;
}

/** The model configured for an agent. */
export function agentModel({ agents }: SessionsConfig, id: string): string | undefined {
  return agents.list.find((entry) => entry.id === id)?.model ?? agents.defaults.model;
}

/** The window configured for an agent's model. */
export function agentContextTokens({ agents }: SessionsConfig, id: string): number | undefined {
  return agents.list.find((entry) => entry.id === id)?.contextTokens ?? agents.defaults.contextTokens;
}

/** When and how the sessions of an agent are compacted: its own settings over those for all. */
export function agentCompaction({ agents }: SessionsConfig, id: string): CompactionPolicy {
  return withSettings(agents.defaults.compaction, agents.list.find((entry) => entry.id === id)?.compaction ?? {});
}
