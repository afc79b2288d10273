import type { CompactionPlan } from "../../core/compaction.js";
import { compactionThresholds } from "../../core/compaction-policy.js";
import type { MessageEntry } from "../../core/entry.js";
import { parseSessionKey } from "../../core/key.js";
import { addUsage, type Usage } from "../../core/message.js";
import { shortenMessage } from "../../core/shorten.js";
import {
  MAX_REQUESTS,
  summaryMessages,
  summaryRequests,
  type Told,
  tellMessage,
  tellNotes,
} from "../../core/summary-request.js";
import { HookError } from "../../errors.js";
import { NO_REPLY } from "../outcome.js";
import type { Prompt } from "../prompt/prompt.js";
import type { Shell } from "../shell.js";
import { untilAborted, withinSeconds } from "../until-aborted.js";
import { askModel } from "./ask-model.js";
import type { SummaryFault } from "./compaction-outcome.js";

export type Summarised =
  | { status: "told"; summary: string; tokens: number; model: string | undefined; usage: Usage | undefined }
  | { status: "failed"; reason: SummaryFault; error?: unknown; tooLong?: boolean; usage?: Usage | undefined }
  | { status: "aborted"; usage?: Usage | undefined };

// What takes the place of pages of conversation is longer than an "ok" in any language.
const SHORTEST_SUMMARY = 10;

// First to what was refused, where that is known, and then to what is a quarter of it.
const TIMES_HALVED = 3;

/** What a summary is made of, and how. */
export interface SummaryOptions {
  instructions: string | undefined;
  signal: AbortSignal;
  /** The window to fit, where that is known to be smaller than the model's. */
  limit: number | undefined;
}

/** Makes the summary a plan asks for: by the model, or by a function of the host. What cannot be used is refused. */
export async function summarise(
  shell: Shell,
  prompt: Prompt,
  plan: CompactionPlan,
  options: SummaryOptions,
): Promise<Summarised> {
  if (typeof prompt.policy.strategy === "function") return byHost(shell, prompt, plan, options);
  const told = await tell(shell, prompt, plan.summarize);
  let window = summaryWindow(shell, prompt);
  let usage: Usage | undefined;
  let refused: Summarised | undefined;
  for (let halved = 0; ; halved += 1) {
    const summarised = await inRequests(shell, prompt, { told, plan, window, ...options });
    usage = addUsage(usage, summarised.usage);
    // What stood in the way of the larger request is the reason, and not that smaller ones would be too many.
    if (refused !== undefined && summarised.status === "failed" && summarised.reason === "too-much-to-summarize")
      return { ...refused, usage };
    const isTooLong = summarised.status === "failed" && summarised.tooLong === true;
    if (!isTooLong || halved === TIMES_HALVED) return { ...summarised, usage };
    refused = summarised;
    window = Math.max(1, Math.floor(Math.min(window / 2, options.limit ?? window)));
  }
}

/** So much, in tokens, can be told to the model that summarises before one compaction would take too many requests. */
export function mostToTell(shell: Shell, prompt: Prompt, limit: number | undefined): number {
  const window = Math.max(1, Math.min(summaryWindow(shell, prompt), limit ?? Number.POSITIVE_INFINITY));
  const { compact } = compactionThresholds(window, prompt.policy);
  // One less, because they do not fill the room to the last.
  return (MAX_REQUESTS - 1) * Math.floor(compact / 2);
}

function summaryWindow(shell: Shell, prompt: Prompt): number {
  const { record, policy, model, contextWindow } = prompt;
  const { model: own } = policy;
  if (own === undefined || own === model) return contextWindow;
  return shell.windows.of(own, parseSessionKey(record.key).agentId, record.key);
}

/** The messages as text, as long as the session's model was shown them. */
async function tell(shell: Shell, { counted }: Prompt, messages: readonly MessageEntry[]): Promise<Told[]> {
  const texts = messages.map((message) =>
    tellMessage(shortenMessage(message, { ...counted, withoutMedia: true }), counted),
  );
  // Of words alone the size is known. What was thought, and media, are told in fewer.
  const words = await shell.gauge.sizes(messages.filter(isOfWords), counted);
  const others = texts.filter((_text, at) => !isOfWords(messages[at] as MessageEntry));
  const sizes = await shell.gauge.textSizes(others, counted);
  return messages.map((message, at) => {
    const size = (isOfWords(message) ? words.shift() : sizes.shift()) ?? 0;
    return { text: texts[at] as string, tokens: size + LABEL_TOKENS };
  });
}

const isOfWords = ({ content }: MessageEntry) => typeof content === "string";

// Role and name before it take about what frames a message in a prompt, which is counted; further lines begin with blanks.
const LABEL_TOKENS = 4;

interface Making {
  told: readonly Told[];
  plan: CompactionPlan;
  instructions: string | undefined;
  signal: AbortSignal;
  /** What the window of the model that summarises is taken for. */
  window: number;
}

