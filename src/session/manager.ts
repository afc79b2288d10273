import { randomFillSync, randomUUID } from "node:crypto";
import { monotonicFactory } from "ulid";
import type { Address } from "../core/address.js";
import { formatAddress } from "../core/address.js";
import { defaultAgentId, parseConfig, type SessionsConfig, type SessionsConfigInput } from "../core/config.js";
import { compileScopePolicy } from "../core/dm-scope.js";
import type { MessageEntry } from "../core/entry.js";
import { checkInbound, type InboundMessage } from "../core/inbound.js";
import { parseSessionKey, type SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import { ClosedError } from "../errors.js";
import type { Durability } from "../storage/jsonl/durability.js";
import { JsonlStorage } from "../storage/jsonl/jsonl-storage.js";
import type { ListQuery, SessionStorage } from "../storage/storage.js";
import { loadTokenCounter } from "../tokens/tiktoken.js";
import { commandOf, runCommand } from "./commands.js";
import { Compactions } from "./compaction/compactions.js";
import { Events, type Listener, type SessionEventName } from "./events.js";
import { type Authorize, type ChannelHooks, type Clock, type Logger, type ProviderHooks, SILENT } from "./hooks.js";
import { takeIn } from "./intake.js";
import { type InterruptedTurn, settleInterrupted } from "./interrupted.js";
import { deferred } from "./iterate.js";
import { Ledger } from "./ledger.js";
import type { TurnOutcome } from "./outcome.js";
import { ModelWindows } from "./prompt/model-windows.js";
import { TokenGauge } from "./prompt/token-gauge.js";
import { clearSession, type HistoryRange, Session, sessionHistory } from "./session.js";
import { SharedSessions } from "./shared-session.js";
import type { Arrival, Shell } from "./shell.js";
import { TurnQueue } from "./turn-queue.js";

export interface SessionManagerOptions {
  /** Where the sessions are kept: short for `storage: new JsonlStorage({ dir, durability })`. */
  dir?: string | undefined;
  /** What an acknowledged message survives; see `JsonlStorage`. Default `always`. */
  durability?: Durability | undefined;
  /** Another place to keep them. This or `dir`. */
  storage?: SessionStorage | undefined;
  /** Settings in the shape of `openclaw.json`; see `parseConfig`. Default: none, so every default. */
  config?: SessionsConfig | SessionsConfigInput | undefined;
  /** Calls the model. Without it a message that asks for an answer fails; reading, listing and commands work. */
  provider?: ProviderHooks | undefined;
  /** Sends replies, by channel. A channel that is not here is the host's to serve, from the outcome of `handle`. */
  channels?: Readonly<Record<string, ChannelHooks>> | undefined;
  /** Who may give commands in a group. Default: everyone `/status` and `/help`, nobody anything else. */
  authorize?: Authorize | undefined;
  /** Default `Date`. */
  clock?: Clock | undefined;
  /** Default: silent. */
  logger?: Logger | undefined;
}

const OPTIONS = new Set([
  "dir",
  "durability",
  "storage",
  "config",
  "provider",
  "channels",
  "authorize",
  "clock",
  "logger",
]);

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
    const { clock = Date, logger = SILENT } = options;
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
    };
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
    const { scope, queue, clock } = this.#shell;
    const message = checkInbound(inbound, scope, clock.now());
    const { key, address } = message;
    const arrival: Arrival = {
      key,
      agentId: address.agentId,
      address: formatAddress(address),
      message,
      signal: options.signal,
    };
    const command = commandOf(this.#shell, arrival);
    if (command !== undefined) return runCommand(this.#shell, arrival, command);
    const asksForAnswer = address.chatType === "dm" || message.mentioned;
    return queue.run(key, asksForAnswer, (slot) => takeIn(this.#shell, arrival, slot));
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
    return new Session(this.#shell, record);
  }

  /** The record of a session, or `undefined` when there is none. @throws InvalidSessionKeyError */
  async get(key: SessionKey | string): Promise<SessionRecord | undefined> {
    this.#assertOpen("get");
    return this.#shell.ledger.read(checkedKey(key));
  }

  /** The sessions there are, newest first. */
  async *list(query: ListQuery = {}): AsyncIterable<SessionRecord> {
    this.#assertOpen("list");
    checkQuery(query);
    yield* this.#shell.ledger.storage.list(query);
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
   * Removes a session and its transcript for good, after its turns have been stopped.
   * @returns whether there was one.
   */
  async purge(key: SessionKey | string): Promise<boolean> {
    this.#assertOpen("purge");
    const checked = checkedKey(key);
    const { queue, ledger } = this.#shell;
    queue.inLine(checked).stop();
    return queue.run(checked, false, () => ledger.storage.delete(checked));
  }

  /**
   * Marks every turn that a crash cut off, in all sessions, and returns them. Call it once when the host starts; otherwise
   * each is found when its session is next used.
   */
  async recover(): Promise<InterruptedTurn[]> {
    this.#assertOpen("recover");
    const found: InterruptedTurn[] = [];
    for await (const record of this.#shell.ledger.storage.list()) {
      found.push(...(await settleInterrupted(this.#shell, record)));
    }
    return found;
  }

  /** Calls `listener` at each event of that name, until the function returned is called. */
  on<E extends SessionEventName>(event: E, listener: Listener<E>): () => void {
    return this.#shell.events.on(event, listener);
  }

  /** Stops every turn, stores what they had so far, and closes the storage. Safe to call again. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#shell.queue.close();
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

function checkOptions(options: SessionManagerOptions): void {
  if (typeof options !== "object" || options === null)
    throw new TypeError("new SessionManager(options) needs an object.");
  const unknown = Object.keys(options).find((name) => !OPTIONS.has(name));
  if (unknown !== undefined)
    throw new TypeError(`SessionManager has no option "${unknown}"; it has ${[...OPTIONS].join(", ")}.`);
  const { dir, storage, durability, provider, channels, authorize, logger } = options;
  if ((dir === undefined) === (storage === undefined)) {
    throw new TypeError("Give SessionManager either dir, a directory to keep the sessions in, or storage.");
  }
  if (storage !== undefined && durability !== undefined)
    throw new TypeError("durability goes with dir; a storage has its own.");
  if (provider !== undefined && typeof provider.generate !== "function")
    throw new TypeError("provider needs generate(request).");
  for (const hook of ["resolveModel", "contextWindow", "countTokens"] as const) {
    if (provider?.[hook] !== undefined && typeof provider[hook] !== "function")
      throw new TypeError(`provider.${hook} must be a function.`);
  }
  if (provider?.overflowPatterns !== undefined && !Array.isArray(provider.overflowPatterns))
    throw new TypeError("provider.overflowPatterns must be an array of { code?, text? }.");
  if (authorize !== undefined && typeof authorize !== "function") throw new TypeError("authorize must be a function.");
  if (channels instanceof Map) throw new TypeError("channels is an object of hooks by channel name, not a Map.");
  for (const level of ["debug", "info", "warn", "error"] as const) {
    if (logger !== undefined && typeof logger?.[level] !== "function")
      throw new TypeError(`logger needs ${level}(facts, message).`);
  }
  for (const [name, hooks] of Object.entries(channels ?? {})) {
    if (typeof hooks?.deliver !== "function") throw new TypeError(`channels.${name} needs deliver(delivery).`);
  }
}

function checkQuery({ limit, activeSince }: ListQuery): void {
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0))
    throw new TypeError("limit must be a whole number, 0 or more.");
  if (activeSince !== undefined && !Number.isFinite(activeSince))
    throw new TypeError("activeSince is a number of milliseconds since 1970.");
}
