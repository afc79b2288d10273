import {
  generateText,
  type JSONValue,
  jsonSchema,
  type LanguageModel,
  type LanguageModelUsage,
  type ModelMessage,
  stepCountIs,
  type ToolModelMessage,
  type ToolSet,
  tool,
} from "ai";
import type { ContentPart, GenerateRequest, Message, ProviderHooks, SessionTool, Usage } from "openclaw-sessions";

/** What the AI SDK asks whether an input fits; without it, it hands on to the tool whatever the model has made. */
export type Validate = (
  schema: SessionTool["inputSchema"],
  input: unknown,
) => { success: true; value: unknown } | { success: false; error: Error };

/** Agents whose loop is the AI SDK's: each step is stored when it is over, and the last is the answer. */
export function aiSdkLoop(modelOf: (request: GenerateRequest) => LanguageModel, validate?: Validate): ProviderHooks {
  return {
    async generate(request) {
      let stored = 0;
      const { response, usage, finishReason } = await generateText({
        model: modelOf(request),
        messages: request.messages.flatMap(toModelMessage),
        tools: toToolSet(request.tools, validate),
        stopWhen: stepCountIs(12),
        abortSignal: request.signal,
        maxRetries: 0,
        onStepFinish: async ({ response: soFar, toolCalls, usage: cost }) => {
          if (toolCalls.length === 0) return;
          const step = soFar.messages.slice(stored).map(fromModelMessage);
          stored = soFar.messages.length;
          for (const message of step)
            await request.record(message, message.role === "assistant" ? { usage: toUsage(cost) } : {});
        },
      });
      const messages = response.messages.slice(stored).map(fromModelMessage);
      return { messages, usage: toUsage(usage), stopReason: finishReason };
    },
  };
}

function toToolSet(tools: readonly SessionTool[], validate: Validate | undefined): ToolSet {
  const made = tools.map(({ name, description, inputSchema, execute }) => {
    const schema = inputSchema as Parameters<typeof jsonSchema>[0];
    const check = validate === undefined ? {} : { validate: (input: unknown) => validate(inputSchema, input) };
    return [
      name,
      tool({
        description,
        inputSchema: jsonSchema(schema, check),
        execute: (input, { abortSignal }) => execute(input, { signal: abortSignal }),
      }),
    ] as const;
  });
  return Object.fromEntries(made);
}

function toModelMessage({ role, content }: Message): ModelMessage[] {
  if (role === "system") return [{ role, content: textOf(content) }];
  if (role === "user") return [{ role, content: textOf(content) }];
  const parts = typeof content === "string" ? [{ type: "text" as const, text: content }] : content;
  if (role === "assistant") {
    const said = parts.flatMap((part) => (part.type === "text" || part.type === "tool-call" ? [part] : []));
    return [{ role, content: said }];
  }
  const results = parts.flatMap((part) => (part.type === "tool-result" ? [toResult(part)] : []));
  return [{ role: "tool", content: results }];
}

type ToolResult = Extract<ContentPart, { type: "tool-result" }>;

function toResult({ toolCallId, toolName, output, isError }: ToolResult): ToolModelMessage["content"][number] {
  const value = output as JSONValue;
  return { type: "tool-result", toolCallId, toolName, output: { type: isError ? "error-json" : "json", value } };
}

function fromModelMessage({ role, content }: ModelMessage): Message {
  if (typeof content === "string") return { role, content };
  const parts = content.flatMap((part): ContentPart[] => {
    if (part.type === "text") return [{ type: "text", text: part.text }];
    if (part.type === "tool-call") {
      const { type, toolCallId, toolName, input } = part;
      return [{ type, toolCallId, toolName, input }];
    }
    if (part.type !== "tool-result") return [];
    const { type, toolCallId, toolName, output } = part;
    const isError = output.type === "error-text" || output.type === "error-json";
    const value = "value" in output ? output.value : null;
    return [{ type, toolCallId, toolName, output: value, ...(isError ? { isError } : {}) }];
  });
  return { role, content: parts };
}

function textOf(content: Message["content"]): string {
  if (typeof content === "string") return content;
  return content.map((part) => (part.type === "text" ? part.text : "")).join("");
}

function toUsage({ inputTokens = 0, outputTokens = 0 }: LanguageModelUsage): Usage {
  return { input: inputTokens, output: outputTokens };
}
