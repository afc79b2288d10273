import type { SessionsConfig, SessionsConfigInput } from "../core/config.js";
import type { Durability } from "../storage/jsonl/durability.js";
import type { SessionStorage } from "../storage/storage.js";
import type { Authorize, ChannelHooks, Clock, Logger, ProviderHooks } from "./hooks.js";

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

/** @throws TypeError naming the option that is unknown, missing or of the wrong type. */
export function checkOptions(options: SessionManagerOptions): void {
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
