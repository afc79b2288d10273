import type { CommandName } from "../core/command.js";
import type { SessionKey } from "../core/key.js";
import type { Usage } from "../core/message.js";
import type { StorageReport } from "../storage/report.js";
import type { Logger } from "./hooks.js";

interface About {
  key: SessionKey;
  uuid: string;
}

interface AboutTurn extends About {
  /** The id of the message that began the turn. */
  turn: string;
}

/** What happens, and what a listener is told of it. Only `turn.text` carries anything that was said. */
export interface SessionEvents {
  "session.created": About;
  /** First use of an existing session by this manager. */
  "session.loaded": About;
  "session.cleared": About;
  /** A second person has reached the one session of dmScope `main`: each can now read the other. */
  "session.shared": About;
  "state.changed": About & { settings: string[] };
  /** A group message that was kept as context and not answered. */
  "message.recorded": About & { id: string };
  "message.duplicate": About & { messageId: string };
  "command.executed": About & { command: CommandName };
  "command.refused": About & { command: CommandName };
  "turn.started": AboutTurn;
  /** Text as it streams. */
  "turn.text": AboutTurn & { text: string };
  "turn.completed": AboutTurn & { silent: boolean; usage?: Usage };
  "turn.aborted": AboutTurn;
  "turn.failed": AboutTurn & { error: unknown };
  /** A turn whose process died before its end; the message is in the history, unanswered. */
  "turn.interrupted": AboutTurn & { messageId?: string };
  "delivery.failed": AboutTurn & { error: unknown };
  /** The storage met something and dealt with it. */
  "storage.report": StorageReport;
}

export type SessionEventName = keyof SessionEvents;

export type Listener<E extends SessionEventName> = (event: SessionEvents[E]) => void;

const WARNINGS: ReadonlySet<SessionEventName> = new Set([
  "session.shared",
  "turn.failed",
  "turn.interrupted",
  "delivery.failed",
  "storage.report",
]);

/** The one place events come from. A listener that throws is logged and disturbs nobody. */
export class Events {
  readonly #listeners = new Map<SessionEventName, Set<Listener<never>>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  on<E extends SessionEventName>(name: E, listener: Listener<E>): () => void {
    if (typeof listener !== "function") throw new TypeError("on(event, listener) needs a function.");
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener as Listener<never>);
    return () => void listeners.delete(listener as Listener<never>);
  }

  emit<E extends SessionEventName>(name: E, event: SessionEvents[E]): void {
    if (name !== "turn.text") this.#log(name, event);
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        (listener as Listener<E>)(event);
      } catch (error) {
        this.#logger.error({ event: name, err: error }, "a listener threw");
      }
    }
  }

  #log(name: SessionEventName, event: object): void {
    const { error, ...facts } = event as { error?: unknown };
    const line = { event: name, ...facts, ...(error === undefined ? {} : { err: error }) };
    if (WARNINGS.has(name)) this.#logger.warn(line, name);
    else this.#logger.debug(line, name);
  }
}
