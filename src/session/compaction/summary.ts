import type { CompactionPlan } from "../../core/compaction.js";
import { compactionThresholds } from "../../core/compaction-policy.js";
import type { MessageEntry } from "../../core/entry.js";
import { parseSessionKey } from "../../core/key.js";
import { addUsage, type Usage } from "../../core/message.js";
import { isContextOverflow } from "../../core/overflow.js";
import { summaryMessages, summaryRequests, type Told, tellMessage } from "../../core/summary-request.js";
import { HookError } from "../../errors.js";
import { NO_REPLY } from "../outcome.js";
import type { Prompt } from "../prompt/prompt.js";
import type { Shell } from "../shell.js";
import { untilAborted } from "../until-aborted.js";
import { askModel } from "./ask-model.js";
import type { SummaryFault } from "./compaction-outcome.js";

export type Summarised =
  | { status: "told"; summary: string; tokens: number; model: string | undefined; usage: Usage | undefined }
  | { status: "failed"; reason: SummaryFault; error?: unknown; usage?: Usage | undefined }
  | { status: "aborted"; usage?: Usage | undefined };

// What takes the place of pages of conversation is longer than an "ok" in any language.
const SHORTEST_SUMMARY = 10;

// Half the size, twice: a count that is wrong by more than this is no count.
const TIMES_HALVED = 2;

/** Makes the summary a plan asks for: by the model, or by a function of the host. What cannot be used is refused. */
export async function summarise(
  shell: Shell,
  prompt: Prompt,
  plan: CompactionPlan,
  { instructions, signal }: { instructions: string | undefined; signal: AbortSignal },
): Promise<Summarised> {
  const { strategy } = prompt.policy;
  if (typeof strategy === "function") return byHost(shell, prompt, plan, { instructions, signal });
  const { key } = prompt.record;
  const model = prompt.policy.model ?? prompt.model;
  const window = shell.windows.of(model, parseSessionKey(key).agentId, key);
  const told = await tell(shell, prompt, plan.summarize);
  let room = compactionThresholds(window, prompt.policy).compact;
  for (let halved = 0; ; halved += 1) {
    const summarised = await inRequests(shell, prompt, { told, plan, model, instructions, signal, room, window });
    const isTooLarge =
      summarised.status === "failed" &&
      isContextOverflow(summarised.error, { patterns: shell.provider?.overflowPatterns });
    if (!isTooLarge || halved === TIMES_HALVED) return summarised;
    room = Math.floor(room / 2);
  }
}

async function tell(shell: Shell, { counted }: Prompt, messages: readonly MessageEntry[]): Promise<Told[]> {
  const told: Told[] = [];
  for (const message of messages) {
    const text = tellMessage(message);
    told.push({ text, tokens: await shell.gauge.size({ role: "user", content: text }, counted) });
  }
  return told;
}

interface Making {
  told: readonly Told[];
  plan: CompactionPlan;
  model: string | undefined;
  instructions: string | undefined;
  signal: AbortSignal;
  /** So much may one request take. */
  room: number;
  /** The window of the model that summarises. */
  window: number;
}

/** One request after the other, each with the summary of those before. */
async function inRequests(shell: Shell, prompt: Prompt, making: Making): Promise<Summarised> {
  const { told, plan, model, instructions, signal, room, window } = making;
  const { record, counted, policy } = prompt;
  const most = longestSummary(Math.min(window, prompt.contextWindow), prompt);
  const size = async (texts: readonly string[], previousSummary: string | undefined) => {
    let tokens = 0;
    for (const message of summaryMessages(texts, { previousSummary, instructions }))
      tokens += await shell.gauge.size(message, counted);
    return tokens;
  };
  const notes = plan.previousSummary === undefined ? 0 : await size([], plan.previousSummary);
  const requests = summaryRequests(told, Math.floor(room - Math.max(notes, (await size([], undefined)) + most)));
  if (requests === undefined) return { status: "failed", reason: "too-much-to-summarize" };
  let previousSummary = plan.previousSummary;
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
    if (asked.ended === "failed") return { status: "failed", reason: "provider-failed", error: asked.error, usage };
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
  { instructions, signal }: { instructions: string | undefined; signal: AbortSignal },
): Promise<Summarised> {
  const { strategy, timeoutSeconds } = prompt.policy;
  const { key, uuid } = prompt.record;
  if (typeof strategy !== "function") throw new TypeError("The strategy is no function.");
  const late = AbortSignal.timeout(timeoutSeconds * 1000);
  const ending = AbortSignal.any([signal, late]);
  const { summarize: messages, previousSummary } = plan;
  const work = (async () => strategy({ key, uuid, messages, previousSummary, instructions, signal: ending }))();
  let made: { value: unknown } | undefined;
  const failed = (why: string, cause?: unknown): Summarised => {
    const error = new HookError(`The compaction strategy ${why}.`, { operation: "summarize", key, cause });
    return { status: "failed", reason: "provider-failed", error };
  };
  try {
    made = await untilAborted<unknown>(work, ending, () =>
      shell.logger.debug({ key }, "the compaction strategy failed after it was given up"),
    );
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
  // One that was cut off lacks its end, which is where it tells what happened last.
  return stopReason !== undefined && CUT_OFF.has(stopReason) ? "summary-too-long" : undefined;
}

const CUT_OFF: ReadonlySet<string> = new Set(["length", "max_tokens", "MAX_TOKENS", "aborted", "error"]);
