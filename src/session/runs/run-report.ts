import { isEntryOf, type RunEntry, type TranscriptEntry } from "../../core/entry.js";
import type { SessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { cutText } from "../../core/shorten.js";
import { codeOf } from "../error-code.js";
import { messageOf, storedOutcome, type TurnOutcome } from "../outcome.js";
import type { Shell } from "../shell.js";

/** What became of a message between sessions. `code`: of the error, or `ABORTED`, or `INTERRUPTED` when its process ended. */
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
  const entries = (await shell.ledger.from(record, run)) ?? [];
  const [accepted] = entries;
  if (accepted === undefined || !isEntryOf(accepted, "run")) return undefined;
  return { from: accepted.provenance.from, report: reportIn(record.key, accepted, entries) };
}

function reportIn(key: SessionKey, accepted: RunEntry, entries: readonly TranscriptEntry[]): RunReport {
  const at = messageOf(entries, accepted.id);
  const begun = at < 0 ? accepted : (entries[at] as TranscriptEntry);
  const end = entries.find((entry) => isEntryOf(entry, "turn") && entry.of === begun.id);
  if (end === undefined || !isEntryOf(end, "turn")) return { status: at < 0 ? "waiting" : "running" };
  if (end.status === "failed") return { status: "error", code: end.error?.code ?? "HOOK" };
  return reportOf(storedOutcome(key, entries.slice(Math.max(0, at))));
}
