import { HookError } from "../errors.js";
import type { InboundArrival, Shell } from "./shell.js";
import { untilAborted } from "./until-aborted.js";

/**
 * Sends a text back by the route its message came with. Nothing is looked up: a reply goes where its cause came from.
 * A channel without a hook is the host's to serve, from the outcome.
 *
 * `of` names the entry whose text it is. A text that the channel did not take is recorded and reported as such.
 * @throws HookError when the channel could not take it, or the signal aborted before it had.
 */
export async function deliver(
  shell: Shell,
  { key, replyTo }: Pick<InboundArrival, "key" | "replyTo">,
  reply: { uuid: string; of: string; text: string },
  signal: AbortSignal,
): Promise<void> {
  const { channel, route, messageId } = replyTo;
  const hooks = Object.hasOwn(shell.channels, channel) ? shell.channels[channel] : undefined;
  if (hooks === undefined) return;
  const inReplyTo = messageId === undefined ? {} : { inReplyTo: messageId };
  const sending = (async () => hooks.deliver({ key, route, text: reply.text, signal, ...inReplyTo }))();
  try {
    const late = (error: unknown) =>
      shell.logger.debug({ key, err: nameOf(error) }, "a delivery failed after it was given up");
    if ((await untilAborted(sending, signal, late)) === undefined) throw signal.reason;
  } catch (cause) {
    const error = new HookError("The channel did not take the text. It is stored; see the session's transcript.", {
      operation: "deliver",
      key,
      cause,
    });
    await shell.ledger.append(key, (record) =>
      // A session that was purged meanwhile has nothing to be noted in.
      record.uuid === reply.uuid
        ? [{ type: "delivery", of: reply.of, status: "failed", error: { code: error.code } }]
        : undefined,
    );
    shell.events.emit("delivery.failed", { key, uuid: reply.uuid, turn: reply.of, error });
    throw error;
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
