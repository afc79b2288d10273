import type { CommandName } from "../core/command.js";
import type { CompactionCause, SubagentEnd } from "../core/entry.js";
import type { SessionKey } from "../core/key.js";
import type { Usage } from "../core/message.js";
import type { PromptSize } from "../core/tokens.js";
import { isSessionError } from "../errors.js";
import type { StorageReport } from "../storage/report.js";
import type { Logger } from "./hooks.js";

/** What every event about a session tells. */
export interface SessionEvent {
  key: SessionKey;
  uuid: string;
}

/** What every event about a turn tells. */
export interface TurnEvent extends SessionEvent {
  /** The id of the message, or command, that began it. */
  turn: string;
}

/** What every event about a compaction tells. */
export interface CompactionEvent extends SessionEvent {
  cause: CompactionCause;
  /** Above so many tokens a prompt is compacted, and what the model's window holds. */
  threshold: number;
  contextWindow: number;
}

/** What every event about an access of a session to another tells. */
export interface AccessEvent {
  /** Who looks. */
  key: SessionKey;
  tool: string;
  target: SessionKey;
}

/** What every event about a sub-agent tells. */
export interface SubagentEvent extends SessionEvent {
  child: SessionKey;
  run: string;
}

/** What happens, and what a listener is told of it. Only `turn.text` carries anything that was said. */
export interface SessionEvents {
  "session.created": SessionEvent;
  /** First use of an existing session by this manager. */
  "session.loaded": SessionEvent;
  "session.cleared": SessionEvent;
  /** A second person has reached the one session of dmScope `main`: each can now read the other. */
  "session.shared": SessionEvent;
  "state.changed": SessionEvent & { settings: string[] };
  /** A group message that was kept as context and not answered. */
  "message.recorded": SessionEvent & { id: string };
  "message.duplicate": SessionEvent & { messageId: string };
  "command.executed": SessionEvent & { command: CommandName };
  "command.refused": SessionEvent & { command: CommandName };
  "turn.started": TurnEvent;
  /** Text as it streams. */
  "turn.text": TurnEvent & { text: string };
  "turn.completed": TurnEvent & { silent: boolean; usage?: Usage };
  "turn.aborted": TurnEvent;
  "turn.failed": TurnEvent & { error: unknown };
  /** A turn whose process died before its end; the message is in the history, unanswered. */
  "turn.interrupted": TurnEvent & { messageId?: string };
  "delivery.failed": TurnEvent & { error: unknown };
  /**
   * What was decided before a call of the model: the size of its prompt in tokens, the threshold that was passed or comes next.
   * With `source` `most` it was not counted, because it could not be more than `tokens`.
   */
  "context.assessed": TurnEvent & {
    action: "none" | "flush-memory" | "compact";
    tokens: number;
    source: PromptSize["source"];
    threshold: number;
    contextWindow: number;
  };
  /** The provider refused a prompt as too large: for its window, or in bytes. `attempt` counts from 1. */
  "context.overflow": TurnEvent & { attempt: number; tokens: number; contextWindow: number; payload: boolean };
  /** What was left out of one prompt, and of nothing else, so that it fits. `dropped`: whole messages. */
  "context.reduced": TurnEvent & {
    reason: "media" | "results" | "dropped";
    before: number;
    after: number;
    threshold: number;
    dropped: number;
  };
  /** The provider reported far fewer tokens than it was sent: it cut the prompt off, or your code did. */
  "context.truncated": TurnEvent & { tokens: number; reported: number };
  "compaction.started": CompactionEvent;
  "compaction.completed": CompactionEvent & { before: number; after: number; messages: number };
  /** The history is as it was. */
  "compaction.failed": CompactionEvent & { reason: string; error?: unknown };
  "compaction.undone": SessionEvent;
  /** The model was asked to save what it must not forget, and has answered. */
  "memory.flushed": SessionEvent;
  "memory.flush-failed": SessionEvent & { error: unknown };
  /** A session's tool looked at another session, or acted on it. */
  "access.allowed": AccessEvent;
  /** One was not let. `reason` says which setting would have, or that there is no such session; the model is told neither. */
  "access.denied": AccessEvent & { reason: string };
  /** Of the session `key`. */
  "subagent.spawned": SubagentEvent;
  "subagent.ended": SubagentEvent & { status: SubagentEnd };
  /** The storage met something and dealt with it. */
  "storage.report": StorageReport;
}

export type SessionEventName = keyof SessionEvents;

export type Listener<E extends SessionEventName> = (event: SessionEvents[E]) => void;

// Every event, and how loud it is in the log. Text as it streams is not logged at all.
const LEVELS: Readonly<Record<SessionEventName, "debug" | "warn" | undefined>> = {
  "session.created": "debug",
  "session.loaded": "debug",
  "session.cleared": "debug",
  "session.shared": "warn",
  "state.changed": "debug",
  "message.recorded": "debug",
  "message.duplicate": "debug",
  "command.executed": "debug",
  "command.refused": "debug",
  "turn.started": "debug",
  "turn.text": undefined,
  "turn.completed": "debug",
  "turn.aborted": "debug",
  "turn.failed": "warn",
  "turn.interrupted": "warn",
  "delivery.failed": "warn",
  "context.assessed": "debug",
  "context.overflow": "warn",
  "context.reduced": "warn",
  "context.truncated": "warn",
  "compaction.started": "debug",
  "compaction.completed": "debug",
  "compaction.failed": "warn",
  "compaction.undone": "debug",
  "memory.flushed": "debug",
  "memory.flush-failed": "warn",
  "access.allowed": "debug",
  "access.denied": "warn",
  "subagent.spawned": "debug",
  "subagent.ended": "debug",
  "storage.report": "warn",
};

/** The one place events come from. A listener that fails, at once or later, is logged and disturbs nobody. */
export class Events {
  readonly #listeners = new Map<SessionEventName, Set<Listener<never>>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  on<E extends SessionEventName>(name: E, listener: Listener<E>): () => void {
    if (!Object.hasOwn(LEVELS, name)) throw new TypeError(`There is no event "${String(name)}".`);
    if (typeof listener !== "function") throw new TypeError("on(event, listener) needs a function.");
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener as Listener<never>);
    return () => void listeners.delete(listener as Listener<never>);
  }

  emit<E extends SessionEventName>(name: E, event: SessionEvents[E]): void {
    this.#log(name, event);
    const complain = (error: unknown) => this.#logger.error({ event: name, err: describe(error) }, "a listener failed");
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        const result: unknown = (listener as Listener<E>)(event);
        // An asynchronous listener fails later, and an unheard rejection would end the process.
        if (result instanceof Promise) result.catch(complain);
      } catch (error) {
        complain(error);
      }
    }
  }

  #log(name: SessionEventName, event: object): void {
    const level = LEVELS[name];
    if (level === undefined) return;
    const { error, ...facts } = event as { error?: unknown };
    this.#logger[level]({ event: name, ...facts, ...(error === undefined ? {} : { err: describe(error) }) }, name);
  }
}

// An error of the host's may quote what was said, so of its causes only the kind is logged. Listeners get it whole.
function describe(error: unknown): object {
  if (!(error instanceof Error)) return { type: typeof error };
  const code = "code" in error ? { code: error.code } : {};
  const cause = error.cause === undefined ? {} : { cause: describe(error.cause) };
  return isSessionError(error)
    ? { type: error.name, ...code, operation: error.operation, message: error.message, ...cause }
    : { type: error.name, ...code, ...cause };
}
