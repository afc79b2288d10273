import { parseSessionKey } from "../../core/key.js";
import { addUsage, type Message, textOf, type Usage } from "../../core/message.js";
import type { SessionRecord } from "../../core/record.js";
import { HookError } from "../../errors.js";
import { generate } from "../generation.js";
import type { GenerateRequest } from "../hooks.js";
import type { Shell } from "../shell.js";

/** What the model made of a request that is the library's own. */
export type Asked =
  | { ended: "answered"; text: string; usage: Usage | undefined; stopReason: string | undefined }
  | { ended: "aborted" }
  | { ended: "failed"; error: unknown };

/** A request of the library's own: no part of the conversation, and nothing of it is stored or shown. */
export interface OwnRequest {
  purpose: Exclude<GenerateRequest["purpose"], "reply">;
  record: Pick<SessionRecord, "key" | "uuid">;
  model: string | undefined;
  messages: readonly Message[];
  instructions: string | undefined;
  timeoutSeconds: number;
  signal: AbortSignal;
}

/** Asks the model something that is not an answer to anyone. */
export async function askModel(shell: Shell, request: OwnRequest): Promise<Asked> {
  const { purpose, record, model, messages, instructions, timeoutSeconds, signal } = request;
  const { key, uuid } = record;
  const { provider, logger } = shell;
  const operation = `generate (${purpose})`;
  if (provider === undefined)
    return { ended: "failed", error: new HookError("No provider was given to the manager.", { operation, key }) };
  let usage: Usage | undefined;
  const late = AbortSignal.timeout(timeoutSeconds * 1000);
  const generation = await generate({
    provider,
    request: {
      purpose,
      key,
      uuid,
      agentId: parseSessionKey(key).agentId,
      model,
      messages,
      ...(instructions === undefined ? {} : { instructions }),
      signal: AbortSignal.any([signal, late]),
    },
    onText: () => {},
    store: async (_step, cost) => {
      usage = addUsage(usage, cost);
    },
    onLateFailure: () => logger.debug({ key, purpose }, "the provider failed after it was given up"),
  });
  if (generation.ended === "answered") {
    const { messages: answer, stopReason } = generation.answer;
    usage = addUsage(usage, generation.answer.usage);
    const text = answer.at(-1)?.role === "assistant" ? textOf(answer.at(-1) as Message) : "";
    return { ended: "answered", text: text.trim(), usage, stopReason };
  }
  if (generation.ended === "failed") return { ended: "failed", error: generation.error };
  if (signal.aborted) return { ended: "aborted" };
  return {
    ended: "failed",
    error: new HookError(`The provider did not answer in ${timeoutSeconds} seconds (compaction.timeoutSeconds).`, {
      operation,
      key,
    }),
  };
}
