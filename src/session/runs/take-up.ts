import { isEntryOf, type RunEntry } from "../../core/entry.js";
import { parseSessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { codeOf } from "../error-code.js";
import { claimOfTheDead } from "../interrupted.js";
import type { NewEntry } from "../ledger.js";
import type { Shell } from "../shell.js";
import { startRun } from "./cause-run.js";

/**
 * Puts in line what a session was sent, accepted and has not begun: by a process that died, or by one that lives and will find it
 * done. Who has the claim when its turn comes runs it, and nobody else.
 */
export async function takeUp(shell: Shell, record: SessionRecord): Promise<void> {
  if (shell.provider === undefined) return;
  for (const run of record.waiting) {
    if (shell.runs.isAccepted(run)) continue;
    try {
      await takeUpOne(shell, record, run);
    } catch (error) {
      const about = { key: record.key, run, code: codeOf(error) };
      shell.logger.warn(about, "a message that waits for a session could not be taken up");
    }
  }
}

async function takeUpOne(shell: Shell, record: SessionRecord, run: string): Promise<void> {
  const [entry] = (await shell.ledger.from(record, run)) ?? [];
  if (shell.runs.isAccepted(run)) return;
  if (entry === undefined || !isEntryOf(entry, "run")) {
    // Its line is damaged and set aside. What cannot be run must not wait for ever.
    await shell.ledger.append(record.key, ({ uuid, waiting }) =>
      uuid === record.uuid && waiting.includes(run) ? [{ type: "turn", of: run, status: "interrupted" }] : undefined,
    );
  } else if (isForSubagent(record, entry)) {
    await tellOnly(shell, record, entry);
  } else if (entry.provenance.kind !== "task") {
    startRun(shell, { key: record.key, entry });
  }
}

// The result of a sub-agent of a sub-agent. Who runs the one it was for answers it; when nobody does, it has ended, and an answer
// would be nobody's.
function isForSubagent({ key }: SessionRecord, { provenance }: RunEntry): boolean {
  return provenance.kind === "sub-agent" && parseSessionKey(key).kind === "subagent";
}

async function tellOnly(shell: Shell, { key, uuid: meant }: SessionRecord, entry: RunEntry): Promise<void> {
  const { id, content, provenance } = entry;
  if (shell.runs.live(key) !== undefined) return;
  const claim = await claimOfTheDead(shell, key);
  if (claim === undefined) return;
  try {
    const tell = ({ uuid, waiting }: SessionRecord): NewEntry[] | undefined =>
      uuid === meant && waiting.includes(id) ? [{ role: "user", content, provenance }] : undefined;
    await shell.ledger.append(key, tell, { claim });
  } finally {
    await claim.release();
  }
}
