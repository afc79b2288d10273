import type { SessionKey } from "../core/key.js";
import { ClosedError, QueueFullError } from "../errors.js";

interface Waiting {
  stop: AbortController;
  asksForAnswer: boolean;
}

interface Line {
  waiting: Waiting[];
  running: Waiting | undefined;
  tail: Promise<unknown>;
  /** Commands given since; a message that comes after `/model` must find the model changed. */
  commands: Promise<unknown>;
  unsettled: number;
}

// In a group most messages only wait to be noted down. They are cheap, and a long reply must not cost the group's history.
const NOTES_PER_TURN = 10;

/** Messages of one session one after the other, in the order they came; sessions beside each other. */
export class TurnQueue {
  readonly #lines = new Map<SessionKey, Line>();
  readonly #cap: number;
  #closed = false;

  /** `cap`: how many messages that ask for an answer may wait for one session. */
  constructor(cap: number) {
    this.#cap = cap;
  }

  /**
   * Runs a task when its turn comes. The signal aborts when the session's turns are stopped, or the manager closes; a task
   * whose signal has aborted still runs, so that its message is noted down.
   * @throws QueueFullError when too many wait.
   */
  run<T>(key: SessionKey, asksForAnswer: boolean, task: (stop: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#closed) throw new ClosedError("The manager has been closed.", { operation: "handle", key });
    const line = this.#lines.get(key) ?? newLine();
    const answers = line.waiting.filter((waiting) => waiting.asksForAnswer).length;
    if ((asksForAnswer && answers >= this.#cap) || line.waiting.length >= this.#cap * NOTES_PER_TURN) {
      throw new QueueFullError(
        `${line.waiting.length} messages already wait for this session (messages.queue.cap is ${this.#cap}). The message was not stored; send it again later.`,
        { operation: "handle", key },
      );
    }
    this.#lines.set(key, line);
    const own: Waiting = { stop: new AbortController(), asksForAnswer };
    line.waiting.push(own);
    const commands = line.commands;
    const result = line.tail.then(async () => {
      await commands;
      line.waiting.shift();
      line.running = own;
      try {
        return await task(own.stop.signal);
      } finally {
        line.running = undefined;
      }
    });
    this.#follow(key, line, "tail", result);
    return result;
  }

  /** Makes messages that come from now on wait for a command that is being carried out. */
  after(key: SessionKey, command: Promise<unknown>): void {
    const line = this.#lines.get(key) ?? newLine();
    this.#lines.set(key, line);
    this.#follow(key, line, "commands", Promise.all([line.commands, command]));
  }

  busy(key: SessionKey): boolean {
    const line = this.#lines.get(key);
    return line !== undefined && (line.running !== undefined || line.waiting.length > 0);
  }

  /** Aborts the running turn of a session and those that wait. */
  stop(key: SessionKey): void {
    const line = this.#lines.get(key);
    if (line !== undefined) stopLine(line);
  }

  /** Takes no more, aborts everything, and resolves when all of it has been noted down. */
  async close(): Promise<void> {
    this.#closed = true;
    const lines = [...this.#lines.values()];
    for (const line of lines) stopLine(line);
    await Promise.all(lines.flatMap((line) => [line.tail, line.commands]));
  }

  #follow(key: SessionKey, line: Line, which: "tail" | "commands", work: Promise<unknown>): void {
    line.unsettled += 1;
    const over = () => {
      line.unsettled -= 1;
      if (line.unsettled === 0) this.#lines.delete(key);
    };
    // Whoever asked gets the failure; those behind only need to know that it is over.
    line[which] = work.then(over, over);
  }
}

function newLine(): Line {
  return { waiting: [], running: undefined, tail: Promise.resolve(), commands: Promise.resolve(), unsettled: 0 };
}

function stopLine(line: Line): void {
  for (const one of [line.running, ...line.waiting]) one?.stop.abort();
}
