import { NO_CAUSE } from "../../core/hops.js";
import type { SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import type { LiveSubagent } from "../../core/runs.js";
import type { NewEntry } from "../ledger.js";
import type { Shell } from "../shell.js";
import { endSubagent } from "./subagent-end.js";

/** Stops a sub-agent and what it has spawned, wherever they run. @returns whether it was alive. */
export async function killSubagent(shell: Shell, key: SessionKey): Promise<boolean> {
  const live = shell.runs.live(key);
  if (live !== undefined && live.state !== "ended") {
    live.stop("killed");
    await live.ended;
    return true;
  }
  const child = await shell.ledger.read(key);
  const [parentKey] = child?.ancestors ?? [];
  const parent = parentKey === undefined ? undefined : await shell.ledger.read(parentKey);
  const subagent = parent?.subagents.find((one) => one.key === key);
  if (child === undefined || parent === undefined || subagent === undefined) return false;
  await killElsewhere(shell, parent, child, subagent);
  return true;
}

/** Stops all sub-agents of a session. @returns how many there were, without theirs. */
export async function killSubagents(shell: Shell, parent: SessionRecord): Promise<number> {
  const killed = await Promise.all(parent.subagents.map(({ key }) => killSubagent(shell, key)));
  return killed.filter(Boolean).length;
}

// The process that runs it cannot be told. It finds its turn ended, so that nothing it still says is stored as an answer or sent.
async function killElsewhere(
  shell: Shell,
  { key, uuid }: SessionRecord,
  child: SessionRecord,
  { run, mode, label, key: childKey }: LiveSubagent,
): Promise<void> {
  await killSubagents(shell, child);
  const task = { key: childKey, run, mode, label, parent: { key, uuid }, cause: NO_CAUSE, hops: 0 };
  await endSubagent(shell, task, { status: "killed" });
  await shell.ledger.append(childKey, ({ uuid: now, openTurns, waiting }) => {
    const open = [...openTurns, ...waiting.filter((id) => id === run)];
    const ends: NewEntry[] = open.map((of) => ({ type: "turn", of, status: "aborted" }));
    return now === child.uuid && ends.length > 0 ? ends : undefined;
  });
}
