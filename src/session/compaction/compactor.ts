import { compactionThresholds } from "../../core/compaction-policy.js";
import type { SessionRecord } from "../../core/record.js";
import { anySignal } from "../any-signal.js";
import { promptOf } from "../prompt/prompt.js";
import type { Shell } from "../shell.js";
import { untilAborted } from "../until-aborted.js";
import type { CompactionOutcome } from "./compaction-outcome.js";
import { type CompactionRequest, isWished, runCompaction } from "./compaction-run.js";

/**
 * The one way to a compaction, whatever asks for it. One at a time for each session: who comes second gets the first one's outcome,
 * but for one who has wishes of their own. They wait for it, and then for theirs.
 */
export async function compact(
  shell: Shell,
  meant: Pick<SessionRecord, "key" | "uuid">,
  request: CompactionRequest,
): Promise<CompactionOutcome> {
  const { compactions, logger, queue } = shell;
  for (;;) {
    const underWay = compactions.underWay(meant.uuid);
    if (underWay === undefined) break;
    const late = () => logger.debug({ key: meant.key }, "a compaction failed when nobody waited for it any more");
    const isOwn = request.instructions !== undefined;
    // Who has wishes of their own is not concerned by how another's ended.
    const joined = await untilAborted(isOwn ? over(underWay) : underWay, request.signal, late);
    if (joined === undefined) return { status: "unchanged", reason: "aborted" };
    if (joined.value !== undefined) return joined.value;
  }
  return compactions.run(meant.uuid, isWished(request.cause), (stopped) => {
    const signal = anySignal(request.signal, stopped, queue.closing);
    return announced(shell, meant, { ...request, signal });
  });
}

async function over(work: Promise<CompactionOutcome>): Promise<undefined> {
  await Promise.allSettled([work]);
  return undefined;
}

async function announced(
  shell: Shell,
  { key, uuid }: Pick<SessionRecord, "key" | "uuid">,
  request: CompactionRequest,
): Promise<CompactionOutcome> {
  const { events, ledger } = shell;
  const record = await ledger.read(key);
  if (record === undefined || record.uuid !== uuid) return { status: "unchanged", reason: "superseded" };
  const { contextWindow, policy } = promptOf(shell, record, []);
  const threshold = compactionThresholds(contextWindow, policy).compact;
  const about = { key, uuid, cause: request.cause, threshold, contextWindow };
  events.emit("compaction.started", about);
  const outcome = await runCompaction(shell, { key, uuid }, request);
  if (outcome.status === "compacted") {
    const { tokensBefore: before, tokensAfter: after, messages } = outcome;
    events.emit("compaction.completed", { ...about, before, after, messages });
  } else {
    const { reason } = outcome;
    const error = outcome.status === "failed" ? outcome.error : undefined;
    events.emit("compaction.failed", { ...about, reason, ...(error === undefined ? {} : { error }) });
  }
  return outcome;
}
