import { isActivated } from "../core/activation.js";
import type { SessionRecord } from "../core/record.js";
import { maySend } from "../core/send-policy.js";
import { isSessionError } from "../errors.js";
import type { Claim } from "../storage/storage.js";
import { endInterrupted } from "./interrupted.js";
import type { TurnOutcome } from "./outcome.js";
import { answerDuplicate, seenBefore } from "./seen.js";
import type { Arrival, Shell } from "./shell.js";
import { Turn, userEntry } from "./turn.js";
import type { Slot } from "./turn-queue.js";

/** Deals with a message whose turn in the queue has come. */
export async function takeIn(shell: Shell, arrival: Arrival, slot: Slot): Promise<TurnOutcome> {
  const { key } = arrival;
  const record = await shell.ledger.open(key);
  const seen = seenBefore(record, arrival);
  const reason = seen === undefined ? whyUnanswered(shell, arrival, record) : undefined;
  if (reason !== undefined) return note(shell, arrival, slot, reason);
  const signal = arrival.signal === undefined ? slot.signal : AbortSignal.any([slot.signal, arrival.signal]);
  const claim = await claimOrAbort(shell, arrival, signal);
  // Stopped while it waited: it is kept, and ends without the model being called.
  if (claim === undefined) return abandon(shell, arrival, slot);
  try {
    // Whoever held the claim until now may be another process, to which the platform sent the same message.
    const current = await shell.ledger.open(key);
    // No turn of the session runs now, so what is open was left by a process that died.
    if (current.openTurns.length > 0) await endInterrupted(shell, current, claim);
    const seenNow = seenBefore(current, arrival);
    if (seenNow !== undefined) return await answerDuplicate(shell, current, seenNow);
    return await new Turn(shell, arrival, slot, claim, AbortSignal.any([signal, claim.signal])).run();
  } finally {
    await claim.release();
  }
}

function whyUnanswered(
  shell: Shell,
  { key, message }: Arrival,
  record: SessionRecord,
): "not-mentioned" | "send-policy" | undefined {
  const { chatType, channel } = message.address;
  if (!isActivated({ chatType, mentioned: message.mentioned }, record.state.activationMode)) return "not-mentioned";
  return maySend({ channel, chatType }, key, shell.config.session.sendPolicy) ? undefined : "send-policy";
}

async function note(
  shell: Shell,
  arrival: Arrival,
  slot: Slot,
  reason: "not-mentioned" | "send-policy",
): Promise<TurnOutcome> {
  const { record, appended } = await shell.ledger.append(arrival.key, (current) =>
    seenBefore(current, arrival) === undefined ? [{ ...userEntry(arrival, slot), unanswered: reason }] : undefined,
  );
  const seen = appended.length === 0 ? seenBefore(record, arrival) : undefined;
  if (seen !== undefined) return answerDuplicate(shell, record, seen);
  shell.events.emit("message.recorded", { key: arrival.key, uuid: record.uuid, id: appended[0]?.id ?? "" });
  return { status: "ignored", key: arrival.key, reason };
}

async function claimOrAbort(shell: Shell, { key }: Arrival, signal: AbortSignal): Promise<Claim | undefined> {
  if (signal.aborted) return undefined;
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
          { ...userEntry(arrival, slot), id: turn, turn: true },
          { type: "turn", of: turn, status: "aborted" },
        ]
      : undefined,
  );
  const seen = appended.length === 0 ? seenBefore(record, arrival) : undefined;
  if (seen !== undefined) return answerDuplicate(shell, record, seen);
  shell.events.emit("turn.aborted", { key: arrival.key, uuid: record.uuid, turn });
  return { status: "aborted", key: arrival.key, partial: "" };
}
