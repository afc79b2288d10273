import { createInterface } from "node:readline";
import type { Conversation } from "./conversation.js";
import { ChatHost } from "./host.js";

/** Lines from a pipe: each is answered to its end before the next is read, and the answer is shown whole. */
export async function pipedConversation({ manager, admins, io, signal, begin }: Conversation): Promise<void> {
  const show = (text: string) => void io.stdout.write(`${text}\n`);
  const host = new ChatHost({ manager, admins, show, now: io.now, live: undefined });
  await begin(show);
  const stop = () => void host.stop();
  signal.addEventListener("abort", stop);
  // Made only now: lines that come before somebody listens are lost.
  const lines = createInterface({ input: io.stdin, crlfDelay: Number.POSITIVE_INFINITY, signal });
  try {
    for await (const line of lines) {
      await host.take(line);
      if (host.over || signal.aborted) break;
    }
  } finally {
    signal.removeEventListener("abort", stop);
    lines.close();
  }
}
