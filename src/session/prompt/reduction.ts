import { compactionOf, planDrop } from "../../core/compaction.js";
import { cutText } from "../../core/shorten.js";
import { windowOf } from "../../core/window.js";
import type { Shell } from "../shell.js";
import { headSize, type Prompt } from "./prompt.js";

// What remains of a tool's result when the prompt has to be smaller at any price.
const TIGHT_RESULT = 1000;

/** How one prompt is made smaller, and nothing but this prompt. */
export interface Reduction {
  media: "all" | "last-turn" | "none";
  tightResults: boolean;
  /** A summary that takes much of the window, as one made for a larger model, is cut. */
  tightHead: boolean;
  /** What the messages may take, in tokens; the oldest turns beyond it are left out. */
  room: number | undefined;
}

export const WHOLE: Reduction = { media: "all", tightResults: false, tightHead: false, room: undefined };

/** The prompt with what is left out of it, and how many messages that is. */
export async function reduce(
  shell: Shell,
  prompt: Prompt,
  reduction: Reduction,
): Promise<{ prompt: Prompt; dropped: number }> {
  const tight = withTightHead(tightened(prompt, reduction), reduction);
  const { room } = reduction;
  if (room === undefined) return { prompt: tight, dropped: 0 };
  const { entries, counted, record } = tight;
  const { messages } = windowOf(entries);
  const sizes = await shell.gauge.sizes(messages, counted);
  const sizeOf = new Map(messages.map(({ id }, at) => [id, sizes[at] as number]));
  const plan = planDrop(entries, {
    room: Math.max(0, room - (await headSize(shell, tight)).tokens),
    countTokens: ({ id }) => sizeOf.get(id) ?? 0,
    openTurns: record.openTurns,
  });
  if (plan === undefined) return { prompt: tight, dropped: 0 };
  const compaction = { ...compactionOf(plan, entries), id: "", timestamp: "" };
  return { prompt: { ...tight, entries: [...entries, compaction] }, dropped: plan.summarize.length };
}

/** What a prompt made smaller takes, without what the host adds. */
export async function reducedSize(shell: Shell, whole: Prompt, reduction: Reduction): Promise<number> {
  const { prompt } = await reduce(shell, whole, reduction);
  const sizes = await shell.gauge.sizes(windowOf(prompt.entries).messages, prompt.counted);
  return sizes.reduce((sum, size) => sum + size, (await headSize(shell, prompt)).tokens);
}

function withTightHead(prompt: Prompt, { tightHead }: Reduction): Prompt {
  const { summary = "", dropped, messages, carried } = windowOf(prompt.entries);
  const [first] = messages.slice(carried);
  const most = Math.max(TIGHT_RESULT, prompt.counted.maxResultCharacters);
  if (!tightHead || summary.length <= most || first === undefined) return prompt;
  const head = {
    type: "compaction" as const,
    id: "",
    timestamp: "",
    summary: cutText(summary, most, false),
    firstKept: first.id,
    kept: messages.slice(0, carried),
    dropped,
  };
  return { ...prompt, entries: [...prompt.entries, head] };
}

function tightened(prompt: Prompt, { tightResults }: Reduction): Prompt {
  if (!tightResults) return prompt;
  const maxResultCharacters = Math.min(prompt.counted.maxResultCharacters, TIGHT_RESULT);
  return { ...prompt, counted: { ...prompt.counted, maxResultCharacters } };
}
