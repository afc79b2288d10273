import { agentModel, type SessionsConfig } from "../../core/config.js";
import type { SpawnEntry } from "../../core/entry.js";
import type { Cause } from "../../core/hops.js";
import { formatSessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { canSpawn, runTimeLimit, type SpawnVerdict } from "../../core/spawn-policy.js";
import { codeOf } from "../error-code.js";
import type { NewEntry } from "../ledger.js";
import type { ReplyTo, Shell } from "../shell.js";
import { Refusal } from "../tool.js";
import { runArrival, runEntry } from "./cause-run.js";
import { endSubagent } from "./subagent-end.js";
import { type SpawnedSubagent, SubagentRun } from "./subagent-run.js";

/** A sub-agent to be made. */
export interface SpawnOrder {
  parent: SessionRecord;
  agentId: string;
  task: string;
  mode: SpawnEntry["mode"];
  label: string | undefined;
  /** Chosen for this one; else the one configured for sub-agents, else its agent's. */
  model: string | undefined;
  cleanup: "delete" | undefined;
  /** No longer than the config allows. */
  timeoutSeconds: number | undefined;
  /** Of the turn that spawns it, and of the task. */
  cause: Cause;
  taskCause: Cause;
  replyTo: ReplyTo | undefined;
  /** Of who spawns it: nothing is made any more when it has aborted. */
  signal: AbortSignal;
  /** Tells of a limit that is against it; the error to throw. */
  refused(verdict: Extract<SpawnVerdict, { allowed: false }>): Error;
}

/**
 * Makes a sub-agent and puts it to work. When this resolves it is durable, in its parent's transcript and its own.
 * @throws what `refused` gives when a limit is against it; nothing was made.
 */
export async function spawn(shell: Shell, order: SpawnOrder): Promise<SubagentRun> {
  const { agentId, parent, mode, label, cleanup, cause, taskCause, replyTo } = order;
  const { ledger, config, events, runs } = shell;
  const key = formatSessionKey({ kind: "subagent", agentId, subagentId: ledger.newSubagentId() });
  const run = ledger.newEntryId();
  const { hops, chain } = taskCause;
  const provenance = { kind: "task" as const, from: parent.key, hops, chain: [...chain] };
  const entry = runEntry(run, { content: order.task, provenance });
  const timeoutSeconds = runTimeLimit(order.timeoutSeconds, config.agents.defaults.subagents.runTimeoutSeconds);
  const claim = await ledger.storage.claim(key);
  const spawned: SpawnedSubagent = {
    ...{ key, run, mode, label, cleanup, cause, hops, timeoutSeconds, replyTo, claim },
    parent: { key: parent.key, uuid: parent.uuid },
    ancestors: [parent.key, ...parent.ancestors],
    arrival: runArrival({ key, entry }),
  };
  // Known to this process before it is written down: whoever stops its parent now must find it.
  const subagent = new SubagentRun(shell, spawned, async () => {
    await noteInParent(shell, order, spawned);
    await makeChild(shell, spawned, [...modelEntry(config, order), entry]);
  });
  runs.add(subagent);
  await subagent.made;
  events.emit("subagent.spawned", { key: parent.key, uuid: parent.uuid, child: key, run });
  return subagent;
}

// A record names them. It is more than can be alive at once, so that only a storage that fails comes to it.
const MOST_TO_DELETE = 100;

// The limits are checked where it is noted, so that no two sub-agents can be the last that is allowed.
async function noteInParent(shell: Shell, order: SpawnOrder, spawned: SpawnedSubagent): Promise<void> {
  const { parent, signal, refused } = order;
  const { key: child, run, mode, label, cleanup } = spawned;
  const entry: NewEntry<SpawnEntry> = {
    ...{ type: "spawn", child, run, mode },
    ...(label === undefined ? {} : { label }),
    ...(cleanup === undefined ? {} : { cleanup }),
  };
  const decide = ({ key, uuid, ancestors, subagents, toDelete }: SessionRecord): NewEntry[] => {
    if (uuid !== parent.uuid) throw new Refusal("error", "This session was removed; nothing was spawned.");
    if (signal.aborted) throw new Refusal("error", "This turn was stopped; nothing was spawned.");
    const undeleted = toDelete.length + subagents.filter((live) => live.cleanup !== undefined).length;
    if (cleanup !== undefined && undeleted >= MOST_TO_DELETE)
      throw new Refusal(
        "error",
        "Too many ended sub-agents could not be deleted; nothing was spawned. Use cleanup keep.",
      );
    const verdict = canSpawn(shell.config, { parent: { key, ancestors }, child, live: subagents.length });
    if (!verdict.allowed) throw refused(verdict);
    return [entry];
  };
  await shell.ledger.append(parent.key, decide, { mustExist: true });
}

async function makeChild(shell: Shell, spawned: SpawnedSubagent, entries: NewEntry[]): Promise<void> {
  const { key, run, claim, ancestors } = spawned;
  try {
    await shell.ledger.append(key, () => entries, { claim, ancestors });
  } catch (error) {
    const ending = endSubagent(shell, spawned, { status: "failed", code: codeOf(error) }, { tell: "not" });
    // Its end is found missing when its parent is next used. What went wrong first is what is told.
    await ending.catch((fault: unknown) =>
      shell.logger.error({ key, run, code: codeOf(fault) }, "the end of a sub-agent could not be stored"),
    );
    throw error;
  }
}

function modelEntry(config: SessionsConfig, { agentId, model }: SpawnOrder): NewEntry[] {
  const { agents } = config;
  const configured = agents.list.find(({ id }) => id === agentId)?.subagents?.model ?? agents.defaults.subagents.model;
  const modelOverride = model ?? configured;
  if (modelOverride === undefined || modelOverride === agentModel(config, agentId)) return [];
  return [{ type: "state", patch: { modelOverride } }];
}
