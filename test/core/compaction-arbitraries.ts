import fc from "fast-check";
import { type CompactionPlan, type MessageEntry, type TranscriptEntry, windowOf } from "../../src/core.js";

/**
 * One turn: how long what was asked is, and its steps. `late` results come behind the next step, and `note` says that someone
 * speaks in between.
 */
interface Turn {
  asked: number;
  steps: { said: number; calls: number; answered: number; late: boolean; note: boolean }[];
}

const step = fc.record({
  said: fc.nat(300),
  calls: fc.nat(3),
  answered: fc.nat(3),
  late: fc.boolean(),
  note: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
});

export const turns: fc.Arbitrary<Turn[]> = fc.array(
  fc.record({ asked: fc.integer({ min: 1, max: 400 }), steps: fc.array(step, { maxLength: 6 }) }),
  { maxLength: 8 },
);

export const budget = fc.record({
  keep: fc.nat(3000),
  contextWindow: fc.option(fc.integer({ min: 100, max: 8000 }), { nil: undefined }),
  overheadTokens: fc.nat(2000),
  // How many of the last turns still run.
  running: fc.nat(2),
  // Every so manieth message is pinned; 0: none.
  pins: fc.nat(6),
});

/** The entries of a conversation. `reuse`: the ids of calls begin anew with every turn, as those of some providers do. */
export function chat(conversation: readonly Turn[], { prefix = "", reuse = false } = {}): TranscriptEntry[] {
  const entries: TranscriptEntry[] = [];
  const say = (role: MessageEntry["role"], content: MessageEntry["content"]) =>
    entries.push({ role, content, id: `${prefix}${entries.length}`, timestamp: "2026-03-18T10:00:00.000Z" });
  for (const { asked, steps } of conversation) {
    say("user", "?".repeat(asked));
    const begin = reuse ? entries.length : 0;
    let late: string[] = [];
    const answer = (ids: readonly string[], said: number) => {
      for (const toolCallId of ids)
        say("tool", [{ type: "tool-result", toolCallId, toolName: "read", output: "x".repeat(said) }]);
    };
    for (const { said, calls, answered, late: isLate, note } of steps) {
      const ids = Array.from({ length: calls }, (_, n) => `${reuse ? "" : prefix}${entries.length - begin}/${n}`);
      const made = ids.map((toolCallId) => ({ type: "tool-call" as const, toolCallId, toolName: "read", input: {} }));
      say("assistant", [{ type: "text", text: ".".repeat(said + 1) }, ...made]);
      answer(late, said);
      late = isLate ? ids.slice(0, answered) : [];
      if (!isLate) answer(ids.slice(0, answered), said);
      if (note) say("user", "and");
    }
    answer(late, 10);
  }
  return entries;
}

/** The entry that a plan for some entries becomes. */
export function stored(
  entries: readonly TranscriptEntry[],
  plan: CompactionPlan | undefined,
  summary: string,
  id: string,
): TranscriptEntry {
  if (plan === undefined) throw new Error("nothing to compact");
  const kept = windowOf(entries).messages.filter((message) => plan.kept.includes(message.id));
  return { type: "compaction", id, timestamp: "", summary, firstKept: plan.firstKept, kept };
}
