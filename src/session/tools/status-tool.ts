import { z } from "zod";
import { readRun, shortReply } from "../runs/run-report.js";
import type { Shell, ToolUser } from "../shell.js";
import { statusOf } from "../status.js";
import { makeTool, Refusal, type SessionTool } from "../tool.js";
import { Guard } from "./guard.js";

const input = z.strictObject({
  sessionKey: z.string().optional().describe("The session; left out, your own."),
  runId: z
    .string()
    .optional()
    .describe("The runId that sessions_send or sessions_spawn returned for that session: tells what became of it."),
});

export function statusTool(shell: Shell, user: ToolUser): SessionTool {
  const guard = new Guard(shell, user, "session_status");
  return makeTool(
    {
      name: "session_status",
      description:
        "Tells how a session stands: its key, how many messages it has, its model and how many tokens its context takes. " +
        "With runId it tells whether a message you sent there has been answered, and the answer.",
      input,
      async run({ sessionKey = user.key, runId }) {
        const { key, record, requester } = await guard.look(sessionKey);
        if (runId !== undefined) {
          // What was asked by a third is between those two.
          const run = record === undefined ? undefined : await readRun(shell, record, runId);
          const report = run !== undefined && [key, run.from].includes(user.key) ? run.report : undefined;
          if (report === undefined) throw new Refusal("error", "That session has no run of this runId.");
          return { key, runId, ...report, ...shortReply(report) };
        }
        if (record === undefined) return { key, messageCount: 0, model: null, tokensUsed: 0 };
        const {
          messageCount,
          model = null,
          tokensUsed,
          contextWindow,
          lastActive,
          busy,
        } = await statusOf(shell, record);
        const access = guard.access(requester);
        const subagents = record.subagents
          .filter((subagent) => access({ key: subagent.key, ancestors: [key, ...record.ancestors] }).allowed)
          .map(({ key: child, label }) => ({ key: child, ...(label === undefined ? {} : { label }) }));
        return {
          ...{ key, messageCount, model, tokensUsed, contextWindow, lastActive, busy },
          ...(subagents.length === 0 ? {} : { subagents }),
        };
      },
    },
    user.turn?.lifespan,
  );
}
