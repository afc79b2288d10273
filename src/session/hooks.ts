import { z } from "zod";
import type { CommandRequest } from "../core/command.js";
import { copyJson } from "../core/json.js";
import type { SessionKey } from "../core/key.js";
import { describeIssues, type Message, messageSchema, ownFields, type Usage, usageSchema } from "../core/message.js";
import type { OverflowPattern } from "../core/overflow-patterns.js";
import { HookError } from "../errors.js";
import type { SessionTool } from "./tool.js";

/** Calls the model. The one thing a host must bring. */
export interface ProviderHooks {
  /**
   * Answers the context. A string is the reply; an object also carries tool steps, usage, or several messages.
   *
   * What `record` was given is already stored and must not be returned again. What is sent is the text of the last message,
   * recorded or returned, when it is the assistant's and calls no tool. Do not await `handle` for the same session in here:
   * that message waits for this one.
   */
  generate(request: GenerateRequest): Promise<string | GenerateResult>;
  /** Turns a name a person typed after `/model` into the one to store; `undefined` refuses it. Default: any name as it is. */
  resolveModel?(name: string): string | undefined;
  /** The window of a model in tokens; `undefined` when not known. Default: `agents.defaults.contextTokens`, else 200,000. */
  contextWindow?(model: string | undefined): number | undefined;
  /** What a message takes in a prompt of that model, in tokens. Called for every message once. Default: tiktoken. */
  countTokens?(message: Message, model: string | undefined): number;
  /** Further errors by which this provider says that a prompt was too long; see `isContextOverflow`. */
  overflowPatterns?: readonly OverflowPattern[] | undefined;
}

/** One call for an answer. */
export interface GenerateRequest {
  /**
   * Why the model is called. `summary` and `memory-flush` are the library's own requests: what is answered is shown to nobody.
   * `messages` has all of the request in each case, so a provider need not look at this.
   */
  purpose: "reply" | "summary" | "memory-flush";
  key: SessionKey;
  uuid: string;
  agentId: string;
  /** The session's model: `/model`, else the agent's; `undefined` leaves it to the host. */
  model: string | undefined;
  /** Everything the model may see, complete and in order. */
  messages: readonly Message[];
  /**
   * The session tools that the agent may use, bound to this session and this turn; hand on all of them, some or none. Empty with
   * another purpose than `reply`.
   */
  tools: readonly SessionTool[];
  /** What is asked for with `memory-flush`, and what to take care of with `summary`; also said in `messages`. */
  instructions?: string;
  /** Aborts on `/stop`, on the host's own signal, when the claim is lost and on `close`. */
  signal: AbortSignal;
  /** Hands on text as it streams, so that it is kept when the turn is stopped. After the turn's end it does nothing. */
  emit(text: string): void;
  /**
   * Stores a tool step at once, with what the call of the model that made it cost. Rejects once the turn has ended. With another
   * purpose than `reply` nothing is stored.
   */
  record(message: Message, facts?: { usage?: Usage | undefined }): Promise<void>;
}

export interface GenerateResult {
  messages: Message[];
  /** What the last call of the model cost; not the sum of several, because it tells how large the prompt was. */
  usage?: Usage | undefined;
  /** The provider's word for why it stopped. With `aborted` or `error` the text counts as cut off, and the model is told so. */
  stopReason?: string | undefined;
}

/** Sends text to a chat. */
export interface ChannelHooks {
  deliver(delivery: Delivery): Promise<unknown>;
  /** The bot's name on this channel, so that `/clear@other_bot` is left to the other bot. Default: any name is ours. */
  botName?: string | ((accountId: string) => string | undefined) | undefined;
}

/** A text on its way back to where the message came from. */
export interface Delivery {
  key: SessionKey;
  /** The inbound message's own route, untouched. */
  route: unknown;
  text: string;
  /** The `messageId` that is answered. */
  inReplyTo?: string;
  signal: AbortSignal;
}

/** Says whether someone may give a command in a group, or in the session everybody shares under dmScope `main`. */
export type Authorize = (request: CommandRequest) => boolean | Promise<boolean>;

/** The time. `Date` is one. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
}

/** Where the library writes its log; a pino logger is one. It is never given what a person or the model said. */
export interface Logger {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export const SILENT: Logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const stepSchema = messageSchema.extend({ role: z.enum(["assistant", "tool"]) });
const resultSchema = z.looseObject({
  messages: z.array(stepSchema),
  usage: usageSchema.nullish(),
  stopReason: z.string().nullish(),
});

/** @throws HookError when the provider's answer cannot be stored or sent. */
export function checkAnswer(answer: unknown, key: SessionKey, purpose: GenerateRequest["purpose"]): GenerateResult {
  if (typeof answer === "string") {
    if (purpose === "reply" && answer.trim() === "")
      throw unusable("an empty text; answer NO_REPLY to stay silent", key);
    return { messages: [{ role: "assistant", content: answer }] };
  }
  const result = resultSchema.safeParse(asJson(answer, key));
  if (!result.success) throw unusable(`neither a text nor { messages }: ${describeIssues(result.error)}`, key);
  const { messages, usage, stopReason } = result.data;
  return {
    messages: messages.map(ownFields),
    usage: (usage ?? undefined) as Usage | undefined,
    stopReason: stopReason ?? undefined,
  };
}

/** @throws HookError when a report of what a call cost is none. */
export function checkUsage(usage: unknown, key: SessionKey): Usage | undefined {
  if (usage === undefined || usage === null) return undefined;
  const result = usageSchema.safeParse(usage);
  if (!result.success) throw unusable(`a usage that is none: ${describeIssues(result.error)}`, key);
  const { input, output, cacheRead, cacheWrite } = result.data;
  return {
    input,
    output,
    ...(cacheRead === undefined ? {} : { cacheRead }),
    ...(cacheWrite === undefined ? {} : { cacheWrite }),
  };
}

/** @throws HookError when a step is not one of the assistant's or a tool's. */
export function checkStep(message: unknown, key: SessionKey): Message {
  const result = stepSchema.safeParse(asJson(message, key));
  if (!result.success) throw unusable(`a step that is no message: ${describeIssues(result.error)}`, key);
  return ownFields(result.data);
}

function asJson(value: unknown, key: SessionKey): unknown {
  try {
    return copyJson(value);
  } catch (cause) {
    throw unusable("something that cannot be written as JSON", key, cause);
  }
}

function unusable(what: string, key: SessionKey, cause?: unknown): HookError {
  return new HookError(`The provider answered with ${what}.`, { operation: "generate", key, cause });
}
