import { formatAddress } from "../core/address.js";
import type { CheckedInbound } from "../core/inbound.js";
import { takeIn } from "./intake.js";
import type { TurnOutcome } from "./outcome.js";
import { settleLeft } from "./runs/take-up.js";
import type { InboundArrival, Shell } from "./shell.js";

/** What is dealt with when a person's message has been taken in. */
export function arrivalOf(message: CheckedInbound, signal: AbortSignal | undefined): InboundArrival {
  const { key, content, timestamp, messageId, sender, mentioned, route } = message;
  const { agentId, channel, chatType } = message.address;
  const address = formatAddress(message.address);
  const line = {
    content,
    timestamp,
    ...(messageId === undefined ? {} : { messageId }),
    ...(sender === undefined ? {} : { sender }),
    address,
  };
  const place = { channel, chatType, mentioned };
  return { key, agentId, line, place, replyTo: { channel, route, messageId }, message, address, signal };
}

/** Deals with a person's message when its turn comes. */
export function receive(shell: Shell, arrival: InboundArrival): Promise<TurnOutcome> {
  const { key, place } = arrival;
  const asksForAnswer = place?.chatType === "dm" || place?.mentioned === true;
  return shell.queue.run(key, asksForAnswer, async (slot) => {
    // What a process that died has left of sub-agents is told before the first message is answered.
    if (shell.runs.isDue(key, shell.clock.now())) await settleLeft(shell, key);
    return takeIn(shell, arrival, slot);
  });
}
