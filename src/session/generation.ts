import type { SessionKey } from "../core/key.js";
import type { Message } from "../core/message.js";
import { HookError } from "../errors.js";
import { checkAnswer, checkStep, type GenerateRequest, type GenerateResult, type ProviderHooks } from "./hooks.js";

/** How one call of the provider ended. */
export type Generation =
  | { ended: "answered"; answer: GenerateResult }
  | { ended: "aborted"; partial: string }
  | { ended: "failed"; partial: string; error: unknown };

export interface GenerationOptions {
  provider: ProviderHooks;
  request: Omit<GenerateRequest, "emit" | "record">;
  onText(text: string): void;
  store(step: Message): Promise<void>;
  /** Told when the provider fails after its turn was over, which changes nothing any more. */
  onLateFailure(error: unknown): void;
}

/**
 * Calls the provider until it answers, fails or is aborted. An abort does not wait for it: a provider that ignores its
 * signal would hold the session.
 */
export async function generate({
  provider,
  request,
  onText,
  store,
  onLateFailure,
}: GenerationOptions): Promise<Generation> {
  const { key, signal } = request;
  let partial = "";
  let over = false;
  const stored: Promise<void>[] = [];
  const emit = (text: string): void => {
    if (typeof text !== "string") throw new TypeError("emit(text) takes a string.");
    if (over || text === "") return;
    partial += text;
    onText(text);
  };
  const record = async (message: Message): Promise<void> => {
    if (over) throw turnOver(key);
    const step = checkStep(message, key);
    // What streamed before this step is in the step; only what comes after it is still nowhere else.
    if (step.role === "assistant") partial = "";
    const storing = store(step);
    stored.push(storing);
    await storing;
  };
  const call = (async () => checkAnswer(await provider.generate({ ...request, emit, record }), key))();
  try {
    const answer = await orAborted(call, signal);
    return answer === undefined ? { ended: "aborted", partial } : { ended: "answered", answer };
  } catch (cause) {
    if (signal.aborted) return { ended: "aborted", partial };
    return { ended: "failed", partial, error: asHookError(cause, key) };
  } finally {
    over = true;
    call.catch((error: unknown) => {
      if (signal.aborted) onLateFailure(error);
    });
    // A step still being written comes before the turn's end.
    await Promise.allSettled(stored);
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<undefined>((resolve) => {
    onAbort = () => resolve(undefined);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}

function asHookError(cause: unknown, key: SessionKey): HookError {
  if (cause instanceof HookError) return cause;
  return new HookError("The provider failed; see `cause`. The message is stored and the session goes on.", {
    operation: "generate",
    key,
    cause,
  });
}

function turnOver(key: SessionKey): HookError {
  return new HookError("The turn is over, so this step was not stored.", { operation: "record", key });
}
