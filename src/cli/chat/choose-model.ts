import { InvalidConfigError, type ProviderHooks, type SessionsConfig } from "../../index.js";
import { offlineModel } from "./offline-model.js";
import { openAiModel } from "./openai-model.js";

/** The model a chat talks to, and how to say so. */
export interface ChosenModel {
  provider: ProviderHooks;
  description: string;
}

/**
 * The server that the environment names, else the offline model.
 * @throws InvalidConfigError when the server's address is none.
 */
export function chooseModel(
  env: Readonly<Record<string, string | undefined>>,
  { agents }: SessionsConfig,
  wordPause: number,
): ChosenModel {
  const [baseUrl, apiKey, model] = [env.OPENAI_BASE_URL, env.OPENAI_API_KEY, env.OPENAI_MODEL].map(
    (value) => value?.trim() || undefined,
  );
  if (baseUrl !== undefined && model !== undefined) {
    const key = apiKey === undefined ? ", without OPENAI_API_KEY" : "";
    const configured = [agents.defaults, ...agents.list].some((agent) => agent.model !== undefined);
    const unless = configured ? ", except for agents whose model the config names" : "";
    return {
      provider: openAiModel({ baseUrl, apiKey, model }),
      description: `${model} at ${serverOf(baseUrl)}${key}${unless}`,
    };
  }
  const missing = [
    ...(baseUrl === undefined ? ["OPENAI_BASE_URL"] : []),
    ...(model === undefined ? ["OPENAI_MODEL"] : []),
  ];
  const meant = missing.length === 1 || apiKey !== undefined;
  return {
    provider: offlineModel(wordPause),
    description: `offline, recalls what its conversation holds${meant ? ` (for a server, ${missing.join(" and ")} must be set too)` : ""}`,
  };
}

// The address alone: a password may stand in the rest of the URL.
function serverOf(baseUrl: string): string {
  if (!URL.canParse(baseUrl) || !/^https?:$/.test(new URL(baseUrl).protocol))
    throw new InvalidConfigError("OPENAI_BASE_URL must be an http or https URL, such as http://127.0.0.1:8080/v1.");
  return new URL(baseUrl).host;
}
