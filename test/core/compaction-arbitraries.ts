import fc from "fast-check";
import type { CompactionPlan, MessageEntry, TranscriptEntry } from "../../src/core.js";

/** One turn: how long what was asked is, and its steps, each with so many calls of which so many were answered. */
interface Turn {
  asked: number;
  steps: { said: number; calls: number; answered: number }[];
}

export const turns: fc.Arbitrary<Turn[]> = fc.array(
  fc.record({
    asked: fc.integer({ min: 1, max: 200 }),
    steps: fc.array(fc.record({ said: fc.nat(300), calls: fc.nat(3), answered: fc.nat(3) }), { maxLength: 6 }),
  }),
  { maxLength: 8 },
);

export const budget = fc.record({
  keep: fc.nat(3000),
  contextWindow: fc.option(fc.integer({ min: 100, max: 8000 }), { nil: undefined }),
});

/** The entries of a conversation. Calls have ids of their own, and each answered one its result right behind it. */
export function chat(conversation: readonly Turn[], prefix = ""): TranscriptEntry[] {
  const entries: TranscriptEntry[] = [];
  const say = (role: MessageEntry["role"], content: MessageEntry["content"]) =>
    entries.push({ role, content, id: `${prefix}${entries.length}`, timestamp: "2026-03-18T10:00:00.000Z" });
  for (const { asked, steps } of conversation) {
    say("user", "?".repeat(asked));
    for (const { said, calls, answered } of steps) {
      const ids = Array.from({ length: calls }, (_, n) => `${prefix}${entries.length}/${n}`);
      const made = ids.map((toolCallId) => ({ type: "tool-call" as const, toolCallId, toolName: "read", input: {} }));
      say("assistant", [{ type: "text", text: ".".repeat(said + 1) }, ...made]);
      for (const toolCallId of ids.slice(0, answered))
        say("tool", [{ type: "tool-result", toolCallId, toolName: "read", output: "x".repeat(said) }]);
    }
  }
  return entries;
}

/** The entry that a plan becomes. */
export function stored(plan: CompactionPlan | undefined, summary: string, id: string): TranscriptEntry {
  if (plan === undefined) throw new Error("nothing to compact");
  return { type: "compaction", id, timestamp: "", summary, firstKept: plan.firstKept, kept: [...plan.kept] };
}
