import type { SessionKey } from "../core/key.js";
import { ClosedError, QueueFullError } from "../errors.js";

/** The place of one message in its session's line. */
export interface Slot {
  /** Aborts when the session's turns are stopped, or the manager closes. */
  readonly signal: AbortSignal;
  /** What aborted it; a stop also where the manager was closing already. */
  readonly endedBy: "stop" | "close" | undefined;
  /** A clear that came after this message was carried out before the message was begun: it belongs to what was cleared. */
  readonly cleared: boolean;
}

/** The messages that were in a session's line at one moment, for a command that came behind them. */
export interface InLine {
  /** Aborts those that still run or wait. */
  stop(): void;
  /** Says that they belong, or after all do not belong, to what a clear put out of the window. */
  setCleared(cleared: boolean): void;
}

interface Place extends Slot {
  endedBy: "stop" | "close" | undefined;
  cleared: boolean;
  abort(by: "stop" | "close"): void;
  asksForAnswer: boolean;
}

interface Line {
  waiting: Place[];
  running: Place | undefined;
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
  readonly #closing = new AbortController();

  /** `cap`: how many messages that ask for an answer may wait for one session. */
  constructor(cap: number) {
    this.#cap = cap;
  }

  /** Aborts when the queue closes. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Runs a task when its turn comes. One whose signal has aborted still runs, so that its message is noted down. Its place is free
   * for others as soon as `accepted` rejects.
   * @throws QueueFullError when too many wait.
   */
  run<T>(
    key: SessionKey,
    asksForAnswer: boolean,
    task: (slot: Slot) => Promise<T>,
    accepted?: Promise<unknown>,
  ): Promise<T> {
    if (this.closing.aborted) throw new ClosedError("The manager has been closed.", { operation: "handle", key });
    const line = this.#line(key);
    const answers = line.waiting.filter((waiting) => waiting.asksForAnswer).length;
    if ((asksForAnswer && answers >= this.#cap) || line.waiting.length >= this.#cap * NOTES_PER_TURN) {
      throw new QueueFullError(
        `${line.waiting.length} messages already wait for this session (messages.queue.cap is ${this.#cap}). The message was not stored; send it again later.`,
        { operation: "handle", key },
      );
    }
    const place = newPlace(asksForAnswer);
    line.waiting.push(place);
    const leave = () => {
      line.waiting = line.waiting.filter((other) => other !== place);
    };
    accepted?.catch(leave);
    const commands = line.commands;
    const result = line.tail.then(async () => {
      await commands;
      leave();
      line.running = place;
      try {
        return await task(place);
      } finally {
        line.running = undefined;
      }
    });
    line.tail = this.#over(key, line, result);
    return result;
  }

  /** Carries out a command behind those given before it. Messages that come from now on wait for one that changes something. */
  command<T>(key: SessionKey, changes: boolean, carryOut: () => Promise<T>): Promise<T> {
    const line = this.#line(key);
    const result = line.commands.then(carryOut);
    const over = this.#over(key, line, result);
    if (changes) line.commands = over;
    return result;
  }

  busy(key: SessionKey): boolean {
    const line = this.#lines.get(key);
    return line !== undefined && (line.running !== undefined || line.waiting.length > 0);
  }

  /** Resolves when the commands given so far are carried out. */
  async commandsOver(key: SessionKey): Promise<void> {
    await this.#lines.get(key)?.commands;
  }

  /** Resolves when those in line now are done. */
  async idle(key: SessionKey): Promise<void> {
    await this.#lines.get(key)?.tail;
  }

  /** Those in line now. Later ones are not touched by what is done with it. */
  inLine(key: SessionKey): InLine {
    const line = this.#lines.get(key);
    const places = line === undefined ? [] : placesOf(line);
    return {
      stop: () => {
        for (const place of places) place.abort("stop");
      },
      setCleared: (cleared) => {
        for (const place of places) place.cleared = cleared;
      },
    };
  }

  /** Takes no more, aborts everything, and resolves when all of it has been noted down. */
  async close(): Promise<void> {
    this.#closing.abort(new ClosedError("The manager is closing.", { operation: "close" }));
    const lines = [...this.#lines.values()];
    for (const place of lines.flatMap(placesOf)) place.abort("close");
    await Promise.all(lines.flatMap((line) => [line.tail, line.commands]));
  }

  #line(key: SessionKey): Line {
    const line = this.#lines.get(key) ?? newLine();
    this.#lines.set(key, line);
    return line;
  }

  // Whoever asked gets the failure; those behind only need to know that it is over.
  #over(key: SessionKey, line: Line, work: Promise<unknown>): Promise<void> {
    line.unsettled += 1;
    const settle = () => {
      line.unsettled -= 1;
      if (line.unsettled === 0) this.#lines.delete(key);
    };
    return work.then(settle, settle);
  }
}

function newLine(): Line {
  return {
    waiting: [],
    running: undefined,
    tail: Promise.resolve(),
    commands: Promise.resolve(),
    unsettled: 0,
  };
}

function newPlace(asksForAnswer: boolean): Place {
  const stop = new AbortController();
  const place: Place = {
    signal: stop.signal,
    endedBy: undefined,
    abort: (by) => {
      if (place.endedBy !== "stop") place.endedBy = by;
      stop.abort();
    },
    cleared: false,
    asksForAnswer,
  };
  return place;
}

function placesOf(line: Line): Place[] {
  return line.running === undefined ? [...line.waiting] : [line.running, ...line.waiting];
}
