import { isActivated } from "../core/activation.js";
import type { SessionRecord } from "../core/record.js";
import { waitingRun } from "../core/runs.js";
import { maySend } from "../core/send-policy.js";
import { isSessionError } from "../errors.js";
import type { Claim } from "../storage/storage.js";
import { anySignal } from "./any-signal.js";
import { endInterrupted } from "./interrupted.js";
import { letGo } from "./let-go.js";
import type { TurnOutcome } from "./outcome.js";
import { answerDuplicate, seenBefore } from "./seen.js";
import type { Arrival, Shell } from "./shell.js";
import { Turn, userEntry } from "./turn.js";
import type { Slot } from "./turn-queue.js";

/** Deals with a message whose turn in the queue has come. */
export async function takeIn(shell: Shell, arrival: Arrival, slot: Slot): Promise<TurnOutcome> {
  const record = await recordFor(shell, arrival);
  if (record === undefined) return gone(arrival);
  const seen = seenBefore(record, arrival);
  const reason = seen === undefined ? whyUnanswered(shell, arrival, record) : undefined;
  if (reason !== undefined) return note(shell, arrival, slot, reason);
  const signal = anySignal(slot.signal, arrival.signal);
  // A sub-agent that runs here holds its session's claim for longer than a turn.
  const held = shell.runs.live(arrival.key)?.claim;
  const claim = signal.aborted ? undefined : (held ?? (await claimOrAbort(shell, arrival, signal)));
  if (claim === undefined) {
    if (await isLeftToOthers(shell, arrival, slot)) return gone(arrival);
    // Stopped while it waited: it is kept, and ends without the model being called.
    return abandon(shell, arrival, slot);
  }
  try {
    // Whoever held the claim until now may be another process, to which the platform sent the same message.
    const current = await recordFor(shell, arrival);
    if (current === undefined) return gone(arrival);
    // No turn of the session runs now, so what is open was left by a process that died.
    if (current.openTurns.length > 0) await endInterrupted(shell, current, claim);
    const seenNow = seenBefore(current, arrival);
    if (seenNow !== undefined) return await answerDuplicate(shell, current, seenNow);
    shell.tidy(current, arrival);
    if (isOutdatedResult(current, arrival)) return await tellOutdated(shell, arrival, slot);
    return await new Turn(shell, arrival, slot, claim, anySignal(signal, claim.signal)).run();
  } finally {
    if (claim !== held) await letGo(shell, arrival.key, claim);
  }
}

// A person's message makes its session. Another session's was accepted by one that is not there any more.
function recordFor(shell: Shell, { key, line }: Arrival): Promise<SessionRecord | undefined> {
  return line.provenance === undefined ? shell.ledger.open(key) : shell.ledger.read(key);
}

// What a sub-agent came to is not answered in a conversation that did not ask for it.
function isOutdatedResult(record: SessionRecord, { line }: Arrival): boolean {
  const { provenance } = line;
  return provenance?.kind === "sub-agent" && waitingRun(record, provenance.run)?.cleared === true;
}

async function tellOutdated(shell: Shell, arrival: Arrival, slot: Slot): Promise<TurnOutcome> {
  const { key } = arrival;
  await shell.ledger.append(key, (record) =>
    seenBefore(record, arrival) === undefined ? [userEntry(arrival, slot, record)] : undefined,
  );
  return { status: "silent", key };
}

// Another session's message has been accepted, and is still there for the next process, as if this one had been killed: unless it was
// stopped, be it by a command that is carried out just now.
async function isLeftToOthers(shell: Shell, { key, line, signal }: Arrival, slot: Slot): Promise<boolean> {
  if (line.provenance === undefined || !shell.queue.closing.aborted) return false;
  await shell.queue.commandsOver(key);
  return slot.endedBy === "close" && signal?.aborted !== true;
}

function gone({ key }: Arrival): TurnOutcome {
  return { status: "aborted", key, partial: "" };
}

function whyUnanswered(
  shell: Shell,
  { key, place }: Arrival,
  record: SessionRecord,
): "not-mentioned" | "send-policy" | undefined {
  if (place === undefined) return undefined;
  const { chatType, channel, mentioned } = place;
  if (!isActivated({ chatType, mentioned }, record.state.activationMode)) return "not-mentioned";
  return maySend({ channel, chatType }, key, shell.config.session.sendPolicy) ? undefined : "send-policy";
}

async function note(
  shell: Shell,
  arrival: Arrival,
  slot: Slot,
  reason: "not-mentioned" | "send-policy",
): Promise<TurnOutcome> {
  const { record, appended } = await shell.ledger.append(arrival.key, (current) =>
    seenBefore(current, arrival) === undefined
      ? [{ ...userEntry(arrival, slot, current), unanswered: reason }]
      : undefined,
  );
  const seen = appended.length === 0 ? seenBefore(record, arrival) : undefined;
  if (seen !== undefined) return answerDuplicate(shell, record, seen);
  shell.events.emit("message.recorded", { key: arrival.key, uuid: record.uuid, id: appended[0]?.id ?? "" });
  return { status: "ignored", key: arrival.key, reason };
}

async function claimOrAbort(shell: Shell, { key }: Arrival, signal: AbortSignal): Promise<Claim | undefined> {
  try {
    return await shell.ledger.storage.claim(key, { signal });
  } catch (error) {
    if (signal.aborted && !isSessionError(error)) return undefined;
    throw error;
  }
}

async function abandon(shell: Shell, arrival: Arrival, slot: Slot): Promise<TurnOutcome> {
  const turn = shell.ledger.newEntryId();
  const { record, appended } = await shell.ledger.append(arrival.key, (current) =>
    seenBefore(current, arrival) === undefined
      ? [
          { ...userEntry(arrival, slot, current), id: turn, turn: true },
          { type: "turn", of: turn, status: "aborted" },
        ]
      : undefined,
  );
  const seen = appended.length === 0 ? seenBefore(record, arrival) : undefined;
  if (seen !== undefined) return answerDuplicate(shell, record, seen);
  shell.events.emit("turn.aborted", { key: arrival.key, uuid: record.uuid, turn });
  return { status: "aborted", key: arrival.key, partial: "" };
}
