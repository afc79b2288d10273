import { parseSessionKey } from "../../core/key.js";
import { addUsage, type Message, textOf, type Usage } from "../../core/message.js";
import { isContextOverflow, isPayloadTooLarge } from "../../core/overflow.js";
import type { SessionRecord } from "../../core/record.js";
import { HookError } from "../../errors.js";
import { generate } from "../generation.js";
import type { GenerateRequest } from "../hooks.js";
import type { Shell } from "../shell.js";
import { withinSeconds } from "../until-aborted.js";

/** What the model made of a request that is the library's own. */
export type Asked =
  | { ended: "answered"; text: string; usage: Usage | undefined; stopReason: string | undefined }
  | { ended: "aborted" }
  /** `tooLong`: because of the size of the prompt. */
  | { ended: "failed"; error: unknown; tooLong: boolean };

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
  if (provider === undefined) return failed(new HookError("No provider was given to the manager.", { operation, key }));
  const { overflowPatterns: patterns } = provider;
  let usage: Usage | undefined;
  let recorded: Message | undefined;
  const { agentId } = parseSessionKey(key);
  const asked = { purpose, key, uuid, agentId, model, messages, tools: [] };
  const generation = await withinSeconds(timeoutSeconds, signal, (until) =>
    generate({
      provider,
      request: { ...asked, ...(instructions === undefined ? {} : { instructions }), signal: until },
      onText: () => {},
      store: async (step, cost) => {
        recorded = step;
        usage = addUsage(usage, cost);
      },
      onLateFailure: () => logger.debug({ key, purpose }, "the provider failed after it was given up"),
    }),
  );
  if (generation.ended === "answered") {
    const { messages: answer, stopReason } = generation.answer;
    usage = addUsage(usage, generation.answer.usage);
    // As with a reply, what was recorded last is the answer where nothing is returned.
    const last = answer.at(-1) ?? recorded;
    const text = last?.role === "assistant" ? textOf(last).trim() : "";
    const isOfUse = text !== "" && purpose !== "summary";
    if (!isOfUse && stopReason !== undefined && isContextOverflow(undefined, { stopReason, patterns })) {
      const error = new HookError(`The provider stopped at the end of its window (${stopReason}).`, { operation, key });
      return { ended: "failed", error, tooLong: true };
    }
    return { ended: "answered", text, usage, stopReason };
  }
  if (generation.ended === "failed") {
    const { error } = generation;
    return { ended: "failed", error, tooLong: isContextOverflow(error, { patterns }) || isPayloadTooLarge(error) };
  }
  if (signal.aborted) return { ended: "aborted" };
  return failed(
    new HookError(`The provider did not answer in ${timeoutSeconds} seconds (compaction.timeoutSeconds).`, {
      operation,
      key,
    }),
  );
}

function failed(error: unknown): Asked {
  return { ended: "failed", error, tooLong: false };
}
