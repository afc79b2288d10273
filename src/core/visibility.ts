import type { SessionsConfig } from "./config.js";
import { parseSessionKey, type SessionKey } from "./key.js";
import { matches } from "./pattern.js";
import { type AgentToAgent, type SandboxConfig, VISIBILITIES, type Visibility } from "./tools-config.js";

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
  return reach(requester, target, { visibility, setting: "tools.sessions.visibility" }, agentToAgent);
}

/** How far a session may look, and the setting that says so. */
interface View {
  visibility: Visibility;
  setting: string;
}

function reach(
  requester: SessionRef,
  target: SessionRef,
  { visibility, setting }: View,
  agentToAgent: AgentToAgent,
): Access {
  if (requester.key === target.key) return { allowed: true };
  if (visibility === "self") return denied(`${setting} is "self"`);
  if (target.ancestors.includes(requester.key)) return { allowed: true };
  if (visibility === "tree") return denied(`${setting} is "tree", and the session was not spawned by this one`);
  const [from, to] = [parseSessionKey(requester.key).agentId, parseSessionKey(target.key).agentId];
  if (from === to) return { allowed: true };
  if (visibility === "agent") return denied(`${setting} is "agent", and the session is another agent's`);
  if (!agentToAgent.enabled) return denied("tools.agentToAgent.enabled is false");
  const stranger = [from, to].find((agentId) => !agentToAgent.allow.some((pattern) => matches(agentId, pattern)));
  return stranger === undefined ? { allowed: true } : denied(`tools.agentToAgent.allow does not name "${stranger}"`);
}

/** The narrower of two visibilities. */
export function narrower(one: Visibility, other: Visibility): Visibility {
  return VISIBILITIES.indexOf(one) <= VISIBILITIES.indexOf(other) ? one : other;
}

/** How far the tools of a session may look: its agent's setting, clamped where the session runs in a sandbox. */
export function visibilityOf(config: SessionsConfig, requester: SessionKey): Visibility {
  return viewOf(config, requester).visibility;
}

function viewOf(config: SessionsConfig, requester: SessionKey, isStray = false): View {
  const own = agentOf(config, requester);
  const wish = own?.tools?.sessions?.visibility;
  const view: View =
    wish === undefined
      ? { visibility: config.tools.sessions.visibility, setting: "tools.sessions.visibility" }
      : { visibility: wish, setting: `agents.list (${own?.id}).tools.sessions.visibility` };
  const { sessionToolsVisibility } = sandboxOf(config, requester);
  // Whoever spawned it is not known, nor how narrow its view has to be.
  if (isStray) return clamped(view, "it is a sub-agent that nobody has spawned, so that the visibility");
  if (sessionToolsVisibility === "all" || !isSandboxed(config, requester)) return view;
  return clamped(view, 'sandbox.sessionToolsVisibility is "spawned", so that the visibility');
}

function clamped(view: View, setting: string): View {
  const visibility = narrower(view.visibility, "tree");
  return visibility === view.visibility ? view : { visibility, setting };
}

/** Whether the config says that runs of a session are kept in a sandbox. */
export function isSandboxed(config: SessionsConfig, key: SessionKey): boolean {
  const { mode } = sandboxOf(config, key);
  const parsed = parseSessionKey(key);
  const isMain = parsed.kind === "main" && parsed.mainKey === config.session.mainKey;
  return mode === "all" || (mode === "non-main" && !isMain);
}

/**
 * Whether a session's tools may reach another, by the config. What was spawned reaches no further than each of those that spawned
 * it: another agent's wider setting widens nothing.
 */
export function accessTo(config: SessionsConfig, requester: SessionRef, target: SessionRef): Access {
  return accessOf(config, requester)(target);
}

/** As `accessTo`, for many targets: what there is to know of the requester is found out once. */
export function accessOf(config: SessionsConfig, requester: SessionRef): (target: SessionRef) => Access {
  const lineage = [requester.key, ...requester.ancestors];
  const viewers = lineage.map((key, at) => {
    const viewer = { key, ancestors: lineage.slice(at + 1) };
    const isStray = viewer.ancestors.length === 0 && parseSessionKey(key).kind === "subagent";
    return { viewer, view: viewOf(config, key, isStray) };
  });
  return (target) => {
    if (requester.key === target.key) return { allowed: true };
    for (const { viewer, view } of viewers) {
      const access = reach(viewer, target, view, config.tools.agentToAgent);
      if (access.allowed) continue;
      return viewer.key === requester.key ? access : denied(`${access.reason} (of ${viewer.key}, which spawned it)`);
    }
    return { allowed: true };
  };
}

function agentOf({ agents }: SessionsConfig, key: SessionKey): SessionsConfig["agents"]["list"][number] | undefined {
  const { agentId } = parseSessionKey(key);
  return agents.list.find(({ id }) => id === agentId);
}

function sandboxOf(config: SessionsConfig, key: SessionKey): SandboxConfig {
  return { ...config.agents.defaults.sandbox, ...agentOf(config, key)?.sandbox };
}

function denied(reason: string): Access {
  return { allowed: false, reason };
}
