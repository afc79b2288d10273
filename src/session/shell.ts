import type { SessionsConfig } from "../core/config.js";
import type { CompiledScopePolicy } from "../core/dm-scope.js";
import type { MessageEntry } from "../core/entry.js";
import type { Cause } from "../core/hops.js";
import type { CheckedInbound } from "../core/inbound.js";
import type { SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import type { Compactions } from "./compaction/compactions.js";
import type { Events } from "./events.js";
import type { Authorize, ChannelHooks, Clock, Logger, ProviderHooks } from "./hooks.js";
import type { Ledger, NewEntry } from "./ledger.js";
import type { Lifespan } from "./lifespan.js";
import type { ModelWindows } from "./prompt/model-windows.js";
import type { TokenGauge } from "./prompt/token-gauge.js";
import type { Runs } from "./runs/runs.js";
import type { SharedSessions } from "./shared-session.js";
import type { SessionTool } from "./tool.js";
import type { TurnQueue } from "./turn-queue.js";

/** What everything that happens in a session shares: made once by the manager. */
export interface Shell {
  config: SessionsConfig;
  scope: CompiledScopePolicy;
  clock: Clock;
  ledger: Ledger;
  queue: TurnQueue;
  shared: SharedSessions;
  gauge: TokenGauge;
  windows: ModelWindows;
  compactions: Compactions;
  events: Events;
  logger: Logger;
  provider: ProviderHooks | undefined;
  channels: Readonly<Record<string, ChannelHooks>>;
  authorize: Authorize | undefined;
  /** The turns that sessions cause, and the sub-agents that run in this process. */
  runs: Runs;
  /** Looks, behind the turn of `arrival`, at what other processes have left in a session. */
  tidy(record: SessionRecord, arrival: Arrival): void;
  /** The session tools, bound to who uses them. */
  tools(user: ToolUser): readonly SessionTool[];
}

/** A message whose turn comes: a person's, or another session's. */
export interface Arrival {
  key: SessionKey;
  agentId: string;
  /** What its line says, besides what every line says. */
  line: Omit<NewEntry<MessageEntry>, "role" | "id">;
  /** Where it was said, when a person said it: whether it is answered depends on that. */
  place?: { channel: string; chatType: "dm" | "group"; mentioned: boolean };
  /** How its answer goes back. Without it the answer is for whoever waits for the outcome. */
  replyTo?: ReplyTo;
  /** The host's own signal. */
  signal: AbortSignal | undefined;
}

/** The way back to where a message came from. */
export interface ReplyTo {
  channel: string;
  route: unknown;
  messageId: string | undefined;
}

/** A person's message, as it came in. */
export interface InboundArrival extends Arrival {
  message: CheckedInbound;
  /** The address as one text, under which a redelivery is recognised. */
  address: string;
  replyTo: ReplyTo;
}

/** Who uses session tools: a session, in one of its turns or at the host's wish. */
export interface ToolUser {
  key: SessionKey;
  /** The turn in which they are used. Without it, the session's open turn says what led to a call. */
  turn?: {
    cause: Cause;
    lifespan: Lifespan;
    /** Of the session. */
    ancestors: readonly SessionKey[];
    replyTo: ReplyTo | undefined;
  };
}
