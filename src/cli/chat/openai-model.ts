import {
  type GenerateRequest,
  type GenerateResult,
  isContextOverflow,
  type ProviderHooks,
  type Usage,
} from "../../index.js";
import { toChatMessages } from "./openai-messages.js";
import { serverSentData } from "./server-sent-events.js";

/** Where an OpenAI-compatible server is. */
export interface OpenAiServer {
  /** Up to and without `/chat/completions`, such as `https://api.openai.com/v1`. */
  baseUrl: string;
  /** Local servers need none. */
  apiKey: string | undefined;
  /** For a session whose people and whose config chose none. */
  model: string;
}

/** The model server could not be reached, refused, or broke off. Never holds anything of the conversation. */
export class ModelServerError extends Error {
  override readonly name = "ModelServerError";
  /** The HTTP status, when there was an answer. */
  readonly status: number | undefined;
  /** Set when what was sent is more than the model takes. */
  readonly code: "context_length_exceeded" | undefined;

  constructor(message: string, details: { status?: number; tooLong?: boolean; cause?: unknown } = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.status = details.status;
    this.code = details.tooLong ? "context_length_exceeded" : undefined;
  }
}

/** Any server that speaks OpenAI's `/chat/completions`, its answer streamed. */
export function openAiModel(server: OpenAiServer): ProviderHooks {
  return {
    async generate(request) {
      const response = await ask(server, request);
      const answer = new Answer(request.emit);
      const type = response.headers.get("content-type") ?? "";
      // A server that cannot stream answers with the whole at once.
      if (type.includes("application/json")) answer.takeWhole(await readBody(request.signal, () => response.json()));
      else await readBody(request.signal, () => takeStream(response, answer));
      return answer.result();
    },
  };
}

async function ask({ baseUrl, apiKey, model }: OpenAiServer, request: GenerateRequest): Promise<Response> {
  const { signal } = request;
  let response: Response;
  try {
    response = await fetch(`${baseUrl.replace(/\/+$/, "")}/chat/completions`, {
      method: "POST",
      signal,
      headers: {
        "content-type": "application/json",
        ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      },
      body: JSON.stringify({
        model: request.model ?? model,
        messages: toChatMessages(request.messages),
        stream: true,
        stream_options: { include_usage: true },
      }),
    });
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new ModelServerError(`The model server at ${new URL(baseUrl).host} could not be reached${why(cause)}.`, {
      cause,
    });
  }
  if (response.ok) return response;
  const { status } = response;
  const body = await readBody(signal, () => response.text());
  // Its words may quote what it was sent and go no further than this.
  const tooLong = isContextOverflow({ status, body });
  throw new ModelServerError(`The model server answered ${status}${refusalIn(body)}.`, { status, tooLong });
}

async function takeStream(response: Response, answer: Answer): Promise<void> {
  if (response.body === null) return;
  for await (const data of serverSentData(response.body)) {
    if (data.trim() === "[DONE]") {
      answer.done = true;
      return;
    }
    answer.take(data);
  }
}

async function readBody<T>(signal: AbortSignal, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (signal.aborted || cause instanceof ModelServerError) throw cause;
    throw new ModelServerError(`The model server broke off its answer${why(cause)}.`, { cause });
  }
}

interface Chunk {
  choices?: { delta?: { content?: unknown }; message?: { content?: unknown }; finish_reason?: unknown }[];
  usage?: {
    prompt_tokens?: unknown;
    completion_tokens?: unknown;
    prompt_tokens_details?: { cached_tokens?: unknown } | null;
  } | null;
  error?: unknown;
}

/** An answer as it comes in. */
class Answer {
  done = false;
  #text = "";
  #stopReason: string | undefined;
  #usage: Usage | undefined;
  readonly #emit: (text: string) => void;

  constructor(emit: (text: string) => void) {
    this.#emit = emit;
  }

  take(data: string): void {
    let chunk: unknown;
    try {
      chunk = JSON.parse(data);
    } catch {
      // The parser's message would quote the answer.
      throw new ModelServerError("The model server streamed something that is no JSON.");
    }
    this.#read(chunk, (choice) => choice.delta?.content);
  }

  takeWhole(body: unknown): void {
    this.#read(body, (choice) => choice.message?.content);
    this.done = true;
  }

  result(): GenerateResult {
    // Without its end an answer was cut off, however whole it looks.
    if (!this.done && this.#stopReason === undefined)
      throw new ModelServerError("The model server broke off its answer.");
    return {
      messages: [{ role: "assistant", content: this.#text }],
      ...(this.#usage === undefined ? {} : { usage: this.#usage }),
      ...(this.#stopReason === undefined ? {} : { stopReason: this.#stopReason }),
    };
  }

  // Some servers say only here that they could not go on.
  #stop(reason: string): void {
    if (/^(error|abort)/i.test(reason)) throw new ModelServerError("The model server broke off its answer.");
    this.#stopReason = reason;
  }

  #read(value: unknown, textIn: (choice: NonNullable<Chunk["choices"]>[number]) => unknown): void {
    if (typeof value !== "object" || value === null)
      throw new ModelServerError("The model server answered with something that is no object.");
    const { choices, usage, error } = value as Chunk;
    if (error !== undefined && error !== null)
      throw new ModelServerError(`The model server broke off its answer${refusalCode(value)}.`, {
        tooLong: isContextOverflow(value),
      });
    const choice = Array.isArray(choices) ? choices[0] : undefined;
    const text = choice === undefined ? undefined : textIn(choice);
    if (typeof text === "string" && text !== "") {
      this.#text += text;
      this.#emit(text);
    }
    if (typeof choice?.finish_reason === "string") this.#stop(choice.finish_reason);
    if (typeof usage === "object" && usage !== null) this.#usage = readUsage(usage);
  }
}

// What the server counts as the prompt includes what it had cached.
function readUsage(usage: NonNullable<Chunk["usage"]>): Usage {
  const cacheRead = count(usage.prompt_tokens_details?.cached_tokens);
  return {
    input: Math.max(0, count(usage.prompt_tokens) - cacheRead),
    output: count(usage.completion_tokens),
    ...(cacheRead > 0 ? { cacheRead } : {}),
  };
}

function count(value: unknown): number {
  return typeof value === "number" && value >= 0 ? value : 0;
}

function refusalIn(body: string): string {
  try {
    return refusalCode(JSON.parse(body));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    // What stands before a server, such as a proxy, answers in HTML; the status says enough.
    return "";
  }
}

// A server's message may quote what it was sent; its code or type is a word of its own.
function refusalCode(body: unknown): string {
  const error = (body as { error?: { code?: unknown; type?: unknown } } | null)?.error;
  const word = [error?.code, error?.type].find((one) => typeof one === "string" && /^[\w.-]{1,64}$/.test(one));
  return word === undefined ? "" : ` (${word})`;
}

function why(cause: unknown): string {
  const { code } = (cause as { cause?: { code?: unknown } }).cause ?? {};
  return typeof code === "string" ? ` (${code})` : "";
}
