import { isEntryOf, type SpawnEntry, type SubagentEnd } from "../../core/entry.js";
import type { SessionKey } from "../../core/key.js";
import type { Usage } from "../../core/message.js";
import type { SessionRecord } from "../../core/record.js";
import { waitingRun } from "../../core/runs.js";
import type { Shell } from "../shell.js";

/** A sub-agent, and what has become of it. */
export interface Subagent {
  key: SessionKey;
  runId: string;
  status: "pending" | "running" | SubagentEnd;
  mode: SpawnEntry["mode"];
  label?: string;
  spawned: string;
  ended?: string;
  /** What it has cost, with its own sub-agents: known when it has ended, also when it has been deleted. */
  usage?: Usage;
}

/** Every sub-agent a session has spawned, oldest first. */
export async function subagentsOf(shell: Shell, { uuid, subagents }: SessionRecord): Promise<Subagent[]> {
  const found = new Map<string, Subagent>();
  for await (const entry of shell.ledger.storage.entries(uuid)) {
    if (isEntryOf(entry, "spawn")) {
      const { child: key, run: runId, mode, label, timestamp: spawned } = entry;
      const named = label === undefined ? {} : { label };
      found.set(runId, { key, runId, status: "running", mode, ...named, spawned });
    } else if (isEntryOf(entry, "spawn-end")) {
      const subagent = found.get(entry.run);
      if (subagent === undefined || subagent.ended !== undefined) continue;
      const { status, timestamp: ended, usage } = entry;
      found.set(entry.run, { ...subagent, status, ended, ...(usage === undefined ? {} : { usage }) });
    }
  }
  for (const { key, run } of subagents) {
    const subagent = found.get(run);
    if (subagent !== undefined && (await isPending(shell, key, run)))
      found.set(run, { ...subagent, status: "pending" });
  }
  return [...found.values()];
}

async function isPending({ runs, ledger }: Shell, key: SessionKey, run: string): Promise<boolean> {
  const here = runs.live(key)?.state;
  if (here !== undefined) return here === "pending";
  const record = await ledger.read(key);
  return record === undefined || waitingRun(record, run) !== undefined;
}
