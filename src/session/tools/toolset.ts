import { denialOf } from "../../core/tool-policy.js";
import type { Shell, ToolUser } from "../shell.js";
import type { SessionTool } from "../tool.js";
import { historyTool } from "./history-tool.js";
import { listTool } from "./list-tool.js";
import { sendTool } from "./send-tool.js";
import { spawnTool } from "./spawn-tool.js";
import { statusTool } from "./status-tool.js";

/** The session tools of one user, without those the config denies its agent, or one above it as far as that is known here. */
export function toolsFor(shell: Shell, user: ToolUser): SessionTool[] {
  const lineage = [user.key, ...(user.turn?.ancestors ?? [])];
  return [statusTool, listTool, historyTool, sendTool, spawnTool]
    .map((make) => make(shell, user))
    .filter(({ name }) => denialOf(shell.config, name, lineage) === undefined);
}
