import { agentContextTokens, type SessionsConfig } from "../../core/config.js";
import type { SessionKey } from "../../core/key.js";
import { HookError } from "../../errors.js";
import type { Clock, Logger, ProviderHooks } from "../hooks.js";

// What most hosted models have had since 2024. A smaller one is found out by its own refusal.
const DEFAULT_WINDOW = 200_000;

// A refusal may have been a mistake of the provider's, or its error that of another kind.
const REMEMBERED_MS = 3_600_000;

// No model's window is smaller, so that what was refused was not too long.
const LEAST_REFUSED = 1000;

const MAX_REFUSALS = 10_000;

// Anyone may choose a model of any name where the host does not say which there are.
const MAX_WARNINGS = 20;

/** How large the windows of models are. */
export class ModelWindows {
  readonly #config: SessionsConfig;
  readonly #provider: ProviderHooks | undefined;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #unknown = new Set<string | undefined>();
  readonly #withoutMedia = new Map<string, number>();
  readonly #refusals = new Map<string, { model: string | undefined; tokens: number; at: number }>();

  constructor(config: SessionsConfig, provider: ProviderHooks | undefined, logger: Logger, clock: Clock) {
    this.#config = config;
    this.#provider = provider;
    this.#logger = logger;
    this.#clock = clock;
  }

  /** What the host or the config says of a model's window. @throws HookError */
  stated(model: string | undefined, agentId: string, key: SessionKey): number | undefined {
    return this.#ask(model, key) ?? agentContextTokens(this.#config, agentId);
  }

  /** In tokens: what is said of it, else 200,000. @throws HookError */
  of(model: string | undefined, agentId: string, key: SessionKey): number {
    const stated = this.stated(model, agentId, key);
    if (stated !== undefined) return stated;
    if (!this.#unknown.has(model) && this.#unknown.size < MAX_WARNINGS) {
      this.#unknown.add(model);
      this.#logger.warn(
        { model, contextWindow: DEFAULT_WINDOW },
        "the window of this model is not known: give provider.contextWindow or agents.defaults.contextTokens",
      );
    }
    return DEFAULT_WINDOW;
  }

  /** The window for a session's prompts: less than the model's where nobody knows that and more has been refused. @throws HookError */
  for(uuid: string, model: string | undefined, agentId: string, key: SessionKey): number {
    const stated = this.stated(model, agentId, key);
    return stated ?? Math.min(this.of(model, agentId, key), this.#refusal(uuid, model) ?? Number.POSITIVE_INFINITY);
  }

  /** A prompt of this size was refused. Where the window is a guess, the session's prompts are kept below it for an hour. */
  refused(uuid: string, model: string | undefined, tokens: number): void {
    if (tokens < LEAST_REFUSED) return;
    const known = this.#refusal(uuid, model) ?? Number.POSITIVE_INFINITY;
    this.#refusals.delete(uuid);
    if (this.#refusals.size >= MAX_REFUSALS) this.#refusals.clear();
    this.#refusals.set(uuid, { model, tokens: Math.min(known, tokens), at: this.#clock.now() });
  }

  /** A prompt of this size was taken: what was refused below it was refused for another reason. */
  accepted(uuid: string, model: string | undefined, tokens: number): void {
    const refused = this.#refusal(uuid, model);
    if (refused !== undefined && refused <= tokens) this.#refusals.delete(uuid);
  }

  /** A payload was refused until its older media had been left out. For an hour they are left out from the start. */
  leftOutMedia(uuid: string): void {
    if (this.#withoutMedia.size >= MAX_REFUSALS) this.#withoutMedia.clear();
    this.#withoutMedia.set(uuid, this.#clock.now());
  }

  /** Which media a session's prompts begin with. */
  mediaOf(uuid: string): "all" | "last-turn" {
    const at = this.#withoutMedia.get(uuid);
    return at !== undefined && this.#clock.now() - at < REMEMBERED_MS ? "last-turn" : "all";
  }

  #refusal(uuid: string, model: string | undefined): number | undefined {
    const refusal = this.#refusals.get(uuid);
    if (refusal === undefined || refusal.model !== model) return undefined;
    return this.#clock.now() - refusal.at < REMEMBERED_MS ? refusal.tokens : undefined;
  }

  #ask(model: string | undefined, key: SessionKey): number | undefined {
    const operation = "contextWindow";
    let tokens: unknown;
    try {
      tokens = this.#provider?.contextWindow?.(model);
    } catch (cause) {
      throw new HookError("contextWindow failed, so it is not known what fits the model.", { operation, key, cause });
    }
    if (tokens === undefined || (typeof tokens === "number" && Number.isFinite(tokens) && tokens >= 1)) return tokens;
    throw new HookError("contextWindow must return a number of tokens, 1 or more, or undefined, at once.", {
      operation,
      key,
    });
  }
}
