import { parseSessionKey, type SessionKey } from "../core/key.js";
import type { SessionManager } from "./manager.js";
import { shellOf } from "./shells.js";
import type { SessionTool } from "./tool.js";

/**
 * The session tools of a session, for any agent framework: `session_status`, `sessions_list`, `sessions_history`, `sessions_send`,
 * `sessions_spawn`, without those the config denies. They see and do what the config allows that session, whatever a model puts in.
 *
 * In `generate`, use the ones that come with the request: they end with the turn, and answers to a sub-agent's result go where the turn's
 * message came from.
 * @throws InvalidSessionKeyError
 */
export function sessionTools(manager: SessionManager, requester: SessionKey | string): SessionTool[] {
  parseSessionKey(requester);
  return [...shellOf(manager).tools({ key: requester as SessionKey })];
}
