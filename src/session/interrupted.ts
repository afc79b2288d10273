import { isMessageEntry, type TurnEntry } from "../core/entry.js";
import { parseSessionKey, type SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import type { Claim } from "../storage/storage.js";
import type { NewEntry } from "./ledger.js";
import { letGo } from "./let-go.js";
import type { Shell } from "./shell.js";

/** A turn that a crash cut off: the message is stored and unanswered. */
export interface InterruptedTurn {
  key: SessionRecord["key"];
  uuid: string;
  /** The id of the message that began it. */
  turn: string;
  /** The platform's id of that message. */
  messageId?: string;
}

/** The ends of turns whose process died. Only who holds the claim may write them. */
function interruptedEntries(openTurns: readonly string[]): NewEntry<TurnEntry>[] {
  return openTurns.map((of) => ({ type: "turn", of, status: "interrupted" }));
}

async function reportsOf(shell: Shell, record: SessionRecord): Promise<InterruptedTurn[]> {
  const { key, uuid, openTurns } = record;
  // No platform writes to a sub-agent, and the message of its task stands at the very beginning.
  const isFromPlatform = parseSessionKey(key).kind !== "subagent";
  const reports: InterruptedTurn[] = [];
  for (const turn of openTurns) {
    const [message] = (isFromPlatform ? await shell.ledger.from(record, turn) : undefined) ?? [];
    const messageId = message !== undefined && isMessageEntry(message) ? message.messageId : undefined;
    reports.push({ key, uuid, turn, ...(messageId === undefined ? {} : { messageId }) });
  }
  return reports;
}

// A claim whose holder has died is free within a second; one that is not free by then is held by a turn that runs. Counted in
// steps, so that a process that was busy itself for that long has one step less and does not take its own second for the holder's.
const STEPS = 10;
const STEP_MS = 100;

/**
 * Marks the open turns of a session as interrupted, unless this manager or another process is running one of them. The claim
 * is enough to keep turns out meanwhile; waiting in the queue could wait for a command whose `authorize` asked for this very
 * session.
 */
export async function settleInterrupted(shell: Shell, record: SessionRecord): Promise<InterruptedTurn[]> {
  if (record.openTurns.length === 0 || shell.queue.busy(record.key)) return [];
  const claim = await claimOfTheDead(shell, record.key);
  if (claim === undefined) return [];
  try {
    return await endInterrupted(shell, record, claim);
  } finally {
    await letGo(shell, record.key, claim);
  }
}

/** The claim of a session, when nobody alive has it. */
export async function claimOfTheDead(shell: Shell, key: SessionKey): Promise<Claim | undefined> {
  const enough = new AbortController();
  let steps = 0;
  const timer = setInterval(() => {
    steps += 1;
    if (steps === STEPS) enough.abort(new DOMException("Its holder is alive.", "TimeoutError"));
  }, STEP_MS);
  try {
    return await shell.ledger.storage.claim(key, { signal: enough.signal });
  } catch (error) {
    if (!enough.signal.aborted || error !== enough.signal.reason) throw error;
    shell.logger.debug({ key }, "whoever holds this session is alive");
    return undefined;
  } finally {
    clearInterval(timer);
  }
}

/** Ends those of a record's open turns that are still open. Only who holds the claim may. */
export async function endInterrupted(shell: Shell, record: SessionRecord, claim: Claim): Promise<InterruptedTurn[]> {
  const { key, uuid } = record;
  // Read before they are marked: a turn that is marked and not told of would be found by nobody.
  const reports = await reportsOf(shell, record);
  let open: readonly string[] = [];
  await shell.ledger.append(
    key,
    (current) => {
      open = current.uuid === uuid ? record.openTurns.filter((turn) => current.openTurns.includes(turn)) : [];
      return open.length === 0 ? undefined : interruptedEntries(open);
    },
    { claim },
  );
  const ended = reports.filter(({ turn }) => open.includes(turn));
  for (const report of ended) shell.events.emit("turn.interrupted", report);
  return ended;
}
