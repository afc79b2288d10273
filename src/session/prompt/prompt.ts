import { type CompactionPolicy, compactionThresholds } from "../../core/compaction-policy.js";
import { agentCompaction, agentModel } from "../../core/config.js";
import { buildContext, type Context, type ContextOptions, headOf, namedAt } from "../../core/context.js";
import { isEntryOf, isMessageEntry, type MessageEntry, type TranscriptEntry } from "../../core/entry.js";
import { parseSessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { effectiveModel } from "../../core/state.js";
import type { PromptSize } from "../../core/tokens.js";
import { windowOf } from "../../core/window.js";
import type { Shell } from "../shell.js";
import type { Counted } from "./token-gauge.js";

/** What the next prompt of a session is made of. */
export interface Prompt {
  record: SessionRecord;
  entries: readonly TranscriptEntry[];
  model: string | undefined;
  policy: CompactionPolicy;
  /** The window of the model, in tokens. */
  contextWindow: number;
  counted: Counted;
}

/** @throws HookError when the host cannot say how large its model's window is. */
export function promptOf(shell: Shell, record: SessionRecord, entries: readonly TranscriptEntry[]): Prompt {
  const { key, uuid, state } = record;
  const { agentId, kind } = parseSessionKey(key);
  const model = effectiveModel(state, agentModel(shell.config, agentId));
  const policy = agentCompaction(shell.config, agentId);
  const contextWindow = shell.windows.for(uuid, model, agentId, key);
  const counted = {
    key,
    uuid,
    model,
    nameSenders: kind === "group",
    maxResultCharacters: resultLimit(contextWindow, policy),
  };
  return { record, entries, model, policy, contextWindow, counted };
}

// One result of a tool must not fill the window. A token is a character at the least in the scripts that take most, and three or
// four in the others: so this is an eighth of the window in English, and half of it in Chinese.
function resultLimit(contextWindow: number, policy: CompactionPolicy): number {
  return Math.floor(compactionThresholds(contextWindow, policy).compact / 2);
}

/** What the model gets to see. */
export function contextOf({ record, entries, counted }: Prompt, options: ContextOptions = {}): Context {
  const { nameSenders, maxResultCharacters } = counted;
  const { state, openTurns, subagents } = record;
  return buildContext(entries, { nameSenders, maxResultCharacters, state, openTurns, subagents, ...options });
}

/** How large it is. Where it cannot be more than `enough`, nothing is counted. */
export async function promptSize(shell: Shell, prompt: Prompt, enough?: number): Promise<PromptSize> {
  const { gauge } = shell;
  const { counted, entries } = prompt;
  const reported = reportedPart(prompt);
  const { tokens, source, rest } = reported ?? { ...(await headSize(shell, prompt)), rest: windowOf(entries).messages };
  const stale = source === "provider" && rest.length > 0;
  const most = enough === undefined ? undefined : gauge.most(rest, counted, enough - tokens);
  if (most !== undefined && tokens + most <= (enough as number)) {
    return rest.length === 0 ? { tokens, source, stale } : { tokens: tokens + most, source: "most", stale };
  }
  const sizes = await gauge.sizes(rest, counted);
  return { tokens: sizes.reduce((sum, size) => sum + size, tokens), source, stale };
}

/** What stands for the messages that have left takes. */
export async function headSize(
  shell: Shell,
  { record, counted, entries }: Prompt,
): Promise<{ tokens: number; source: "estimate" }> {
  const head = headOf({ ...windowOf(entries), subagents: namedAt(entries, record.subagents) });
  let tokens = 0;
  for (const message of head) tokens += await shell.gauge.size(message, counted);
  return { tokens, source: "estimate" };
}

/** What a prompt takes besides its messages, going by the provider's last report: the host's instructions and tools. */
export async function overheadOf(shell: Shell, prompt: Prompt): Promise<number> {
  const reported = reportedPart(prompt);
  if (reported === undefined || reported.source !== "provider") return 0;
  const rest = new Set(reported.rest);
  const { messages } = windowOf(prompt.entries);
  const covered = messages.filter((message) => !rest.has(message));
  const sizes = await shell.gauge.sizes(covered, prompt.counted);
  const { tokens: head } = await headSize(shell, prompt);
  return Math.max(0, reported.tokens - sizes.reduce((sum, size) => sum + size, head));
}

/** What is known of the size without counting, and the messages that are not in it. */
function reportedPart({
  record,
  entries,
}: Pick<Prompt, "record" | "entries">):
  | { tokens: number; source: "provider" | "estimate"; rest: MessageEntry[] }
  | undefined {
  const { contextTokens, contextEntry } = record;
  const at = contextEntry === null ? -1 : entries.findLastIndex(({ id }) => id === contextEntry);
  const reporting = entries[at];
  if (contextTokens === null || reporting === undefined) return undefined;
  // A report is of a prompt that ended with what was asked: what others said until the answer was there is not in it.
  const of = isMessageEntry(reporting) || isEntryOf(reporting, "turn") ? reporting.of : undefined;
  const asked = of === undefined ? -1 : entries.findIndex(({ id }) => id === of);
  const isIn = (entry: TranscriptEntry, place: number) =>
    place <= at && (asked < 0 || place <= asked || (isMessageEntry(entry) && entry.of === of));
  const counted = new Set(entries.filter(isIn).map(({ id }) => id));
  // The report at a turn's end is of the prompt of its last answer, which had been recorded.
  const answer = isMessageEntry(reporting)
    ? undefined
    : entries.findLast((entry) => isMessageEntry(entry) && entry.of === of);
  if (of !== undefined && answer !== undefined) counted.delete(answer.id);
  const { messages, carried } = windowOf(entries);
  return {
    tokens: contextTokens,
    source: isEntryOf(reporting, "compaction") ? "estimate" : "provider",
    rest: messages.slice(carried).filter(({ id }) => !counted.has(id)),
  };
}
