import type { SeenMessage, SessionRecord } from "../core/record.js";
import { storedOutcome, type TurnOutcome } from "./outcome.js";
import type { Arrival, Shell } from "./shell.js";

/** The earlier delivery of the same platform message: same id, from the same chat on the same account. */
export function seenBefore(record: SessionRecord, { address, message }: Arrival): SeenMessage | undefined {
  if (message.messageId === undefined) return undefined;
  return record.recentMessages.find((seen) => seen.messageId === message.messageId && seen.address === address);
}

/** Answers a redelivery with what the first delivery came to. */
export async function answerDuplicate(
  shell: Shell,
  record: SessionRecord,
  seen: SeenMessage,
): Promise<TurnOutcome & { status: "duplicate" }> {
  const { key, uuid } = record;
  const outcome = storedOutcome(key, (await shell.ledger.from(record, seen.id)) ?? []);
  shell.events.emit("message.duplicate", { key, uuid, messageId: seen.messageId });
  return { status: "duplicate", key, ...(outcome === undefined ? {} : { outcome }) };
}
