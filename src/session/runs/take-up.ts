import { isEntryOf, type RunEntry } from "../../core/entry.js";
import type { SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { waitingRun } from "../../core/runs.js";
import { codeOf } from "../error-code.js";
import { claimOfTheDead, type InterruptedTurn } from "../interrupted.js";
import type { NewEntry } from "../ledger.js";
import { letGo } from "../let-go.js";
import type { Arrival, Shell } from "../shell.js";
import { startRun } from "./cause-run.js";
import { settleSubagents } from "./orphans.js";
import { LOOK_AGAIN_MS } from "./runs.js";

/**
 * Deals with what other processes have left in a session. `seldom`: not with what they may still be at themselves, or what has been looked
 * at lately.
 * `found` gets the turns of sub-agents that were cut off.
 */
export async function tidy(
  shell: Shell,
  record: SessionRecord,
  options: { seldom?: boolean; found?: InterruptedTurn[] } = {},
): Promise<void> {
  const [settled] = await Promise.allSettled([settleSubagents(shell, record, options)]);
  const now = await shell.ledger.read(record.key);
  if (now !== undefined) await takeUp(shell, now, options.seldom === true);
  if (settled.status === "rejected") throw settled.reason;
}

/** As `tidy`, behind a turn that has come, where there seems to be something. */
export function tidyBehind(shell: Shell, record: SessionRecord, { line, place }: Arrival): void {
  const { runs, provider } = shell;
  // After a start, whoever writes first finds everything done.
  const seldom = place === undefined || !runs.isFirst(record.uuid);
  if (place !== undefined) runs.isDue(record.uuid, shell.clock.now());
  const isLeft = ({ run }: { run: string }) => !runs.isAccepted(run) && run !== line.provenance?.run;
  const waits = provider !== undefined && record.waiting.some(isLeft);
  const areHere = [...record.subagents, ...record.toDelete].every(({ key }) => runs.live(key) !== undefined);
  if (!waits && areHere) return;
  void runs.inBackground(tidy(shell, record, { seldom }), (error) => complainOfLeft(shell, record.key, error));
}

/** Deals with the sub-agents that others have left in a session. What is wrong with them must not cost who uses it now. */
export async function settleLeft(shell: Shell, key: SessionKey): Promise<void> {
  try {
    const left = await shell.ledger.read(key);
    if (left !== undefined) await settleSubagents(shell, left, { seldom: true });
  } catch (error) {
    complainOfLeft(shell, key, error);
  }
}

function complainOfLeft({ logger }: Shell, key: SessionKey, error: unknown): void {
  logger.warn({ key, code: codeOf(error) }, "what others have left could not be dealt with");
}

/**
 * Puts in line what a session was sent, accepted and has not begun: by a process that died, or by one that lives and will find it
 * done. Who has the claim when its turn comes runs it, and nobody else.
 */
async function takeUp(shell: Shell, record: SessionRecord, seldom: boolean): Promise<void> {
  if (shell.provider === undefined) return;
  for (const { run } of record.waiting) {
    if (shell.runs.isAccepted(run)) continue;
    try {
      await takeUpOne(shell, record, run, seldom);
    } catch (error) {
      const about = { key: record.key, run, code: codeOf(error) };
      shell.logger.warn(about, "a message that waits for a session could not be taken up");
    }
  }
}

async function takeUpOne(shell: Shell, record: SessionRecord, run: string, seldom: boolean): Promise<void> {
  const [entry] = (await shell.ledger.from(record, run)) ?? [];
  const { runs, clock } = shell;
  const now = clock.now();
  const isYoung = seldom && entry !== undefined && now - Date.parse(entry.timestamp) < LOOK_AGAIN_MS;
  if ((isYoung && !runs.hasFailed(run)) || runs.isAccepted(run)) return;
  // Two that wait and cannot begin would otherwise put each other in line for as long as the fault lasts.
  if (seldom && !runs.isDue(run, now)) return;
  // Its line is damaged and set aside. What cannot be run must not wait for ever.
  if (entry === undefined || !isEntryOf(entry, "run"))
    return appendWaiting(shell, record, run, { type: "turn", of: run, status: "interrupted" });
  const { kind } = entry.provenance;
  if (kind === "sub-agent") await tell(shell, record, entry);
  else if (kind === "inter-session") startRun(shell, { key: record.key, entry });
}

// Where an answer to it would have gone, only its process knew. So it is told, and the next message's answer takes it into account.
// Who still deals with it holds the claim of the sub-agent.
async function tell(shell: Shell, record: SessionRecord, { id, content, provenance }: RunEntry): Promise<void> {
  if (shell.runs.live(provenance.from) !== undefined) return;
  const claim = await claimOfTheDead(shell, provenance.from);
  if (claim === undefined) return;
  try {
    await appendWaiting(shell, record, id, { role: "user", content, provenance });
  } finally {
    await letGo(shell, provenance.from, claim);
  }
}

async function appendWaiting(shell: Shell, { key, uuid }: SessionRecord, run: string, entry: NewEntry): Promise<void> {
  await shell.ledger.append(
    key,
    (record) => {
      const waiting = record.uuid === uuid ? waitingRun(record, run) : undefined;
      if (waiting === undefined) return undefined;
      return ["role" in entry && waiting.cleared ? { ...entry, cleared: true as const } : entry];
    },
    { mustExist: true },
  );
}
