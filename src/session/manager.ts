import { randomFillSync, randomUUID } from "node:crypto";
import { monotonicFactory } from "ulid";
import type { Address } from "../core/address.js";
import { defaultAgentId, parseConfig } from "../core/config.js";
import { compileScopePolicy } from "../core/dm-scope.js";
import type { MessageEntry } from "../core/entry.js";
import { checkInbound, type InboundMessage } from "../core/inbound.js";
import { parseSessionKey, type SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import { ClosedError } from "../errors.js";
import { JsonlStorage } from "../storage/jsonl/jsonl-storage.js";
import type { ListQuery } from "../storage/storage.js";
import { loadTokenCounter } from "../tokens/tiktoken.js";
import { commandOf, runCommand } from "./commands.js";
import { Compactions } from "./compaction/compactions.js";
import { Events, type Listener, type SessionEventName } from "./events.js";
import { harmlessLogger } from "./harmless-logger.js";
import { SILENT } from "./hooks.js";
import { type InterruptedTurn, settleInterrupted } from "./interrupted.js";
import { deferred } from "./iterate.js";
import { Ledger } from "./ledger.js";
import { checkOptions, type SessionManagerOptions } from "./manager-options.js";
import type { TurnOutcome } from "./outcome.js";
import { ModelWindows } from "./prompt/model-windows.js";
import { TokenGauge } from "./prompt/token-gauge.js";
import { purgeSession } from "./purge.js";
import { arrivalOf, receive } from "./receive.js";
import { recoverAll } from "./recovery.js";
import { killSubagent, killSubagents } from "./runs/kill.js";
import { type RunReport, readRun } from "./runs/run-report.js";
import { Runs } from "./runs/runs.js";
import { SendRate } from "./runs/send-rate.js";
import { Slots } from "./runs/slots.js";
import { type Subagent, subagentsOf } from "./runs/subagents.js";
import { settleLeft, tidyBehind } from "./runs/take-up.js";
import { clearSession, type HistoryRange, Session, sessionHistory } from "./session.js";
import { SharedSessions } from "./shared-session.js";
import type { Shell } from "./shell.js";
import { keepShell } from "./shells.js";
import { toolsFor } from "./tools/toolset.js";
import { TurnQueue } from "./turn-queue.js";
import { type SessionQuery, visibleSessions } from "./visible-sessions.js";

/**
 * Takes messages in and sends replies back: each in its own conversation, stored before the model is called.
 *
 * @throws InvalidConfigError, TypeError from the constructor, when an option is unknown or has a value that is not allowed.
 */
export class SessionManager implements AsyncDisposable {
  readonly #shell: Shell;
  #closing: Promise<void> | undefined;

  constructor(options: SessionManagerOptions) {
    checkOptions(options);
    const { clock = Date } = options;
    const logger = harmlessLogger(options.logger ?? SILENT);
    const config = parseConfig(options.config);
    const scope = compileScopePolicy({ ...config.session, defaultAgentId: defaultAgentId(config) });
    const events = new Events(logger);
    const storage =
      options.storage ??
      new JsonlStorage({
        dir: options.dir as string,
        durability: options.durability,
        onReport: (report) => events.emit("storage.report", report),
      });
    const ulid = monotonicFactory(drawRandom());
    const sources = { clock, newEntryId: () => ulid(clock.now()), newUuid: () => randomUUID() };
    this.#shell = {
      config,
      scope,
      clock,
      events,
      logger,
      ledger: new Ledger(storage, sources, events),
      queue: new TurnQueue(config.messages.queue.cap),
      shared: new SharedSessions(scope, events),
      gauge: new TokenGauge(async () => (await loadTokenCounter()).countText, options.provider, logger),
      windows: new ModelWindows(config, options.provider, logger, clock),
      compactions: new Compactions(),
      provider: options.provider,
      channels: options.channels ?? {},
      authorize: options.authorize,
      runs: new Runs(
        new Slots(config.agents.defaults.subagents.maxConcurrent),
        new SendRate(clock, config.tools.sessions.maxSendsPerMinute),
      ),
      tools: (user) => toolsFor(this.#shell, user),
      tidy: (record, arrival) => tidyBehind(this.#shell, record, arrival),
    };
    keepShell(this, this.#shell);
  }

  /**
   * Deals with a message: finds its session, stores it, asks the model, stores the answer and delivers it.
   *
   * Messages of one session are dealt with one after the other in the order of the calls, sessions beside each other.
   * Resolves when the answer is stored and delivered.
   * @throws InvalidMessageError before anything is stored.
   * @throws QueueFullError when too many messages wait; this one was not stored.
   * @throws HookError when provider or channel failed, after that is stored.
   * @throws StorageError when something could not be stored.
   */
  async handle(inbound: InboundMessage, options: { signal?: AbortSignal | undefined } = {}): Promise<TurnOutcome> {
    this.#assertOpen("handle");
    const { scope, clock } = this.#shell;
    const message = checkInbound(inbound, scope, clock.now());
    const arrival = arrivalOf(message, options.signal);
    const command = commandOf(this.#shell, arrival);
    if (command !== undefined) return runCommand(this.#shell, arrival, command);
    return receive(this.#shell, arrival);
  }

  /** The session an address belongs to. @throws InvalidSessionKeyError */
  resolve(address: Address): SessionKey {
    const { scope } = this.#shell;
    return scope.resolve(scope.check(address));
  }

  /**
   * A session, made when there is none. A turn of it that a crash cut off is marked `interrupted`.
   * @throws InvalidSessionKeyError
   */
  async open(target: Address | SessionKey): Promise<Session> {
    this.#assertOpen("open");
    const key = typeof target === "string" ? checkedKey(target) : this.resolve(target);
    const record = await this.#shell.ledger.open(key);
    await settleInterrupted(this.#shell, record);
    await settleLeft(this.#shell, key);
    return new Session(this.#shell, record);
  }

  /** The record of a session, or `undefined` when there is none. @throws InvalidSessionKeyError */
  async get(key: SessionKey | string): Promise<SessionRecord | undefined> {
    this.#assertOpen("get");
    return this.#shell.ledger.read(checkedKey(key));
  }

  /** The sessions there are, newest first; with `visibleTo` those that the tools of that session may reach. @throws InvalidSessionKeyError */
  async *list({ visibleTo, ...query }: SessionQuery = {}): AsyncIterable<SessionRecord> {
    this.#assertOpen("list");
    checkQuery(query);
    if (visibleTo === undefined) yield* this.#shell.ledger.storage.list(query);
    else yield* visibleSessions(this.#shell, checkedKey(visibleTo), query);
  }

  /**
   * The messages of a session, as `Session.history` gives them. Makes and marks nothing, unlike `open`, so it may be used
   * beside a host that runs on the same store.
   * @throws SessionNotFoundError
   */
  history(key: SessionKey | string, range: HistoryRange = {}): AsyncIterable<MessageEntry> {
    return deferred(async () => {
      this.#assertOpen("history");
      return sessionHistory(this.#shell, { key: checkedKey(key) }, range);
    });
  }

  /**
   * Puts a session's history out of the window; its settings stay.
   * @throws SessionNotFoundError
   */
  async clear(key: SessionKey | string): Promise<void> {
    this.#assertOpen("clear");
    await clearSession(this.#shell, { key: checkedKey(key) });
  }

  /**
   * Removes a session and its transcript for good, after its turns have been stopped, and every session that was spawned below it.
   * @returns whether there was one.
   */
  async purge(key: SessionKey | string): Promise<boolean> {
    this.#assertOpen("purge");
    return purgeSession(this.#shell, checkedKey(key));
  }

  /**
   * Marks every turn that a crash cut off, in all sessions, and returns them, those of sub-agents too; ends the sub-agents of processes
   * that died, and puts in line the messages between sessions that these had accepted: their turns run after this has resolved. Call it
   * once when the host starts; otherwise each is found when its session is next used. A turn that another living process runs is left
   * alone, which takes a second to see.
   * @throws RecoveryError when that failed for some sessions; it has the turns that were marked.
   * @throws StorageError when the sessions could not be listed.
   */
  async recover(): Promise<InterruptedTurn[]> {
    this.#assertOpen("recover");
    return recoverAll(this.#shell);
  }

  /**
   * The sub-agents a session has spawned, oldest first, also those that have ended or been deleted; none for a session that does not
   * exist.
   * @throws InvalidSessionKeyError
   */
  async subagents(key: SessionKey | string): Promise<Subagent[]> {
    this.#assertOpen("subagents");
    const record = await this.#shell.ledger.read(checkedKey(key));
    return record === undefined ? [] : subagentsOf(this.#shell, record);
  }

  /**
   * Stops a sub-agent and everything it has spawned; resolves when its end is stored. One that runs in another process ends in the
   * transcripts, and what it still says is not used.
   * @returns whether it was alive.
   */
  async killSubagent(key: SessionKey | string): Promise<boolean> {
    this.#assertOpen("killSubagent");
    return killSubagent(this.#shell, checkedKey(key));
  }

  /** Stops all sub-agents of a session, and everything they have spawned. @returns how many of its own were alive. */
  async killSubagents(parent: SessionKey | string): Promise<number> {
    this.#assertOpen("killSubagents");
    const record = await this.#shell.ledger.read(checkedKey(parent));
    return record === undefined ? 0 : killSubagents(this.#shell, record);
  }

  /**
   * What became of a message that was sent to a session by another, or of a sub-agent's task. `runId` is what `sessions_send` and
   * `sessions_spawn` return. `undefined` when the session has none of that id.
   */
  async run(key: SessionKey | string, runId: string): Promise<RunReport | undefined> {
    this.#assertOpen("run");
    const record = await this.#shell.ledger.read(checkedKey(key));
    return record === undefined ? undefined : (await readRun(this.#shell, record, runId))?.report;
  }

  /** Calls `listener` at each event of that name, until the function returned is called. */
  on<E extends SessionEventName>(event: E, listener: Listener<E>): () => void {
    return this.#shell.events.on(event, listener);
  }

  /** Stops every turn, stores what they had so far, and closes the storage. Safe to call again. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#shell.queue.close();
      await this.#shell.runs.settled();
      await this.#shell.compactions.settled();
      await this.#shell.ledger.storage.close();
    })();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #assertOpen(operation: string): void {
    if (this.#closing !== undefined) throw new ClosedError("The manager has been closed.", { operation });
  }
}

// The ids' own source asks the system for each of their sixteen random characters, which takes longer than writing a message.
function drawRandom(): () => number {
  const pool = new Uint8Array(1_024);
  let used = pool.length;
  return () => {
    if (used === pool.length) {
      randomFillSync(pool);
      used = 0;
    }
    const byte = pool[used] as number;
    used += 1;
    return byte / 256;
  };
}

function checkedKey(key: string): SessionKey {
  parseSessionKey(key);
  return key as SessionKey;
}

function checkQuery({ limit, activeSince }: ListQuery): void {
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0))
    throw new TypeError("limit must be a whole number, 0 or more.");
  if (activeSince !== undefined && !Number.isFinite(activeSince))
    throw new TypeError("activeSince is a number of milliseconds since 1970.");
}
