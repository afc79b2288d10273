import type { SessionsConfig } from "./config.js";
import { parseSessionKey, type SessionKey } from "./key.js";
import { type AgentToAgent, VISIBILITIES, type Visibility } from "./tools-config.js";

/** A session as far as it matters who may see it. */
export interface SessionRef {
  key: SessionKey;
  /** The sessions that spawned it, nearest first, as they are stored: what a key's text says is nobody's word. */
  ancestors: readonly SessionKey[];
}

/** The answer, and the setting that decided it, for the operator's log. It is not for the model. */
export type Access = { allowed: true } | { allowed: false; reason: string };

const NOBODY: AgentToAgent = { enabled: false, allow: [] };

/**
 * Whether a session may see another and act on it: `self` only itself, `tree` also what it has spawned and what that has
 * spawned, `agent` also every session of its agent, `all` every session. Each reaches as far as the one before and further.
 *
 * Another agent's session needs `agentToAgent` as well, in both names. Only what a session has spawned itself does not: that the
 * other agent may be spawned was allowed already.
 */
export function canAccess(
  requester: SessionRef,
  target: SessionRef,
  visibility: Visibility,
  agentToAgent: AgentToAgent = NOBODY,
): Access {
  if (requester.key === target.key) return { allowed: true };
  if (visibility === "self") return denied('tools.sessions.visibility is "self"');
  if (target.ancestors.includes(requester.key)) return { allowed: true };
  if (visibility === "tree")
    return denied('tools.sessions.visibility is "tree", and the session was not spawned by this one');
  const [from, to] = [parseSessionKey(requester.key).agentId, parseSessionKey(target.key).agentId];
  if (from === to) return { allowed: true };
  if (visibility === "agent")
    return denied('tools.sessions.visibility is "agent", and the session is another agent\'s');
  if (!agentToAgent.enabled) return denied("tools.agentToAgent.enabled is false");
  const stranger = [from, to].find((agentId) => !agentToAgent.allow.some((pattern) => matches(agentId, pattern)));
  return stranger === undefined ? { allowed: true } : denied(`tools.agentToAgent.allow does not name "${stranger}"`);
}

/** Whether an id is meant by a pattern, in which `*` stands for any run of characters. */
function matches(agentId: string, pattern: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  if (rest.length === 0) return agentId === pattern;
  const last = rest.pop() as string;
  if (!agentId.startsWith(first) || !agentId.endsWith(last)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = agentId.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= agentId.length - last.length;
}

/** The narrower of two visibilities. */
export function narrower(one: Visibility, other: Visibility): Visibility {
  return VISIBILITIES.indexOf(one) <= VISIBILITIES.indexOf(other) ? one : other;
}

/** How far the tools of a session may look: its agent's setting, clamped where the session runs in a sandbox. */
export function visibilityOf({ agents, tools }: SessionsConfig, requester: SessionKey): Visibility {
  const { agentId, kind } = parseSessionKey(requester);
  const own = agents.list.find(({ id }) => id === agentId);
  const visibility = own?.tools?.sessions?.visibility ?? tools.sessions.visibility;
  const { mode, sessionToolsVisibility } = { ...agents.defaults.sandbox, ...own?.sandbox };
  const isSandboxed = mode === "all" || (mode === "non-main" && kind !== "main");
  return isSandboxed && sessionToolsVisibility === "spawned" ? narrower(visibility, "tree") : visibility;
}

function denied(reason: string): Access {
  return { allowed: false, reason };
}
