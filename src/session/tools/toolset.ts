import { parseSessionKey } from "../../core/key.js";
import type { Shell, ToolUser } from "../shell.js";
import type { SessionTool } from "../tool.js";
import { historyTool } from "./history-tool.js";
import { listTool } from "./list-tool.js";
import { sendTool } from "./send-tool.js";
import { spawnTool } from "./spawn-tool.js";
import { statusTool } from "./status-tool.js";

/** The session tools of one user, without those the config denies its agent. */
export function toolsFor(shell: Shell, user: ToolUser): SessionTool[] {
  const { agents, tools } = shell.config;
  const { agentId } = parseSessionKey(user.key);
  const denied = [...tools.deny, ...(agents.list.find(({ id }) => id === agentId)?.tools?.deny ?? [])];
  return [statusTool, listTool, historyTool, sendTool, spawnTool]
    .map((make) => make(shell, user))
    .filter(({ name }) => !denied.includes(name));
}
