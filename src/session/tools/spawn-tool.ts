import { z } from "zod";
import { failureText } from "../../core/failure.js";
import { nextHop } from "../../core/hops.js";
import { formatSessionKey, isAgentId, parseSessionKey, type SessionKey } from "../../core/key.js";
import { canSpawn, type SpawnVerdict, spawnableAgents } from "../../core/spawn-policy.js";
import { isModelName } from "../../core/state.js";
import { resolveModel } from "../resolve-model.js";
import { spawn } from "../runs/spawn.js";
import type { SubagentRun } from "../runs/subagent-run.js";
import { settleLeft } from "../runs/take-up.js";
import type { Shell, ToolUser } from "../shell.js";
import { type JsonObject, makeTool, Refusal, type SessionTool } from "../tool.js";
import { untilAborted } from "../until-aborted.js";
import { Guard } from "./guard.js";

type Denied = Extract<SpawnVerdict, { allowed: false }>;

const MOST_CHARACTERS = 65_536;

const input = z.strictObject({
  task: z
    .string()
    .max(MOST_CHARACTERS)
    .refine((text) => text.trim() !== "", "expected something to do")
    .describe("What to do, with everything needed to do it: the sub-agent sees nothing of this conversation."),
  agentId: z.string().optional().describe("Which agent does it. Default: your own kind."),
  label: z.string().trim().min(1).max(64).optional().describe("A short name to know it by."),
  model: z.string().min(1).max(256).optional().describe("Which model it uses. Default: its agent's."),
  mode: z
    .enum(["run", "start"])
    .optional()
    .describe(
      "run: wait for its result, which is returned. start: go on; its result comes as a message later. Default run.",
    ),
  timeoutSeconds: z
    .number()
    .min(0)
    .max(86_400)
    .optional()
    .describe(
      "It is stopped after so many seconds of work, or earlier where the operator says so. Default: as the operator says.",
    ),
  cleanup: z.enum(["keep", "delete"]).optional().describe("What becomes of its session in the end. Default keep."),
});

export function spawnTool(shell: Shell, user: ToolUser): SessionTool {
  const guard = new Guard(shell, user, "sessions_spawn");
  return makeTool(
    {
      name: "sessions_spawn",
      description:
        "Has a sub-agent do a task in a session of its own. Returns { status, childSessionKey, runId, result }: with mode run, status is completed, failed, timed_out or killed; " +
        "with mode start it is accepted, and you are told the result in a message when it is done. Do not ask for it meanwhile.",
      input,
      hasStatus: true,
      async run(wish, signal) {
        const { agentId = parseSessionKey(user.key).agentId, mode = "run", cleanup } = wish;
        const { ancestors, record } = await guard.requester();
        const cause = await guard.cause(record);
        const child = isAgentId(agentId)
          ? formatSessionKey({ kind: "subagent", agentId, subagentId: "new" })
          : undefined;
        if (child === undefined)
          throw new Refusal("error", `agentId may be ${spawnableAgents(shell.config, user.key).join(", ")} here.`);
        const hop = nextHop(cause, user.key, child, shell.config.tools.sessions.maxHops);
        if (!hop.allowed) {
          guard.refused(child, hop.setting ?? hop.reason);
          throw new Refusal("denied", `Nothing was spawned: ${hop.reason}.`);
        }
        const model = modelOf(shell, user, wish.model);
        // Asked before a session is made for who has none; what counts is asked again when it is noted.
        const verdict = canSpawn(shell.config, { parent: { key: user.key, ancestors }, child, live: 0 });
        if (!verdict.allowed) throw spawnRefused(guard, child, verdict);
        const parent = record ?? (await shell.ledger.open(user.key));
        await settleLeft(shell, parent.key);
        const subagent = await spawn(shell, {
          parent,
          agentId,
          task: wish.task,
          mode,
          label: wish.label,
          model,
          cleanup: cleanup === "delete" ? cleanup : undefined,
          timeoutSeconds: wish.timeoutSeconds,
          cause,
          taskCause: hop.cause,
          replyTo: user.turn?.replyTo,
          signal,
          refused: (denied) => spawnRefused(guard, child, denied),
        });
        const made = { childSessionKey: subagent.key, runId: subagent.run };
        if (mode === "start") return { status: "accepted", ...made };
        return { ...(await resultOf(shell, user, subagent, signal)), ...made };
      },
    },
    user.turn?.lifespan,
  );
}

function spawnRefused(guard: Guard, child: SessionKey, { reason, setting }: Denied): Refusal {
  guard.refused(child, setting);
  return new Refusal("denied", `Nothing was spawned: ${reason}.`);
}

function modelOf(shell: Shell, { key }: ToolUser, name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const model = resolveModel(shell, name, key);
  if (!isModelName(model)) throw new Refusal("error", "There is no model of that name. Leave model out.");
  return model;
}

// Whoever does not wait any more gets no result, so it is not worked for either.
async function resultOf(
  shell: Shell,
  { key, turn }: ToolUser,
  subagent: SubagentRun,
  signal: AbortSignal,
): Promise<JsonObject> {
  const waiting = async () => {
    const ended = await untilAborted(subagent.ended, signal, () => {});
    if (ended !== undefined) return ended.value;
    shell.runs.stop(subagent, "killed");
    return subagent.ended;
  };
  const self = shell.runs.live(key);
  const result = turn === undefined ? waiting() : shell.runs.waits.during(key, subagent.key, waiting());
  const { status, text, code } = await (self === undefined ? result : self.whileWaiting(result));
  return {
    status,
    ...(text === undefined ? {} : { result: text }),
    ...(code === undefined ? {} : { error: failureText(code) }),
  };
}
