import type { ContentPart, Message } from "../core/message.js";
import type { GenerateRequest, GenerateResult, ProviderHooks } from "../session/hooks.js";

/**
 * The model calls tools: all of these at once, as models do. The provider runs them and then goes on with the next step, within
 * the same call of `generate`.
 */
export interface ScriptedToolCalls {
  /** Which of the request's tools, and with what. An absent `input` is an empty object. */
  toolCalls: readonly { toolName: string; input?: unknown }[];
}

/**
 * What the model does at one call: say something, fail, call tools, or whatever of these the function answers. The function gets
 * the request as the model sees it then, and the outputs of the tools called so far in this call of `generate`.
 */
export type ScriptedStep =
  | string
  | GenerateResult
  | ScriptedToolCalls
  | Error
  | ((
      request: GenerateRequest,
      results: readonly unknown[],
    ) => string | GenerateResult | ScriptedToolCalls | Promise<string | GenerateResult | ScriptedToolCalls>);

/** A provider without a model: it follows a script and keeps what it was asked. */
export interface ScriptedProvider extends ProviderHooks {
  /**
   * Every request so far, in order: one for each step, since a loop calls the model again with what its tools answered. Its
   * `messages` are what the model would have seen then, steps of the same call of `generate` included.
   */
  readonly requests: readonly GenerateRequest[];
}

/**
 * A provider that answers by a script, and fails a call for which it has no step. A function in place of the list answers every call
 * of the model, also each that follows tool calls; it gets the outputs of those as `results`.
 *
 * A step of `toolCalls` does what the loop around a real model does: it stores the assistant's message with the calls, runs the
 * tools of the request side by side, stores their results in the order of the calls, and goes on with the next step. A tool that
 * is unknown or throws has a result with `isError` and `{ error }`. An abort of the request ends it with the signal's reason.
 *
 * ```ts
 * scriptedProvider([
 *   { toolCalls: [{ toolName: "sessions_list" }] },
 *   async (_request, [list]) => `I see ${JSON.stringify(list)}`,
 * ]);
 * ```
 */
export function scriptedProvider(
  script:
    | readonly ScriptedStep[]
    | ((request: GenerateRequest, results: readonly unknown[]) => ScriptedStep | Promise<ScriptedStep>),
  options: Pick<ProviderHooks, "resolveModel"> = {},
): ScriptedProvider {
  const requests: GenerateRequest[] = [];
  let calls = 0;
  const nextStep = async (request: GenerateRequest, results: readonly unknown[]) => {
    // A copy: later turns must not change what an earlier one is seen to have been asked.
    const number = requests.push({ ...request, messages: structuredClone(request.messages) });
    const step = typeof script === "function" ? await script(request, [...results]) : script[number - 1];
    if (step === undefined) throw new Error(`The script has no step for call ${number}.`);
    if (step instanceof Error) throw step;
    return typeof step === "function" ? step(request, [...results]) : step;
  };
  return {
    ...options,
    requests,
    async generate(request) {
      const results: unknown[] = [];
      let seen = request;
      for (;;) {
        const step = await nextStep(seen, results);
        // What is no answer at all is for the library to refuse.
        if (typeof step !== "object" || step === null || !("toolCalls" in step)) return step;
        const parts = step.toolCalls.map(({ toolName, input = {} }): ToolCall => {
          calls += 1;
          return { type: "tool-call", toolCallId: `call_${calls}`, toolName, input };
        });
        const call: Message = { role: "assistant", content: parts };
        await recorded(request, call);
        const content = await unlessAborted(request.signal, Promise.all(parts.map((part) => answer(part, request))));
        const answers: Message = { role: "tool", content };
        await recorded(request, answers);
        results.push(...content.map(({ output }) => output));
        seen = { ...request, messages: [...seen.messages, call, answers] };
      }
    },
  };
}

type ToolCall = Extract<ContentPart, { type: "tool-call" }>;
type ToolResult = Extract<ContentPart, { type: "tool-result" }>;

async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  let abort = () => {};
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(signal.reason);
  });
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function recorded(request: GenerateRequest, message: Message): Promise<void> {
  request.signal.throwIfAborted();
  await request.record(message);
  request.signal.throwIfAborted();
}

async function answer({ toolCallId, toolName, input }: ToolCall, request: GenerateRequest): Promise<ToolResult> {
  const result = { type: "tool-result", toolCallId, toolName } as const;
  const tool = request.tools.find(({ name }) => name === toolName);
  if (tool === undefined) return { ...result, output: { error: `There is no tool ${toolName}.` }, isError: true };
  try {
    return { ...result, output: await tool.execute(structuredClone(input), { signal: request.signal }) };
  } catch (error) {
    return { ...result, output: { error: error instanceof Error ? error.message : String(error) }, isError: true };
  }
}
