import {
  isEntryOf,
  isMessageEntry,
  type RunEntry,
  type SpawnEndEntry,
  type TranscriptEntry,
} from "../../core/entry.js";
import type { SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { cutText } from "../../core/shorten.js";
import { codeOf } from "../error-code.js";
import { messageOf, storedOutcome, type TurnOutcome } from "../outcome.js";
import type { Shell } from "../shell.js";

/**
 * What became of a message between sessions, or of a sub-agent's task. `code`: of the error; `ABORTED`, or of a sub-agent `KILLED` or
 * `TIMED_OUT`, when it was stopped; `INTERRUPTED` when its process ended.
 */
export type RunReport =
  | { status: "waiting" | "running" }
  /** Without `reply` the session had nothing to say. */
  | { status: "ok"; reply?: string }
  | { status: "error"; code: string };

/** What a session answers to leave it at that. */
export const REPLY_SKIP = "REPLY_SKIP";

export function reportOf(outcome: TurnOutcome | undefined): RunReport {
  switch (outcome?.status) {
    case "replied":
      return outcome.text.trim() === REPLY_SKIP ? { status: "ok" } : { status: "ok", reply: outcome.text };
    case "duplicate":
      return reportOf(outcome.outcome);
    case "aborted":
      return { status: "error", code: "ABORTED" };
    case undefined:
      return { status: "error", code: "INTERRUPTED" };
    default:
      return { status: "ok" };
  }
}

// What an answer may take of the window of who asked; the whole is in the transcript of who answered.
const MOST_CHARACTERS = 32_768;

/** The reply of a report, cut to what another session's window has room for. */
export function shortReply(report: RunReport): { reply?: string } {
  if (report.status !== "ok" || report.reply === undefined) return {};
  return { reply: cutText(report.reply, MOST_CHARACTERS, false) };
}

export function failedReport(error: unknown): RunReport {
  return { status: "error", code: codeOf(error) };
}

/** What became of a run, as its session's transcript tells it, and who asked for it. `undefined` when there was none of this id. */
export async function readRun(
  shell: Shell,
  record: SessionRecord,
  run: string,
): Promise<{ from: SessionKey; report: RunReport } | undefined> {
  const entries = (await taskEntries(shell, record, run)) ?? (await shell.ledger.from(record, run)) ?? [];
  const [accepted] = entries;
  if (accepted === undefined || !isEntryOf(accepted, "run")) return undefined;
  const { kind, from } = accepted.provenance;
  const report = reportIn(record.key, accepted, entries);
  // Why a sub-agent was stopped is in its parent's transcript.
  if (kind !== "task" || report.status !== "error" || report.code !== "ABORTED") return { from, report };
  const parent = await shell.ledger.read(from);
  const end = parent === undefined ? undefined : await storedEnd(shell, parent.uuid, run);
  return {
    from,
    report: end === undefined || end.status === "completed" ? report : { ...report, code: end.status.toUpperCase() },
  };
}

/**
 * What tells how a sub-agent's task stands: that it was accepted, its message, the last of what was answered, and its end. The task stands
 * at the beginning of a transcript that may be long, and while it runs no more of it is read.
 */
async function taskEntries(
  { ledger }: Shell,
  { uuid, ancestors, openTurns }: SessionRecord,
  run: string,
): Promise<TranscriptEntry[] | undefined> {
  if (ancestors.length === 0) return undefined;
  const found: TranscriptEntry[] = [];
  for await (const entry of ledger.storage.entries(uuid)) {
    const [accepted, begun] = found;
    if (accepted === undefined) {
      if (isEntryOf(entry, "run") && entry.id !== run) return undefined;
      if (isEntryOf(entry, "run")) found.push(entry);
    } else if (begun === undefined) {
      if (isEntryOf(entry, "turn") && entry.of === run) return [...found, entry];
      if (!isMessageEntry(entry) || entry.provenance?.run !== run) continue;
      found.push(entry);
      if (openTurns.includes(entry.id)) return found;
    } else if (isEntryOf(entry, "turn") && entry.of === begun.id) return [...found, entry];
    else if (isMessageEntry(entry) && entry.of === begun.id) found.splice(2, 1, entry);
  }
  return found.length === 0 ? undefined : found;
}

/** How a sub-agent has ended, as its parent's transcript tells it. */
export async function storedEnd({ ledger }: Shell, uuid: string, run: string): Promise<SpawnEndEntry | undefined> {
  for await (const entry of ledger.storage.entries(uuid))
    if (isEntryOf(entry, "spawn-end") && entry.run === run) return entry;
  return undefined;
}

function reportIn(key: SessionKey, accepted: RunEntry, entries: readonly TranscriptEntry[]): RunReport {
  const at = messageOf(entries, accepted.id);
  const begun = at < 0 ? accepted : (entries[at] as TranscriptEntry);
  const end = entries.find((entry) => isEntryOf(entry, "turn") && entry.of === begun.id);
  if (end === undefined || !isEntryOf(end, "turn")) return { status: at < 0 ? "waiting" : "running" };
  if (end.status === "failed") return { status: "error", code: end.error?.code ?? "HOOK" };
  return reportOf(storedOutcome(key, entries.slice(Math.max(0, at))));
}
