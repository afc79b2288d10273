import { type InterruptedTurn, type SessionManager, type StorageReport, textOf } from "../../index.js";
import { printableLine } from "../printable.js";

const QUOTED_CHARS = 60;

/** What a chat says first. */
export function opening(facts: { dir: string; dmScope: string; model: string }): string[] {
  return [
    `Data: ${printableLine(facts.dir)} (dmScope ${facts.dmScope})`,
    `Model: ${facts.model}`,
    "You are telegram:alice. Before each reply stands the session your line went to.",
    "Be someone else: /as discord:bob   Go into a group: /in telegram:group:-100123",
    "Back to the DM: /in dm   More: /who /sessions /help /quit",
  ];
}

/** A line for each message whose reply a crash cut off. */
export async function interruptedLines(manager: SessionManager, turns: readonly InterruptedTurn[]): Promise<string[]> {
  const lines: string[] = [];
  for (const { key, turn } of turns) {
    // What was cut off came last, or nearly so.
    const recent = manager.history(key, { last: 50, includeCleared: true });
    let words = "a message";
    for await (const message of recent) if (message.id === turn) words = `"${shorten(printableLine(textOf(message)))}"`;
    lines.push(`[${key}] (the reply to ${words} was cut off when the host stopped; the message is kept, ask again)`);
  }
  return lines;
}

export function sharedWarning(key: string): string {
  return `! WARNING: a second person has reached ${key}. Everybody there can read everybody: that is dmScope "main".`;
}

export function storageRemark(report: StorageReport): string {
  switch (report.kind) {
    case "line-skipped":
      return `! ${report.uuid}.jsonl: line ${report.line} cannot be read and was passed over.`;
    case "index-rebuilt":
      return `! sessions.json could not be read and was rebuilt from the transcripts: ${report.sessions} sessions.`;
    case "index-entries-refused":
      return `! sessions.json: ${report.count} entries cannot be right and were left out.`;
    case "transcript-unclaimed":
      return `! ${report.uuid}.jsonl names no session and was left alone.`;
    case "transcript-missing":
      return `! ${report.uuid}.jsonl is gone: the session it held begins anew.`;
    case "transcript-unreadable":
      return `! ${report.uuid}.jsonl cannot be read: ${String(report.error)}`;
    case "index-not-written":
      return "! sessions.json could not be written. Nothing is lost: it is rebuilt from the transcripts.";
    case "sync-failed":
      return `! The disk did not confirm what was written (${String(report.error)}). Check it before trusting it further.`;
    case "log-not-written":
      return "! The commit log could not be written. Nothing is lost: each session is synced by itself, which is slower.";
    case "log-unsettled":
      return `! ${report.log} has bytes for ${report.uuid}.jsonl that do not fit there. Both were left as they are.`;
    case "gap-closed":
      return `! ${report.uuid}.jsonl: what a power cut took was never confirmed. Empty lines stand in its place.`;
  }
}

function shorten(text: string): string {
  const characters = Array.from(text);
  return characters.length > QUOTED_CHARS ? `${characters.slice(0, QUOTED_CHARS).join("")}…` : characters.join("");
}
