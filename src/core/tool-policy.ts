import type { SessionsConfig } from "./config.js";
import { parseSessionKey, type SessionKey } from "./key.js";
import { matches } from "./pattern.js";
import { ALL_SESSION_TOOLS } from "./tools-config.js";

/**
 * Whether a session that does not exist may begin with a message of another session: a person's conversation, or the main one of an
 * agent there is. A room is made by who speaks in it, and a sub-agent by who spawns it.
 */
export function mayBegin({ agents, session }: SessionsConfig, key: SessionKey): boolean {
  const parsed = parseSessionKey(key);
  if (agents.list.length > 0 && !agents.list.some(({ id }) => id === parsed.agentId)) return false;
  return parsed.kind === "dm" || (parsed.kind === "main" && parsed.mainKey === session.mainKey);
}

/**
 * The setting by which a session is not given a tool, or `undefined`. `lineage`: the session and those above it; what one of them is
 * denied, the sub-agents below it are denied too.
 */
export function denialOf(
  { agents, tools }: SessionsConfig,
  tool: string,
  lineage: readonly SessionKey[],
): string | undefined {
  const isNamed = (deny: readonly string[] = []) =>
    deny.some((name) => name === ALL_SESSION_TOOLS || matches(tool, name));
  if (isNamed(tools.deny)) return `tools.deny names "${tool}"`;
  const ids = lineage.map((key) => parseSessionKey(key).agentId);
  const denying = agents.list.find(({ id, tools: own }) => ids.includes(id) && isNamed(own?.deny));
  return denying === undefined ? undefined : `agents.list (${denying.id}).tools.deny names "${tool}"`;
}
