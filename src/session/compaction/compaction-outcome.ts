/** What a compaction came to. */
export type CompactionOutcome =
  /** `tokensBefore` and `tokensAfter`: the size of the next prompt. `messages`: how many left the window. */
  | { status: "compacted"; tokensBefore: number; tokensAfter: number; messages: number }
  /** There was nothing that may leave, or too little to gain; or a clear or another compaction came first. */
  | { status: "unchanged"; reason: "nothing-to-compact" | "superseded" | "aborted" }
  /** The history is as it was. */
  | { status: "failed"; reason: CompactionFault; error?: unknown };

export type CompactionFault = SummaryFault | "too-little-gained" | "memory-flush-failed";

/** Why a summary could not be used. */
export type SummaryFault =
  | "summary-empty"
  | "summary-too-short"
  | "summary-too-long"
  | "summary-refused"
  | "too-much-to-summarize"
  | "provider-failed";

/** What a person is told of it. */
export function compactionReply(outcome: CompactionOutcome): string {
  switch (outcome.status) {
    case "compacted": {
      const { messages, tokensBefore, tokensAfter } = outcome;
      return `Compacted: ${messages} message(s) left the window, which is now about ${Math.round(tokensAfter)} tokens (before: ${Math.round(tokensBefore)}).`;
    }
    case "unchanged":
      return UNCHANGED[outcome.reason];
    case "failed":
      return `Not compacted (${outcome.reason}). The conversation is as it was.`;
  }
}

const UNCHANGED = {
  "nothing-to-compact": "There is nothing to compact.",
  superseded: "Not compacted: the conversation was cleared or compacted meanwhile.",
  aborted: "Stopped. The conversation is as it was.",
};
