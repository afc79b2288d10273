import { isEntryOf } from "../../core/entry.js";
import { NO_CAUSE } from "../../core/hops.js";
import type { SessionRecord } from "../../core/record.js";
import { type EndedSubagent, type LiveSubagent, waitingRun } from "../../core/runs.js";
import type { Claim } from "../../storage/storage.js";
import { claimOfTheDead, endInterrupted, type InterruptedTurn } from "../interrupted.js";
import { letGo } from "../let-go.js";
import type { Shell } from "../shell.js";
import { deleteLeft, deleteSubagent } from "./delete-subagent.js";
import { readRun, shortReply } from "./run-report.js";
import { endSubagent, type SubagentResult } from "./subagent-end.js";

/**
 * Ends the sub-agents of a session whose process has died, and tells the session of each once: as orphaned, unless its transcript has
 * its end. Deletes those that have ended and were not to be kept. Who runs a sub-agent holds its claim, so one that can be had is nobody's.
 *
 * `seldom`: only those that have not been looked at for a while, since looking at what another process runs takes a second.
 * `found` gets the turns of sub-agents that were cut off, as soon as each is marked.
 */
export async function settleSubagents(
  shell: Shell,
  { key, uuid, subagents, toDelete }: SessionRecord,
  options: { seldom?: boolean; found?: InterruptedTurn[] } = {},
): Promise<void> {
  const { runs, clock } = shell;
  const { found = [] } = options;
  const parent = { key, uuid };
  const isDue = (what: string) => runs.isDue(what, clock.now()) || options.seldom !== true;
  const settle = async (subagent: LiveSubagent) => {
    if (runs.live(subagent.key) !== undefined || !isDue(subagent.run)) return;
    const claim = await claimOfTheDead(shell, subagent.key);
    if (claim === undefined) return;
    try {
      await endOrphan(shell, parent, subagent, { claim, found });
    } finally {
      await letGo(shell, subagent.key, claim);
    }
    if (subagent.cleanup === "delete") await deleteSubagent(shell, parent, subagent);
  };
  const remove = async (subagent: EndedSubagent) => {
    if (isDue(`deletion of ${subagent.run}`)) await deleteLeft(shell, parent, subagent);
  };
  const settled = await Promise.allSettled([...subagents.map(settle), ...toDelete.map(remove)]);
  for (const one of settled) if (one.status === "rejected") throw one.reason;
}

async function endOrphan(
  shell: Shell,
  parent: Pick<SessionRecord, "key" | "uuid">,
  { key, run, mode, label }: LiveSubagent,
  { claim, found }: { claim: Claim; found: InterruptedTurn[] },
): Promise<void> {
  const child = await shell.ledger.read(key);
  if (child !== undefined) {
    await settleSubagents(shell, child, { found });
    found.push(...(await endInterrupted(shell, child, claim)));
  }
  const task = { key, run, parent, mode, label, cause: NO_CAUSE, hops: 0 };
  await endSubagent(shell, task, await resultOf(shell, child, run), { tell: "late" });
}

// It may have ended, and only its parent not have been told. With sub-agents of its own, nobody can say that it had.
// `child` as it was before its open turns were ended: no more is read of one that was at its task.
async function resultOf(shell: Shell, child: SessionRecord | undefined, run: string): Promise<SubagentResult> {
  if (child === undefined || waitingRun(child, run)) return { status: "orphaned" };
  const report = (await readRun(shell, child, run))?.report;
  if (report?.status === "error" && report.code !== "INTERRUPTED")
    return report.code === "ABORTED" ? { status: "killed" } : { status: "failed", code: report.code };
  if (report?.status !== "ok" || (await hasStarted(shell, child))) return { status: "orphaned" };
  const { reply } = shortReply(report);
  return { status: "completed", ...(reply === undefined ? {} : { text: reply }) };
}

async function hasStarted({ ledger }: Shell, { uuid }: SessionRecord): Promise<boolean> {
  for await (const entry of ledger.storage.entries(uuid))
    if (isEntryOf(entry, "spawn") && entry.mode === "start") return true;
  return false;
}
