import { compactionThresholds } from "../core/compaction-policy.js";
import type { SessionKey } from "../core/key.js";
import type { Usage } from "../core/message.js";
import type { SessionRecord } from "../core/record.js";
import type { SessionState } from "../core/state.js";
import { promptOf, promptSize } from "./prompt/prompt.js";
import type { Shell } from "./shell.js";

/** What can be said of a session at a glance. */
export interface SessionStatus {
  key: SessionKey;
  uuid: string;
  created: string;
  lastActive: string;
  /** Messages since the last clear. */
  messageCount: number;
  /** The model of the next turn; `undefined` leaves it to the host. */
  model: string | undefined;
  /** The size of the next prompt in tokens, without the message it will answer. */
  tokensUsed: number;
  /** Where that comes from: the provider's last report, with an estimate of what was said since, or an estimate of all. */
  tokensSource: "provider" | "estimate";
  /** Whether something was said since the provider's report. */
  tokensStale: boolean;
  /** What the model's window holds, and above how many tokens the session is compacted. */
  contextWindow: number;
  compactAt: number;
  /** Compactions since the last clear, and whether memory was flushed before the next one, or could not be. */
  compactions: number;
  memoryFlush: SessionRecord["memoryFlush"];
  /** What all calls of the model for this session have cost together, in tokens. */
  usage: Required<Usage>;
  state: SessionState;
  /** Whether a turn or a compaction runs or waits in this process. */
  busy: boolean;
}

export async function statusOf(shell: Shell, record: SessionRecord): Promise<SessionStatus> {
  const { key, uuid, created, lastActive, messageCount, compactions, memoryFlush, usageTotal: usage, state } = record;
  const prompt = promptOf(shell, record, await shell.ledger.window(record));
  const { model, contextWindow, policy } = prompt;
  const { tokens, source, stale } = await promptSize(shell, prompt);
  return {
    key,
    uuid,
    created,
    lastActive,
    messageCount,
    model,
    tokensUsed: tokens,
    tokensSource: source === "provider" ? "provider" : "estimate",
    tokensStale: stale,
    contextWindow,
    compactAt: compactionThresholds(contextWindow, policy).compact,
    compactions,
    memoryFlush,
    usage,
    state,
    busy: shell.queue.busy(key) || shell.compactions.isRunning(uuid),
  };
}
