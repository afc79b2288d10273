import { agentContextTokens, type SessionsConfig } from "../../core/config.js";
import type { SessionKey } from "../../core/key.js";
import { HookError } from "../../errors.js";
import type { Logger, ProviderHooks } from "../hooks.js";

// What most hosted models have had since 2024. A smaller one is found out by its own refusal.
const DEFAULT_WINDOW = 200_000;

/** How large the windows of models are. */
export class ModelWindows {
  readonly #config: SessionsConfig;
  readonly #provider: ProviderHooks | undefined;
  readonly #logger: Logger;
  readonly #unknown = new Set<string | undefined>();

  constructor(config: SessionsConfig, provider: ProviderHooks | undefined, logger: Logger) {
    this.#config = config;
    this.#provider = provider;
    this.#logger = logger;
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
