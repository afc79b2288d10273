import type { SessionsConfig } from "./config.js";
import { parseSessionKey, type SessionKey } from "./key.js";

/**
 * The setting by which a session is not given a tool, or `undefined`. `lineage`: the session and those above it; what one of them is
 * denied, the sub-agents below it are denied too.
 */
export function denialOf(
  { agents, tools }: SessionsConfig,
  tool: string,
  lineage: readonly SessionKey[],
): string | undefined {
  if (tools.deny.includes(tool)) return `tools.deny names "${tool}"`;
  const ids = lineage.map((key) => parseSessionKey(key).agentId);
  const denying = agents.list.find(({ id, tools: own }) => ids.includes(id) && own?.deny?.includes(tool));
  return denying === undefined ? undefined : `agents.list (${denying.id}).tools.deny names "${tool}"`;
}
