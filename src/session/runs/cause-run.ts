import type { Provenance, RunEntry } from "../../core/entry.js";
import { parseSessionKey, type SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { SessionNotFoundError } from "../../errors.js";
import { takeIn } from "../intake.js";
import type { NewEntry } from "../ledger.js";
import type { TurnOutcome } from "../outcome.js";
import type { Arrival, ReplyTo, Shell } from "../shell.js";
import type { Slot } from "../turn-queue.js";

// A record names those that wait. One session that is written to by many must answer them some day.
const MOST_WAITING = 32;

/** How many messages of sessions may wait for one, and how many results of sub-agents: half of what a line takes of people's. */
export function mostWaiting({ config }: Pick<Shell, "config">): number {
  return Math.max(1, Math.min(MOST_WAITING, Math.floor(config.messages.queue.cap / 2)));
}

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

/** A message that is not to be sent any more, because who sends it was stopped. */
export class Stopped extends Error {}

/**
 * Puts a message in a session's line: durable first, then its turn like any other's.
 * @throws QueueFullError, ClosedError at once, when it was not accepted. `stored` rejects with `Stopped` when `signal` has aborted before;
 * with `during`, when that conversation is over.
 */
export function causeRun(
  shell: Shell,
  message: RunMessage,
  {
    during,
    mayBegin = false,
    signal,
  }: {
    during?: Pick<SessionRecord, "key" | "uuid" | "lastClear">;
    /** Whether the session is made when there is none. */
    mayBegin?: boolean;
    signal?: AbortSignal;
  } = {},
): CausedRun {
  const { key } = message;
  const run = shell.ledger.newEntryId();
  const entry = runEntry(run, message);
  let settle!: { resolve(record: SessionRecord): void; reject(error: unknown): void };
  const stored = new Promise<SessionRecord>((resolve, reject) => {
    settle = { resolve, reject };
  });
  // Its place is taken before anything is waited for, so that messages are answered in the order in which they were sent.
  const outcome = startRun(shell, { key, entry, accepted: stored });
  const most = mostWaiting(shell);
  const accept = ({ uuid, lastClear, waiting }: SessionRecord) => {
    if (signal?.aborted) throw new Stopped();
    if (during !== undefined && (uuid !== during.uuid || lastClear !== during.lastClear)) throw isAnother(key);
    if (waiting.filter(({ result }) => !result).length >= most) throw new TooManyWaiting();
    return [entry];
  };
  shell.ledger
    .append(key, accept, { mustExist: !mayBegin })
    .then(({ record }) => record)
    .then(settle.resolve, settle.reject);
  return { run, stored, outcome };
}

function isAnother(key: SessionKey): SessionNotFoundError {
  return new SessionNotFoundError("The conversation has been cleared or removed, so nothing was stored.", {
    operation: "send",
    key,
  });
}

/** Runs the turn of a message that is accepted, or will be when `accepted` has resolved. */
export function startRun(
  shell: Shell,
  options: {
    key: SessionKey;
    entry: NewEntry<RunEntry>;
    replyTo?: ReplyTo | undefined;
    signal?: AbortSignal | undefined;
    accepted?: Promise<unknown>;
  },
): Promise<TurnOutcome> {
  const { key, entry, accepted } = options;
  const arrival = runArrival(options);
  const answer = async (slot: Slot) => {
    await accepted;
    return takeIn(shell, arrival, slot);
  };
  // They have a bound of their own, and must not keep people out.
  const outcome = shell.queue.run(key, false, answer, accepted);
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
