import { z } from "zod";
import type { Context } from "../core/context.js";
import { isMessageEntry, type MessageEntry } from "../core/entry.js";
import { copyJson } from "../core/json.js";
import type { SessionKey } from "../core/key.js";
import { describeIssues, type Message, messageSchema, ownFields } from "../core/message.js";
import type { SessionRecord } from "../core/record.js";
import { checkPatch, type SessionState, type StatePatch } from "../core/state.js";
import { InvalidMessageError, SessionNotFoundError } from "../errors.js";
import { anySignal } from "./any-signal.js";
import type { CompactionOutcome } from "./compaction/compaction-outcome.js";
import { compact } from "./compaction/compactor.js";
import { flushCleared, flushMemory } from "./compaction/memory-flush.js";
import { undoCompaction } from "./compaction/undo-compaction.js";
import { deferred } from "./iterate.js";
import type { Appended, NewEntry } from "./ledger.js";
import { contextOf, promptOf } from "./prompt/prompt.js";
import type { Shell } from "./shell.js";
import { type SessionStatus, statusOf } from "./status.js";

/** Which messages `history` gives. */
export interface HistoryRange {
  /** Only the final so many. Read from the end, so cheap in a long session. */
  last?: number | undefined;
  /** Only those after the message with this id; one that a clear has put out of force has everything in force after it. */
  after?: string | undefined;
  /** Also those before the last clear. Default false. */
  includeCleared?: boolean | undefined;
}

/** A message to add. */
export type AppendedMessage = Message & {
  /** It stays in the window as it is, whatever a compaction takes out. A message of role `system` does in any case. */
  pinned?: boolean;
};

/** What `configure` may change. In `extra`, `null` removes a setting. */
export type SettingsPatch = Omit<StatePatch, "model">;

/** One conversation. */
export class Session {
  readonly key: SessionKey;
  readonly uuid: string;
  readonly #shell: Shell;

  /** @internal Made by `SessionManager.open`. */
  constructor(shell: Shell, record: SessionRecord) {
    this.#shell = shell;
    this.key = record.key;
    this.uuid = record.uuid;
  }

  /**
   * Adds messages to the history without calling the model.
   * @throws InvalidMessageError when one of them is no message; none is stored then.
   */
  async append(...messages: AppendedMessage[]): Promise<MessageEntry[]> {
    const entries = messages.map((message, index) => checkMessage(message, index));
    const { appended } = await this.#append("append", () => entries);
    return appended.filter(isMessageEntry);
  }

