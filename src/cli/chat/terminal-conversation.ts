import { once } from "node:events";
import { createInterface, type Interface } from "node:readline";
import type { SessionManager } from "../../index.js";
import type { Conversation } from "./conversation.js";
import { ChatHost } from "./host.js";
import { LiveReplies } from "./live-replies.js";
import { TerminalScreen } from "./terminal-screen.js";

/** Someone at a terminal: replies are shown while they are written, and one can go on typing meanwhile. */
export async function terminalConversation({ manager, admins, io, signal, begin }: Conversation): Promise<void> {
  const prompt = createInterface({ input: io.stdin, output: io.stdout, terminal: true, signal });
  const screen = new TerminalScreen(io.stdout, prompt);
  const closed = once(prompt, "close");
  // At once: a prompt that is closed must not be drawn again.
  prompt.on("close", () => screen.close());
  const live = new LiveReplies(screen);
  const show = (text: string) => screen.line(text);
  const host = new ChatHost({ manager, admins, show, now: io.now, live });
  const off = follow(manager, live);
  const running = new Set<Promise<void>>();
  // A mistake in the program must end it, though nobody waits for the line that met it.
  const failures: unknown[] = [];
  const take = (line: string) => {
    const work = host
      .take(line)
      .catch((error: unknown) => {
        failures.push(error);
        prompt.close();
      })
      .finally(() => running.delete(work));
    running.add(work);
    if (host.over) prompt.close();
    else screen.prompt(host.prompt);
  };
  // Somebody may type before the beginning is over.
  const early: string[] = [];
  let onLine = (line: string): void => {
    early.push(line);
  };
  prompt.on("line", (line) => {
    screen.entered();
    onLine(line);
  });
  onInterrupt(prompt, screen, host);
  screen.prompt(host.prompt);
  try {
    await begin(show);
    for (const line of early) take(line);
    onLine = take;
    await closed;
    host.stop();
    await Promise.all(running);
  } finally {
    for (const unfollow of off) unfollow();
    prompt.close();
  }
  if (failures.length > 0) throw failures[0];
}

function follow(manager: SessionManager, live: LiveReplies): (() => void)[] {
  return [
    manager.on("turn.text", (event) => live.text(event)),
    manager.on("turn.completed", ({ turn }) => live.end(turn)),
    manager.on("turn.aborted", ({ turn }) => live.end(turn)),
    manager.on("turn.failed", ({ turn }) => live.end(turn)),
  ];
}

// Ctrl-C stops what is being written, else empties the line, and on an empty one quits when it comes twice.
function onInterrupt(prompt: Interface, screen: TerminalScreen, host: ChatHost): void {
  let leaving = false;
  prompt.on("line", () => {
    leaving = false;
  });
  prompt.on("SIGINT", () => {
    if (host.stop()) return;
    if (prompt.line !== "") {
      prompt.write(null, { ctrl: true, name: "e" });
      prompt.write(null, { ctrl: true, name: "u" });
    } else if (leaving) {
      prompt.close();
    } else {
      leaving = true;
      screen.line("(Ctrl-C once more, or Ctrl-D, quits)");
    }
  });
}