/** One request after the other, each with the summary of those before. */
async function inRequests(shell: Shell, prompt: Prompt, making: Making): Promise<Summarised> {
  const { plan, instructions, signal, window } = making;
  const { record, counted, policy } = prompt;
  const model = policy.model ?? prompt.model;
  const room = compactionThresholds(window, policy).compact;
  const most = longestSummary(Math.min(window, prompt.contextWindow), prompt);
  const size = async (texts: readonly string[], previousSummary: string | undefined) => {
    let tokens = 0;
    for (const message of summaryMessages(texts, { previousSummary, instructions }))
      tokens += await shell.gauge.size(message, counted);
    return tokens;
  };
  const before = plan.previousSummary;
  const notes = before === undefined ? 0 : await size([], before);
  // Notes for a larger model, which would leave no room here, are told and cut like what was said.
  const isLong = before !== undefined && notes > room / 2;
  const told = isLong ? [{ text: tellNotes(before), tokens: notes }, ...making.told] : making.told;
  const around = Math.max(isLong ? 0 : notes, (await size([], undefined)) + most);
  const requests = summaryRequests(told, Math.max(1, Math.floor(room - around)));
  if (requests === undefined) return { status: "failed", reason: "too-much-to-summarize" };
  let previousSummary = isLong ? undefined : before;
  let usage: Usage | undefined;
  let tokens = 0;
  for (const texts of requests) {
    const asked = await askModel(shell, {
      purpose: "summary",
      record,
      model,
      messages: summaryMessages(texts, { previousSummary, instructions }),
      instructions,
      timeoutSeconds: policy.timeoutSeconds,
      signal,
    });
    if (asked.ended === "aborted") return { status: "aborted", usage };
    if (asked.ended === "failed") {
      const { error, tooLong } = asked;
      return { status: "failed", reason: "provider-failed", error, tooLong, usage };
    }
    usage = addUsage(usage, asked.usage);
    const fault = faultOf(asked.text, asked.stopReason);
    if (fault !== undefined) return { status: "failed", reason: fault, usage };
    tokens = await shell.gauge.size({ role: "user", content: asked.text }, counted);
    if (tokens > most) return { status: "failed", reason: "summary-too-long", usage };
    previousSummary = asked.text;
  }
  return { status: "told", summary: previousSummary ?? "", tokens, model, usage };
}

async function byHost(
  shell: Shell,
  prompt: Prompt,
  plan: CompactionPlan,
  { instructions, signal }: SummaryOptions,
): Promise<Summarised> {
  const { strategy, timeoutSeconds } = prompt.policy;
  const { key, uuid } = prompt.record;
  if (typeof strategy !== "function") throw new TypeError("The strategy is no function.");
  const { previousSummary } = plan;
  // Its own, to do with as it likes: the plan is carried out as it was made.
  const messages = plan.summarize.map((message) => ({ ...message }));
  const work = async (ending: AbortSignal) =>
    strategy({ key, uuid, messages, previousSummary, instructions, signal: ending });
  let made: { value: unknown } | undefined;
  const failed = (why: string, cause?: unknown): Summarised => {
    const error = new HookError(`The compaction strategy ${why}.`, { operation: "summarize", key, cause });
    return { status: "failed", reason: "provider-failed", error };
  };
  try {
    const late = () => shell.logger.debug({ key }, "the compaction strategy failed after it was given up");
    made = await withinSeconds(timeoutSeconds, signal, (ending) => untilAborted<unknown>(work(ending), ending, late));
  } catch (cause) {
    return signal.aborted ? { status: "aborted" } : failed("failed; see `cause`", cause);
  }
  if (signal.aborted) return { status: "aborted" };
  if (made === undefined) return failed(`did not answer in ${timeoutSeconds} seconds`);
  if (typeof made.value !== "string") return failed("must return the text of a summary");
  const summary = made.value.trim();
  const fault = faultOf(summary, undefined);
  if (fault !== undefined) return { status: "failed", reason: fault };
  const tokens = await shell.gauge.size({ role: "user", content: summary }, prompt.counted);
  if (tokens > longestSummary(prompt.contextWindow, prompt)) return { status: "failed", reason: "summary-too-long" };
  return { status: "told", summary, tokens, model: undefined, usage: undefined };
}

// A quarter of what the window holds leaves room for the conversation itself, half of which is kept as it was.
function longestSummary(contextWindow: number, { policy }: Prompt): number {
  return Math.floor(compactionThresholds(contextWindow, policy).compact / 4);
}

function faultOf(summary: string, stopReason: string | undefined): SummaryFault | undefined {
  if (summary === "" || summary === NO_REPLY) return "summary-empty";
  if (summary.length < SHORTEST_SUMMARY) return "summary-too-short";
  const why = stopReason?.toLowerCase().replace(/[^a-z]/g, "") ?? "";
  // One that was cut off lacks its end, which is where it tells what happened last.
  if (CUT_OFF.has(why)) return "summary-too-long";
  return REFUSED.has(why) ? "summary-refused" : undefined;
}

// As providers and the AI SDK write them, by their letters.
const CUT_OFF: ReadonlySet<string> = new Set([
  "length",
  "maxtokens",
  "maxoutputtokens",
  "modellength",
  "modelcontextwindowexceeded",
  "incomplete",
  "aborted",
  "error",
]);
const REFUSED: ReadonlySet<string> = new Set([
  "contentfilter",
  "contentfiltered",
  "refusal",
  "safety",
  "recitation",
  "blocklist",
  "prohibitedcontent",
  "spii",
  "guardrailintervened",
  "toolcalls",
  "tooluse",
  "functioncall",
]);
