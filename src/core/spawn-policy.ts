import type { SessionsConfig } from "./config.js";
import { parseSessionKey, type SessionKey } from "./key.js";
import { matches } from "./pattern.js";
import { isSandboxed, type SessionRef } from "./visibility.js";

/** A sub-agent that a session wants to spawn. */
export interface SpawnWish {
  parent: SessionRef;
  child: SessionKey;
  /** How many sub-agents of the parent are alive. */
  live: number;
}

/** What comes of it. `reason` is for the model, and `setting`, which decided, for the operator. */
export type SpawnVerdict = { allowed: true } | { allowed: false; reason: string; setting: string };

/** Whether a session may spawn a sub-agent: how deep, how many at once, of which agent, and not out of a sandbox. */
export function canSpawn(config: SessionsConfig, { parent, child, live }: SpawnWish): SpawnVerdict {
  const { maxSpawnDepth, maxChildrenPerAgent } = config.agents.defaults.subagents;
  const { agentId } = parseSessionKey(child);
  const agents = spawnableAgents(config, parent.key);
  if (!agents.includes(agentId))
    return denied(`agentId may be ${agents.join(", ")} here`, `subagents.allowAgents does not name "${agentId}"`);
  if (parent.ancestors.length >= maxSpawnDepth)
    return denied("a sub-agent this deep may not spawn", `subagents.maxSpawnDepth is ${maxSpawnDepth}`);
  if (live >= maxChildrenPerAgent)
    return denied(
      `${live} sub-agents of this session are still at work; wait for one to end`,
      `subagents.maxChildrenPerAgent is ${maxChildrenPerAgent}`,
    );
  const confined = [parent.key, ...parent.ancestors].some((key) => isSandboxed(config, key));
  if (confined && !isSandboxed(config, child))
    return denied(
      `agent ${agentId} is not kept in a sandbox, and this session is`,
      `sandbox.mode of agent "${agentId}"`,
    );
  return { allowed: true };
}

/** How many seconds a sub-agent may work; 0 is no limit. Who spawns may ask for less than the operator allows, and not for more. */
export function runTimeLimit(wish: number | undefined, allowed: number): number {
  return wish === undefined || wish === 0 || (allowed > 0 && allowed < wish) ? allowed : wish;
}

/** The agents a session may spawn sub-agents of: its own, and those of the config that it is allowed. */
export function spawnableAgents({ agents }: SessionsConfig, parent: SessionKey): string[] {
  const { agentId: own } = parseSessionKey(parent);
  const allow =
    agents.list.find(({ id }) => id === own)?.subagents?.allowAgents ?? agents.defaults.subagents.allowAgents;
  const listed = agents.list.map(({ id }) => id);
  // Without a list of agents, those named are all that are known.
  const known = listed.length > 0 ? listed : allow.filter((pattern) => !pattern.includes("*"));
  const allowed = known.filter((id) => allow.some((pattern) => matches(id, pattern)));
  return [...new Set([own, ...allowed])];
}

function denied(reason: string, setting: string): SpawnVerdict {
  return { allowed: false, reason, setting };
}
