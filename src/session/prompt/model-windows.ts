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

/** How large the windows of models are. */
export class ModelWindows {
  readonly #config: SessionsConfig;
  readonly #provider: ProviderHooks | undefined;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #unknown = new Set<string | undefined>();
  readonly #refusals = new Map<string, { model: string | undefined; tokens: number; at: number }>();

  constructor(config: SessionsConfig, provider: ProviderHooks | undefined, logger: Logger, clock: Clock) {
    this.#config = config;
    this.#provider = provider;
    this.#logger = logger;
    this.#clock = clock;
  }

  /** A prompt of this size was refused. For an hour the session's prompts are kept below it, or each would be refused first. */
  refused(uuid: string, model: string | undefined, tokens: number): void {
    if (tokens < LEAST_REFUSED) return;
    const known = this.#refusal(uuid, model) ?? Number.POSITIVE_INFINITY;
    this.#refusals.delete(uuid);
    if (this.#refusals.size >= MAX_REFUSALS) this.#refusals.clear();
    this.#refusals.set(uuid, { model, tokens: Math.min(known, tokens), at: this.#clock.now() });
  }

  /** The window of a session's model, or less where that has been seen to be too much. @throws HookError */
  for(uuid: string, model: string | undefined, agentId: string, key: SessionKey): number {
    return Math.min(this.of(model, agentId, key), this.#refusal(uuid, model) ?? Number.POSITIVE_INFINITY);
  }

  #refusal(uuid: string, model: string | undefined): number | undefined {
    const refusal = this.#refusals.get(uuid);
    if (refusal === undefined || refusal.model !== model) return undefined;
    return this.#clock.now() - refusal.at < REMEMBERED_MS ? refusal.tokens : undefined;
  }

  /** In tokens: what the host says of the model, else what is configured for the agent, else 200,000. @throws HookError */
  of(model: string | undefined, agentId: string, key: SessionKey): number {
    const known = this.#ask(model, key) ?? agentContextTokens(this.#config, agentId);
    if (known !== undefined) return known;
    if (!this.#unknown.has(model)) {
      this.#unknown.add(model);
      this.#logger.warn(
        { model, contextWindow: DEFAULT_WINDOW },
        "the window of this model is not known: give provider.contextWindow or agents.defaults.contextTokens",
      );
    }
    return DEFAULT_WINDOW;
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