  /** The messages in order, as they were stored. Streams: a long history need not fit in memory. */
  history(range: HistoryRange = {}): AsyncIterable<MessageEntry> {
    return sessionHistory(this.#shell, this, range);
  }

  /** What the model would see now. */
  async context(): Promise<Context> {
    const record = await this.#record("context");
    return contextOf(promptOf(this.#shell, record, await this.#shell.ledger.window(record)));
  }

  /** Its size, its model, its limit. Counts what has not been counted before. */
  async status(): Promise<SessionStatus> {
    return statusOf(this.#shell, await this.#record("status"));
  }

  /**
   * Shortens the window now, whatever its size: memory is flushed, then all but the last of it summarised or dropped. The messages
   * stay readable in the history. `instructions`: what the summary is to take care of.
   *
   * What could not be used, such as an empty summary, is an outcome and leaves the history as it was.
   * @throws SessionNotFoundError
   * @throws StorageError
   */
  async compact(
    options: { instructions?: string | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<CompactionOutcome> {
    const { instructions, signal = new AbortController().signal } = options;
    const { key, uuid } = await this.#record("compact");
    return compact(this.#shell, { key, uuid }, { cause: "host", instructions, signal });
  }

  /**
   * Takes back the last compaction since the last clear: the window is as it was, and what was said since is behind it.
   * @returns whether there was one to take back.
   */
  async undoCompaction(): Promise<boolean> {
    return undoCompaction(this.#shell, await this.#record("undoCompaction"));
  }

  /**
   * Has the model save what it must not forget, with everything in the window before it. It is recorded, and done by itself
   * before every compaction.
   * @throws HookError when the provider failed.
   */
  async flushMemory(options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { queue } = this.#shell;
    const signal = anySignal(options.signal, queue.closing);
    const flush = await flushMemory(this.#shell, await this.#record("flushMemory"), signal);
    if (flush.status === "failed") throw flush.error;
    if (flush.status === "aborted") signal.throwIfAborted();
  }

  /**
   * Changes settings of this session; they persist in its transcript.
   * @throws InvalidConfigError when one is unknown, of the wrong type or too large; none is changed then.
   */
  async configure(patch: SettingsPatch): Promise<SessionState> {
    const { record } = await this.#append("configure", ({ state }) => [
      { type: "state", patch: checkPatch(patch, state) },
    ]);
    this.#shell.events.emit("state.changed", { key: this.key, uuid: record.uuid, settings: Object.keys(patch) });
    return record.state;
  }

  /** Puts the history out of the window. Settings stay, and the cleared messages stay readable in the transcript. */
  async clear(): Promise<void> {
    await clearSession(this.#shell, this);
  }

  // A session that was purged and has begun anew is another one; what was meant for this one must not land in it.
  #append(operation: string, decide: (record: SessionRecord) => NewEntry[]): Promise<Appended> {
    return this.#shell.ledger.append(this.key, (record) => {
      if (record.uuid !== this.uuid) throw notFound(this.key, operation);
      return decide(record);
    });
  }

  #record(operation: string): Promise<SessionRecord> {
    return existing(this.#shell, this, operation);
  }
}

/** Which session is meant: that of a key, or with `uuid` only the one that had the key then. */
interface Meant {
  key: SessionKey;
  uuid?: string;
}

/** @throws SessionNotFoundError when there is no such session: reading must not make one. */
export function sessionHistory(shell: Shell, meant: Meant, range: HistoryRange): AsyncIterable<MessageEntry> {
  return deferred(async () => {
    const { last } = range;
    if (last !== undefined && (!Number.isSafeInteger(last) || last < 0))
      throw new TypeError("last must be a whole number, 0 or more.");
    return shell.ledger.messages(await existing(shell, meant, "history"), range);
  });
}

/** @throws SessionNotFoundError when there is no such session: a clear must not make one. */
export async function clearSession(shell: Shell, meant: Meant): Promise<void> {
  const { key } = meant;
  // Noted before anything is waited for: what comes after the call is not what it clears.
  const before = shell.queue.inLine(key);
  // In line with the commands: a message that comes after the call finds the history cleared.
  await shell.queue.command(key, true, async () => {
    const { uuid } = await existing(shell, meant, "clear");
    try {
      const { record, appended } = await shell.ledger.append(key, (current) => {
        if (current.uuid !== uuid) throw notFound(key, "clear");
        before.setCleared(true);
        return [{ type: "clear" }];
      });
      flushCleared(shell, record, appended[0]?.id ?? "");
    } catch (error) {
      before.setCleared(false);
      throw error;
    }
    shell.events.emit("session.cleared", { key, uuid });
  });
}

async function existing(shell: Shell, { key, uuid }: Meant, operation: string): Promise<SessionRecord> {
  const record = await shell.ledger.read(key);
  if (record === undefined || (uuid !== undefined && record.uuid !== uuid)) throw notFound(key, operation);
  return record;
}

function notFound(key: SessionKey, operation: string): SessionNotFoundError {
  return new SessionNotFoundError("There is no session with this key. `list()` gives those there are.", {
    operation,
    key,
  });
}

const appendedSchema = messageSchema.extend({ pinned: z.boolean().optional() });

function checkMessage(message: unknown, index: number): NewEntry<MessageEntry> {
  const words = asWords(message);
  if (words !== undefined) return words;
  const result = appendedSchema.safeParse(asJson(message, index));
  if (!result.success) throw refused(index, describeIssues(result.error));
  return { ...ownFields(result.data), ...(result.data.pinned ? { pinned: true as const } : {}) };
}

// What most messages are: nothing to copy in them, and nothing for a schema to find.
function asWords(message: unknown): NewEntry<MessageEntry> | undefined {
  if (typeof message !== "object" || message === null || Object.getPrototypeOf(message) !== Object.prototype)
    return undefined;
  const { role, content } = message as Partial<Message>;
  if (typeof content !== "string" || (role !== "user" && role !== "assistant")) return undefined;
  return Object.keys(message).length === 2 ? { role, content } : undefined;
}

function asJson(value: unknown, index: number): unknown {
  try {
    return copyJson(value);
  } catch (cause) {
    throw refused(index, "it cannot be written as JSON", cause);
  }
}

function refused(index: number, why: string, cause?: unknown): InvalidMessageError {
  return new InvalidMessageError(`Message ${index} was not accepted: ${why}. None was stored.`, {
    operation: "append",
    cause,
  });
}
