import type { SessionsConfig } from "../core/config.js";
import type { CompiledScopePolicy } from "../core/dm-scope.js";
import type { CheckedInbound } from "../core/inbound.js";
import type { SessionKey } from "../core/key.js";
import type { Compactions } from "./compaction/compactions.js";
import type { Events } from "./events.js";
import type { Authorize, ChannelHooks, Clock, Logger, ProviderHooks } from "./hooks.js";
import type { Ledger } from "./ledger.js";
import type { ModelWindows } from "./prompt/model-windows.js";
import type { TokenGauge } from "./prompt/token-gauge.js";
import type { SharedSessions } from "./shared-session.js";
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
}

/** What is being dealt with when a message has been taken in. */
export interface Arrival {
  key: SessionKey;
  agentId: string;
  /** The address as one text, under which a redelivery is recognised. */
  address: string;
  message: CheckedInbound;
  /** The host's own signal. */
  signal: AbortSignal | undefined;
}
