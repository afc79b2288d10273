import type { Provenance, RunEntry } from "../../core/entry.js";
import { parseSessionKey, type SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { takeIn } from "../intake.js";
import type { NewEntry } from "../ledger.js";
import type { TurnOutcome } from "../outcome.js";
import type { Arrival, ReplyTo, Shell } from "../shell.js";

// A record names those that wait. One session that is written to by many must answer them some day.
const MOST_WAITING = 32;

/** A message of one session to another, and what its turn will be. */
export interface CausedRun {
  run: string;
  /** Resolves when it is durable: from then on it is not lost. */
  stored: Promise<SessionRecord>;
  outcome: Promise<TurnOutcome>;
}

/** A message that another session's line is about to get. */
export interface RunMessage {
  key: SessionKey;
  content: string;
  provenance: Omit<Provenance, "run">;
}

/** Too many messages wait for one session. */
export class TooManyWaiting extends Error {}

/** The line by which a message is accepted. */
export function runEntry(id: string, { content, provenance }: Omit<RunMessage, "key">): NewEntry<RunEntry> {
  return { type: "run", id, content, provenance: { ...provenance, run: id } };
}

/**
 * Puts a message in a session's line: durable first, then its turn like any other's.
 * @throws QueueFullError, ClosedError at once, when it was not accepted.
 */
export function causeRun(shell: Shell, message: RunMessage): CausedRun {
  const { key } = message;
  const run = shell.ledger.newEntryId();
  const entry = runEntry(run, message);
  let stored: Promise<SessionRecord>;
  // Its place is taken before anything is waited for, so that messages are answered in the order in which they were sent.
  const outcome = startRun(shell, { key, entry, ready: () => stored });
  const accept = ({ waiting }: SessionRecord) => {
    if (waiting.length >= MOST_WAITING) throw new TooManyWaiting();
    return [entry];
  };
  // A room is made by who speaks in it, and a sub-agent by who spawns it: made here it would be nobody's, and free.
  const { kind } = parseSessionKey(key);
  const mustExist = kind === "group" || kind === "subagent";
  stored = shell.ledger.append(key, accept, { mustExist }).then(({ record }) => record);
  return { run, stored, outcome };
}

/** Runs the turn of a message that is accepted, or will be when `ready` has resolved. */
export function startRun(
  shell: Shell,
  options: {
    key: SessionKey;
    entry: NewEntry<RunEntry>;
    replyTo?: ReplyTo | undefined;
    signal?: AbortSignal | undefined;
    ready?: () => Promise<unknown>;
  },
): Promise<TurnOutcome> {
  const { key, entry, ready } = options;
  const arrival = runArrival(options);
  // What a sub-agent came to must get through to who waits for it.
  const asksForAnswer = entry.provenance.kind !== "sub-agent";
  const outcome = shell.queue.run(key, asksForAnswer, async (slot) => {
    await ready?.();
    return takeIn(shell, arrival, slot);
  });
  // Whoever does not wait for it must not end the process when it fails; it is in the transcript, and told as an event.
  void Promise.allSettled([outcome]);
  shell.runs.accept(entry.provenance.run, outcome);
  return outcome;
}

/** What is dealt with when the turn of a message between sessions has come. */
export function runArrival({
  key,
  entry,
  replyTo,
  signal,
}: {
  key: SessionKey;
  entry: Pick<RunEntry, "content" | "provenance">;
  replyTo?: ReplyTo | undefined;
  signal?: AbortSignal | undefined;
}): Arrival {
  const { agentId } = parseSessionKey(key);
  const line = { content: entry.content, provenance: entry.provenance };
  return { key, agentId, line, signal, ...(replyTo === undefined ? {} : { replyTo }) };
}
