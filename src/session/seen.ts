import type { SessionRecord } from "../core/record.js";
import { waitingRun } from "../core/runs.js";
import { messageOf, storedOutcome, type TurnOutcome } from "./outcome.js";
import type { Arrival, Shell } from "./shell.js";

/** What has been dealt with already: a message of a platform, or of another session. */
interface Seen {
  /** The entry that says so. */
  id: string;
  messageId?: string;
}

/**
 * The earlier delivery of the same platform message: same id, from the same chat on the same account. A message of another
 * session has been dealt with when it does not wait any more.
 */
export function seenBefore(record: SessionRecord, { line }: Arrival): Seen | undefined {
  const { provenance, messageId, address } = line;
  if (provenance !== undefined) return waitingRun(record, provenance.run) ? undefined : { id: provenance.run };
  if (messageId === undefined) return undefined;
  return record.recentMessages.find((seen) => seen.messageId === messageId && seen.address === address);
}

/** Answers a redelivery with what the first delivery came to. */
export async function answerDuplicate(
  shell: Shell,
  record: SessionRecord,
  { id, messageId }: Seen,
): Promise<TurnOutcome & { status: "duplicate" }> {
  const { key, uuid } = record;
  const entries = (await shell.ledger.from(record, id)) ?? [];
  const at = messageOf(entries, id);
  const outcome = storedOutcome(key, entries.slice(Math.max(0, at)));
  if (messageId !== undefined) shell.events.emit("message.duplicate", { key, uuid, messageId });
  return { status: "duplicate", key, ...(outcome === undefined ? {} : { outcome }) };
}
