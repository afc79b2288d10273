import type { SessionKey } from "../core/key.js";
import type { Message, Usage } from "../core/message.js";
import { HookError, isSessionError } from "../errors.js";
import {
  checkAnswer,
  checkStep,
  checkUsage,
  type GenerateRequest,
  type GenerateResult,
  type ProviderHooks,
} from "./hooks.js";
import { untilAborted } from "./until-aborted.js";

/** How one call of the provider ended. */
export type Generation =
  | { ended: "answered"; answer: GenerateResult }
  | { ended: "aborted"; partial: string }
  | { ended: "failed"; partial: string; error: unknown };

export interface GenerationOptions {
  provider: ProviderHooks;
  request: Omit<GenerateRequest, "emit" | "record">;
  onText(text: string): void;
  store(step: Message, usage: Usage | undefined): Promise<void>;
  /** Told when the provider fails after its turn was over, which changes nothing any more. */
  onLateFailure(error: unknown): void;
}

/** Calls the provider until it answers, fails or is aborted. */
export async function generate({
  provider,
  request,
  onText,
  store,
  onLateFailure,
}: GenerationOptions): Promise<Generation> {
  const { key, signal } = request;
  if (signal.aborted) return { ended: "aborted", partial: "" };
  let partial = "";
  let over = false;
  const steps: Promise<void>[] = [];
  const emit = (text: string): void => {
    if (typeof text !== "string") throw new TypeError("emit(text) takes a string.");
    if (over || text === "") return;
    partial += text;
    onText(text);
  };
  const storeStep = async (message: Message, usage: unknown): Promise<void> => {
    if (over) throw turnOver(key);
    const step = checkStep(message, key);
    const cost = checkUsage(usage, key);
    // What streamed before this step is in the step; only what comes after it is still nowhere else.
    if (step.role === "assistant") partial = "";
    await store(step, cost);
  };
  const record: GenerateRequest["record"] = (message, facts): Promise<void> => {
    const step = storeStep(message, facts?.usage);
    // A provider that does not wait for it must not end the process; what went wrong is seen below.
    void Promise.allSettled([step]);
    if (!over) steps.push(step);
    return step;
  };
  const call = (async () => checkAnswer(await provider.generate({ ...request, emit, record }), key, request.purpose))();
  try {
    const answered = await untilAborted(call, signal, onLateFailure);
    if (answered === undefined) return { ended: "aborted", partial };
    over = true;
    // A step that could not be stored is missing from the conversation, whatever the provider made of it.
    await Promise.all(steps);
    return { ended: "answered", answer: answered.value };
  } catch (error) {
    return signal.aborted ? { ended: "aborted", partial } : { ended: "failed", partial, error: asOurs(error, key) };
  } finally {
    over = true;
    // A step still being written comes before the turn's end.
    await Promise.allSettled(steps);
  }
}

function asOurs(cause: unknown, key: SessionKey): unknown {
  if (isSessionError(cause)) return cause;
  return new HookError("The provider failed; see `cause`. The message is stored and the session goes on.", {
    operation: "generate",
    key,
    cause,
  });
}

function turnOver(key: SessionKey): HookError {
  return new HookError("The turn is over, so this step was not stored.", { operation: "record", key });
}
