import { HookError } from "../errors.js";
import type { Arrival, Shell } from "./shell.js";

/**
 * Sends a text back by the route its message came with. Nothing is looked up: a reply goes where its cause came from.
 * A channel without a hook is the host's to serve, from the outcome.
 * @throws HookError when the channel could not take it.
 */
export async function deliver(shell: Shell, arrival: Arrival, text: string, signal: AbortSignal): Promise<void> {
  const { key, message } = arrival;
  const { channel } = message.address;
  const hooks = Object.hasOwn(shell.channels, channel) ? shell.channels[channel] : undefined;
  if (hooks === undefined) return;
  const inReplyTo = message.messageId === undefined ? {} : { inReplyTo: message.messageId };
  try {
    await hooks.deliver({ key, route: message.route, text, signal, ...inReplyTo });
  } catch (cause) {
    throw new HookError("The channel did not take the text. It is stored; send it from the session's history.", {
      operation: "deliver",
      key,
      cause,
    });
  }
}
