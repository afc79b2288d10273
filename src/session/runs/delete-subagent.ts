import type { SessionRecord } from "../../core/record.js";
import type { EndedSubagent } from "../../core/runs.js";
import { claimOfTheDead } from "../interrupted.js";
import { letGo } from "../let-go.js";
import type { Shell } from "../shell.js";

/** Deletes the session of a sub-agent that was not to be kept, after its end, and notes it with its parent: until then, others try it. */
export async function deleteSubagent(
  { ledger }: Shell,
  parent: Pick<SessionRecord, "key" | "uuid">,
  { key: child, run }: EndedSubagent,
): Promise<void> {
  await ledger.storage.delete(child);
  await ledger.append(parent.key, ({ uuid, toDelete }) =>
    uuid === parent.uuid && toDelete.some((one) => one.run === run)
      ? [{ type: "spawn-deleted", child, run }]
      : undefined,
  );
}

/** As `deleteSubagent`, for one that another process has run: not before that is done with it, or dead. */
export async function deleteLeft(
  shell: Shell,
  parent: Pick<SessionRecord, "key" | "uuid">,
  subagent: EndedSubagent,
): Promise<void> {
  if (shell.runs.live(subagent.key) !== undefined) return;
  const claim = await claimOfTheDead(shell, subagent.key);
  if (claim === undefined) return;
  await letGo(shell, subagent.key, claim);
  await deleteSubagent(shell, parent, subagent);
}
