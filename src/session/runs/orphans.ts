import { isEntryOf } from "../../core/entry.js";
import { NO_CAUSE } from "../../core/hops.js";
import type { SessionRecord } from "../../core/record.js";
import type { LiveSubagent } from "../../core/runs.js";
import type { Claim } from "../../storage/storage.js";
import { claimOfTheDead, endInterrupted } from "../interrupted.js";
import type { Shell } from "../shell.js";
import { readRun, shortReply } from "./run-report.js";
import { endSubagent, type SubagentResult } from "./subagent-end.js";

/**
 * Ends the sub-agents of a session whose process has died, and tells the session of each once: as orphaned, unless its transcript has
 * its end. Who runs a sub-agent holds its claim, so one that can be had is nobody's.
 *
 * `seldom`: only those that have not been looked at for a while, since looking at what another process runs takes a second.
 */
export async function settleSubagents(
  shell: Shell,
  { key, uuid, subagents }: SessionRecord,
  options: { seldom?: boolean } = {},
): Promise<void> {
  const { runs, clock } = shell;
  const settle = async (subagent: LiveSubagent) => {
    if (runs.live(subagent.key) !== undefined) return;
    if (!runs.isDue(subagent.run, clock.now()) && options.seldom === true) return;
    const claim = await claimOfTheDead(shell, subagent.key);
    if (claim === undefined) return;
    try {
      await endOrphan(shell, { key, uuid }, subagent, claim);
    } finally {
      await claim.release();
    }
    if (subagent.cleanup === "delete") await shell.ledger.storage.delete(subagent.key);
  };
  const settled = await Promise.allSettled(subagents.map(settle));
  for (const one of settled) if (one.status === "rejected") throw one.reason;
}

async function endOrphan(
  shell: Shell,
  parent: Pick<SessionRecord, "key" | "uuid">,
  { key, run, mode, label }: LiveSubagent,
  claim: Claim,
): Promise<void> {
  const child = await shell.ledger.read(key);
  if (child !== undefined) {
    await settleSubagents(shell, child);
    await endInterrupted(shell, child, claim);
  }
  const task = { key, run, parent, mode, label, cause: NO_CAUSE, hops: 0 };
  await endSubagent(shell, task, await resultOf(shell, child, run), { tell: "late" });
}

// It may have ended, and only its parent not have been told. With sub-agents of its own, nobody can say that it had.
async function resultOf(shell: Shell, child: SessionRecord | undefined, run: string): Promise<SubagentResult> {
  if (child === undefined) return { status: "orphaned" };
  const report = (await readRun(shell, child, run))?.report;
  if (report?.status !== "ok" || (await hasStarted(shell, child))) return { status: "orphaned" };
  const { reply } = shortReply(report);
  return { status: "completed", ...(reply === undefined ? {} : { text: reply }) };
}

async function hasStarted({ ledger }: Shell, { uuid }: SessionRecord): Promise<boolean> {
  for await (const entry of ledger.storage.entries(uuid))
    if (isEntryOf(entry, "spawn") && entry.mode === "start") return true;
  return false;
}
