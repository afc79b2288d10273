import type { GenerateRequest, GenerateResult, ProviderHooks } from "../session/hooks.js";

/** What the model does at one call: say something, or whatever the function does. */
export type ScriptedStep =
  | string
  | GenerateResult
  | Error
  | ((request: GenerateRequest) => Promise<string | GenerateResult>);

/** A provider without a model: it follows a script and keeps what it was asked. */
export interface ScriptedProvider extends ProviderHooks {
  /** Every request so far, in order. */
  readonly requests: readonly GenerateRequest[];
}

/**
 * A provider that answers by a script, one step a call, and fails a call for which there is none.
 * A function in place of the list answers every call.
 */
export function scriptedProvider(
  script: readonly ScriptedStep[] | ((request: GenerateRequest) => ScriptedStep | Promise<ScriptedStep>),
  options: Pick<ProviderHooks, "resolveModel"> = {},
): ScriptedProvider {
  const requests: GenerateRequest[] = [];
  return {
    ...options,
    requests,
    async generate(request) {
      // A copy: later turns must not change what an earlier one is seen to have been asked.
      requests.push({ ...request, messages: structuredClone(request.messages) });
      const step = typeof script === "function" ? await script(request) : script[requests.length - 1];
      if (step === undefined) throw new Error(`The script has no step for call ${requests.length}.`);
      if (step instanceof Error) throw step;
      return typeof step === "function" ? step(request) : step;
    },
  };
}
