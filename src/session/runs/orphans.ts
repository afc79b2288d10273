import { NO_CAUSE } from "../../core/hops.js";
import type { SessionRecord } from "../../core/record.js";
import type { LiveSubagent } from "../../core/runs.js";
import type { Claim } from "../../storage/storage.js";
import { claimOfTheDead, endInterrupted } from "../interrupted.js";
import type { Shell } from "../shell.js";
import { endSubagent } from "./subagent-end.js";

/**
 * Ends, as orphaned, the sub-agents of a session whose process has died, and tells the session of each once. Who runs a sub-agent holds
 * its claim, so one that can be had is nobody's.
 *
 * `once`: only those this process has not looked at before, since looking at what another runs takes a second.
 */
export async function settleSubagents(
  shell: Shell,
  { key, uuid, subagents }: SessionRecord,
  options: { once?: boolean } = {},
): Promise<void> {
  for (const subagent of subagents) {
    if (shell.runs.live(subagent.key) !== undefined) continue;
    if (!shell.runs.isFirst(subagent.run) && options.once === true) continue;
    const claim = await claimOfTheDead(shell, subagent.key);
    if (claim === undefined) continue;
    try {
      await endOrphan(shell, { key, uuid }, subagent, claim);
    } finally {
      await claim.release();
    }
  }
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
    // It had not begun: then its task is no message yet.
    await shell.ledger.append(
      key,
      ({ uuid, waiting }) =>
        uuid === child.uuid && waiting.includes(run) ? [{ type: "turn", of: run, status: "interrupted" }] : undefined,
      { claim },
    );
  }
  await endSubagent(shell, { key, run, parent, mode, label, cause: NO_CAUSE, hops: 0 }, { status: "orphaned" });
}
