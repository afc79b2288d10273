import type {
  MessageEntry,
  Provenance,
  RunEntry,
  SpawnEndEntry,
  SpawnEntry,
  SubagentEnd,
  TurnEntry,
} from "../../core/entry.js";
import { failureText } from "../../core/failure.js";
import type { Cause } from "../../core/hops.js";
import type { SessionKey } from "../../core/key.js";
import type { Usage } from "../../core/message.js";
import type { SessionRecord } from "../../core/record.js";
import { type LiveSubagent, type WaitingRun, waitingRun } from "../../core/runs.js";
import type { NewEntry } from "../ledger.js";
import type { Shell } from "../shell.js";
import { mostWaiting, runEntry } from "./cause-run.js";
import { storedEnd } from "./run-report.js";

/** A sub-agent, as its parent knows it. */
export interface SubagentTask {
  key: SessionKey;
  run: string;
  parent: { key: SessionKey; uuid: string };
  mode: SpawnEntry["mode"];
  label: string | undefined;
  /** What led to the turn that spawned it, and what it was told of that. */
  cause: Cause;
  hops: number;
}

/** What became of a sub-agent. */
export interface SubagentResult {
  status: SubagentEnd;
  /** Its last words. */
  text?: string;
  /** The code of what failed. */
  code?: string;
}

/** `late`: found when nobody waits for it any more. `not`: whoever spawned it knows. */
type Telling = "at-once" | "late" | "not";

/** The message by which a parent is told, and that it is to answer. */
export type Announcement = NewEntry<RunEntry>;

/** The ids of what an end is stored as, so that a second attempt knows what the first has stored. */
export interface EndIds {
  end: string;
  announcement: string;
}

export function endIds({ ledger }: Pick<Shell, "ledger">): EndIds {
  return { end: ledger.newEntryId(), announcement: ledger.newEntryId() };
}

/**
 * Stores the end of a sub-agent with its parent, and with it what the parent is told: in one piece, and only once whoever ends it. One
 * that its parent has waited for has been answered to already.
 * @returns what it ended as, and what the parent is to answer, if anything.
 */
export async function endSubagent(
  shell: Shell,
  task: SubagentTask,
  result: SubagentResult,
  { tell = "at-once", ids = endIds(shell) }: { tell?: Telling; ids?: EndIds } = {},
): Promise<{ result: SubagentResult; announcement?: Announcement }> {
  const { key, run, parent } = task;
  const { ledger, events } = shell;
  const { status, code } = result;
  const child = await ledger.read(key);
  if (child !== undefined) await endTask(shell, child, run, status);
  const announcement = runEntry(ids.announcement, toldOf(task, result));
  const isFull = (waiting: readonly WaitingRun[]) => waiting.filter((one) => one.result).length >= mostWaiting(shell);
  const { record, appended } = await ledger.append(parent.key, ({ uuid, subagents, waiting }) => {
    const live = uuid === parent.uuid ? subagents.find((subagent) => subagent.run === run) : undefined;
    if (live === undefined) return undefined;
    const end: NewEntry<SpawnEndEntry> = {
      type: "spawn-end",
      id: ids.end,
      child: key,
      run,
      status,
      ...(code === undefined ? {} : { error: { code } }),
      ...spent(child?.usageTotal),
    };
    return [end, ...telling(live, status, announcement, tell, isFull(waiting))];
  });
  const isThere = record.uuid === parent.uuid;
  const stored = appended.length === 0 && isThere ? await storedEnd(shell, parent.uuid, run) : undefined;
  if (appended.length === 0 && stored?.id !== ids.end) {
    // Someone else has ended it, and it is what that says: a parent that waits must not be told otherwise.
    if (stored !== undefined && stored.status !== status)
      return { result: { status: stored.status, ...codeIn(stored) } };
    return { result };
  }
  events.emit("subagent.ended", { key: parent.key, uuid: parent.uuid, child: key, run, status });
  // Also where an attempt before was told that it failed, and is on disk.
  const isTold = isThere && waitingRun(record, ids.announcement) !== undefined;
  return { result, ...(isTold ? { announcement } : {}) };
}

function codeIn({ error }: SpawnEndEntry): { code?: string } {
  return error === undefined ? {} : { code: error.code };
}

function spent(usage: Required<Usage> | undefined): { usage?: Usage } {
  return usage === undefined || Object.values(usage).every((tokens) => tokens === 0) ? {} : { usage };
}

function toldOf(
  { key: from, label, cause, hops }: SubagentTask,
  { status, text, code }: SubagentResult,
): { content: string; provenance: Omit<Provenance, "run"> } {
  const named = label === undefined ? {} : { label };
  const provenance = { kind: "sub-agent" as const, from, hops: hops + 1, chain: [...cause.chain], status, ...named };
  return { content: text ?? (code === undefined ? "" : `Error: ${failureText(code)}`), provenance };
}

function telling(
  { mode, cleared }: LiveSubagent,
  status: SubagentEnd,
  announcement: Announcement,
  tell: Telling,
  isLineFull: boolean,
): NewEntry<RunEntry | MessageEntry>[] {
  if (tell === "not" || (mode === "run" && tell === "at-once")) return [];
  const { content, provenance } = announcement;
  const message: NewEntry<MessageEntry> = { role: "user", content, provenance };
  if (cleared) return [{ ...message, cleared: true }];
  // Nobody asks for an answer to what was stopped, where one would go is not known any more of what is found later, and a record has
  // no room for any number of them: it is told with the next one.
  return status === "killed" || tell === "late" || isLineFull ? [message] : [announcement];
}

/** A task that never began waits for nobody any more. */
async function endTask({ ledger }: Shell, child: SessionRecord, run: string, status: SubagentEnd): Promise<void> {
  const end: TurnEntry["status"] = status === "orphaned" ? "interrupted" : status === "failed" ? "failed" : "aborted";
  if (waitingRun(child, run) === undefined) return;
  const decide = (record: SessionRecord): NewEntry[] | undefined =>
    record.uuid === child.uuid && waitingRun(record, run) !== undefined
      ? [{ type: "turn", of: run, status: end }]
      : undefined;
  await ledger.append(child.key, decide);
}
