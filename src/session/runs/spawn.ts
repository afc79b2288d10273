import { agentModel, type SessionsConfig } from "../../core/config.js";
import type { SpawnEntry } from "../../core/entry.js";
import type { Cause } from "../../core/hops.js";
import { formatSessionKey, type SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { canSpawn, type SpawnVerdict } from "../../core/spawn-policy.js";
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
  timeoutSeconds: number | undefined;
  /** Of the turn that spawns it, and of the task. */
  cause: Cause;
  taskCause: Cause;
  replyTo: ReplyTo | undefined;
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
  const provenance = { kind: "task" as const, from: parent.key, hops: taskCause.hops, chain: [...taskCause.chain] };
  const entry = runEntry(run, { content: order.task, provenance });
  const timeoutSeconds = order.timeoutSeconds ?? config.agents.defaults.subagents.runTimeoutSeconds;
  const claim = await ledger.storage.claim(key);
  const spawned: SpawnedSubagent = {
    ...{ key, run, mode, label, cleanup, cause, timeoutSeconds, replyTo, claim },
    parent: { key: parent.key, uuid: parent.uuid },
    hops: taskCause.hops,
    arrival: runArrival({ key, entry }),
  };
  try {
    await noteInParent(shell, order, spawned);
    await makeChild(shell, spawned, [...modelEntry(config, order), entry], [parent.key, ...parent.ancestors]);
  } catch (error) {
    await claim.release();
    throw error;
  }
  events.emit("subagent.spawned", { key: parent.key, uuid: parent.uuid, child: key, run });
  const subagent = new SubagentRun(shell, spawned);
  runs.add(subagent);
  return subagent;
}

// The limits are checked where it is noted, so that no two sub-agents can be the last that is allowed.
async function noteInParent(shell: Shell, { parent, refused }: SpawnOrder, spawned: SpawnedSubagent): Promise<void> {
  const { key: child, run, mode, label, cleanup } = spawned;
  const entry: NewEntry<SpawnEntry> = {
    ...{ type: "spawn", child, run, mode },
    ...(label === undefined ? {} : { label }),
    ...(cleanup === undefined ? {} : { cleanup }),
  };
  await shell.ledger.append(parent.key, ({ key, uuid, ancestors, subagents }) => {
    if (uuid !== parent.uuid) throw new Refusal("error", "This session was removed; nothing was spawned.");
    const verdict = canSpawn(shell.config, { parent: { key, ancestors }, child, live: subagents.length });
    if (!verdict.allowed) throw refused(verdict);
    return [entry];
  });
}

async function makeChild(
  shell: Shell,
  spawned: SpawnedSubagent,
  entries: NewEntry[],
  ancestors: SessionKey[],
): Promise<void> {
  const { key, claim } = spawned;
  try {
    await shell.ledger.append(key, () => entries, { claim, ancestors });
  } catch (error) {
    await endSubagent(shell, { ...spawned, mode: "run" }, { status: "failed", code: "STORAGE" });
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
