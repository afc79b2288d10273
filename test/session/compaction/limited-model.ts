import {
  type GenerateRequest,
  type GenerateResult,
  loadTokenCounter,
  type Message,
  type ProviderHooks,
} from "../../../src/index.js";

type Purpose = GenerateRequest["purpose"];
type Answer = string | GenerateResult | Error;

/** What the model does at the nth call of a purpose, counted from 1. Refused calls do not get so far. */
type Behaviour = (request: GenerateRequest, nth: number) => Answer | Promise<Answer>;

/** One call, as it was when it was made. */
interface Call {
  purpose: Purpose;
  model: string | undefined;
  instructions: string | undefined;
  messages: Message[];
  /** All that is said in it. */
  text: string;
  tokens: number;
  refused: boolean;
}

export interface LimitedModel extends ProviderHooks {
  readonly calls: readonly Call[];
  /** The purposes of the calls so far, in order. */
  purposes(): Purpose[];
  of(purpose: Purpose): Call[];
}

export interface Limits {
  /** What fits the model, in tokens; by its name where there are several. */
  window: number | Readonly<Record<string, number>>;
  /** What it says that fits, where that is something else. */
  told?: number | undefined;
  /** So much of the window a reply needs for itself. */
  output?: number;
  /** How it refuses what does not fit. */
  refusal?: (tokens: number, window: number) => Error;
  reply?: Behaviour;
  summary?: Behaviour;
  flush?: Behaviour;
}

/** A model that refuses what does not fit its window, as real ones do, and keeps what it was asked. */
export function limitedModel(limits: Limits): LimitedModel & Required<Pick<ProviderHooks, "contextWindow">> {
  const { window, told, output = 0, refusal = openaiRefusal } = limits;
  const calls: Call[] = [];
  const windowOf = (model: string | undefined) =>
    typeof window === "number" ? window : (window[model ?? ""] ?? Number.POSITIVE_INFINITY);
  const of = (purpose: Purpose) => calls.filter((call) => call.purpose === purpose);
  const accepted = (purpose: Purpose) => of(purpose).filter(({ refused }) => !refused).length;
  const behaviours: Record<Purpose, Behaviour> = {
    reply: limits.reply ?? ((_request, nth) => `answer ${nth}.`),
    summary: limits.summary ?? ((_request, nth) => `Notes no. ${nth}: they spoke of many things.`),
    "memory-flush": limits.flush ?? (() => "NO_REPLY"),
  };
  return {
    calls,
    of,
    purposes: () => calls.map(({ purpose }) => purpose),
    contextWindow: (model) => told ?? windowOf(model),
    async generate(request) {
      const { purpose, model, instructions } = request;
      const messages = structuredClone(request.messages) as Message[];
      const tokens = await tokensOf(messages);
      const most = windowOf(model) - (purpose === "reply" ? output : 0);
      const refused = tokens > most;
      calls.push({ purpose, model, instructions, messages, text: JSON.stringify(messages), tokens, refused });
      if (refused) throw refusal(tokens, most);
      const answer = await behaviours[purpose](request, accepted(purpose));
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
}

/** What messages take in a prompt. */
export async function tokensOf(messages: readonly Message[]): Promise<number> {
  const { countMessage } = await loadTokenCounter();
  return messages.reduce((sum, message) => sum + countMessage(message), 0);
}

/** As OpenAI's client throws it. */
export function openaiRefusal(tokens: number, window: number): Error {
  const message = `This model's maximum context length is ${window} tokens. However, your messages resulted in ${tokens} tokens. Please reduce the length of the messages.`;
  const error = { message, type: "invalid_request_error", param: "messages", code: "context_length_exceeded" };
  return Object.assign(new Error(`400 ${message}`), { name: "BadRequestError", status: 400, ...error, error });
}

/** As Anthropic's client throws it. */
export function anthropicRefusal(tokens: number, window: number): Error {
  const message = `prompt is too long: ${tokens} tokens > ${window} maximum`;
  const error = { type: "error", error: { type: "invalid_request_error", message } };
  return Object.assign(new Error(`400 ${JSON.stringify(error)}`), { status: 400, error });
}

/** As the AI SDK throws what Google answered. */
export function googleRefusal(tokens: number, window: number): Error {
  const message = `The input token count (${tokens}) exceeds the maximum number of tokens allowed (${window}).`;
  const responseBody = JSON.stringify({ error: { code: 400, message, status: "INVALID_ARGUMENT" } });
  return Object.assign(new Error(message), { name: "AI_APICallError", statusCode: 400, responseBody });
}

/** As Anthropic's client throws it when the bytes are too many. */
export function payloadRefusal(): Error {
  const error = { type: "error", error: { type: "request_too_large", message: "Request exceeds the maximum size" } };
  return Object.assign(new Error(`413 ${JSON.stringify(error)}`), { status: 413, error });
}
