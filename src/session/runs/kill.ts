import { NO_CAUSE } from "../../core/hops.js";
import { parseSessionKey, type SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import type { LiveSubagent } from "../../core/runs.js";
import { codeOf } from "../error-code.js";
import type { NewEntry } from "../ledger.js";
import type { Shell } from "../shell.js";
import { deleteLeft } from "./delete-subagent.js";
import { endSubagent } from "./subagent-end.js";

/** Stops a sub-agent and what was spawned below it, wherever they run. @returns whether it was alive. */
export async function killSubagent(shell: Shell, key: SessionKey): Promise<boolean> {
  if (parseSessionKey(key).kind !== "subagent") return false;
  const live = shell.runs.live(key);
  const isHere = live !== undefined && live.state !== "ended";
  if (isHere) live.stop("killed");
  // Also what one that has ended has spawned since.
  const below = shell.runs.stopDescendants(key);
  await Promise.allSettled([...(isHere ? [live] : []), ...below].map(({ ended }) => ended));
  if (isHere) return true;
  const parent = await parentOf(shell, key);
  const subagent = parent?.subagents.find((one) => one.key === key);
  if (parent === undefined || subagent === undefined) return false;
  await killElsewhere(shell, parent, subagent);
  return true;
}

/** Stops everything below a session. @returns how many sub-agents of its own were alive. */
export async function killSubagents(shell: Shell, { key, subagents }: SessionRecord): Promise<number> {
  const below = shell.runs.stopDescendants(key);
  const killed = await Promise.all(subagents.map((subagent) => killSubagent(shell, subagent.key)));
  await Promise.allSettled(below.map(({ ended }) => ended));
  return killed.filter(Boolean).length;
}

// One whose session was never made, because its process died before, is known to its parent alone.
async function parentOf({ ledger }: Shell, key: SessionKey): Promise<SessionRecord | undefined> {
  const [parent] = (await ledger.read(key))?.ancestors ?? [];
  if (parent !== undefined) return ledger.read(parent);
  for await (const record of ledger.storage.list()) if (record.subagents.some((one) => one.key === key)) return record;
  return undefined;
}

// The process that runs it cannot be told. It finds its turn ended, so that nothing it still says is stored as an answer or sent.
async function killElsewhere(
  shell: Shell,
  { key, uuid }: SessionRecord,
  { run, mode, label, cleanup, key: childKey }: LiveSubagent,
): Promise<void> {
  const child = await shell.ledger.read(childKey);
  if (child !== undefined) await killSubagents(shell, child);
  const task = { key: childKey, run, mode, label, parent: { key, uuid }, cause: NO_CAUSE, hops: 0 };
  await endSubagent(shell, task, { status: "killed" });
  const unfinished = (error: unknown) =>
    shell.logger.warn({ key: childKey, code: codeOf(error) }, "the session of a sub-agent could not be deleted yet");
  // Not waited for: a process that lives holds it until it has noticed.
  if (cleanup === "delete")
    void shell.runs.inBackground(deleteLeft(shell, { key, uuid }, { key: childKey, run }), unfinished);
  if (child === undefined) return;
  const endTurns = ({ uuid: now, openTurns }: SessionRecord): NewEntry[] | undefined =>
    now === child.uuid ? openTurns.map((of) => ({ type: "turn", of, status: "aborted" })) : undefined;
  await shell.ledger.append(childKey, endTurns);
}
