import fc from "fast-check";
import {
  type ContentPart,
  type MessageEntry,
  type SessionKey,
  SUBAGENT_ENDS,
  type TranscriptEntry,
} from "../../src/core.js";

// Three ids for all calls: they repeat, overlap and go unanswered.
const toolCallId = fc.constantFrom("1", "2", "__proto__");
const toolPart: fc.Arbitrary<ContentPart> = fc.oneof(
  fc.record({
    type: fc.constant("tool-call" as const),
    toolCallId,
    toolName: fc.constant("t"),
    input: fc.constant({ q: 1 }),
  }),
  fc.record({
    type: fc.constant("tool-result" as const),
    toolCallId,
    toolName: fc.constant("t"),
    output: fc.nat(999),
  }),
);
const words = fc.constantFrom("", " \n", "hi", "A: hi\nB: ho", "[Summary", "\ud800", "NO_REPLY");
const content: fc.Arbitrary<MessageEntry["content"]> = fc.oneof(
  { weight: 1, arbitrary: words },
  {
    weight: 3,
    arbitrary: fc.array(fc.oneof(toolPart, fc.record({ type: fc.constant("text" as const), text: words })), {
      maxLength: 3,
    }),
  },
);

const timestamp = fc.oneof(
  fc.integer({ min: 1_700_000_000_000, max: 1_800_000_000_000 }).map((ms) => new Date(ms).toISOString()),
  fc.constantFrom("", "2026-03-18T10:00:00Z", "not a time"),
);

const address = fc.constantFrom("telegram:default:dm:1", "telegram:work:dm:1", "x:default:group:7:topic:1");

const message = fc
  .record(
    {
      role: fc.constantFrom(
        "user" as const,
        "assistant" as const,
        "assistant" as const,
        "tool" as const,
        "system" as const,
      ),
      content,
      timestamp,
      messageId: fc.constantFrom("1", "2", "x".repeat(200), "模".repeat(80)),
      address,
      sender: fc.record({ id: fc.constantFrom("1", "2") }),
      turn: fc.constant(true as const),
      cleared: fc.constant(true as const),
      pinned: fc.constant(true as const),
      provenance: fc.record({
        kind: fc.constantFrom("inter-session" as const, "task" as const, "sub-agent" as const),
        from: fc.constant("agent:main:main" as SessionKey),
        hops: fc.nat(3),
        chain: fc.constant([]),
        run: fc.nat(20).map((place) => `e${String(place).padStart(25, "0")}`),
      }),
      truncated: fc.constant(true as const),
      usage: fc.record({ input: fc.nat(9999), output: fc.nat(99) }),
      stopReason: fc.constantFrom("aborted", "error", "length"),
    },
    { requiredKeys: ["role", "content", "timestamp"] },
  )
  // Another session says words, and nothing else.
  .map(({ provenance, ...line }) =>
    line.role === "user" && typeof line.content === "string" && provenance !== undefined
      ? { ...line, provenance }
      : line,
  );

const child = fc.constantFrom("agent:main:subagent:1", "agent:main:subagent:2");
const anyRun = fc.constantFrom("r1", "r2", "r3");

type Unnamed = Record<string, unknown>;

// Ids are given by place, so that a turn's end or a compaction can point at an entry that is there, or is not.
const idOf = (place: number) => `e${String(place).padStart(25, "0")}`;
const anyId = fc.nat(20).map(idOf);

const bookkeeping: fc.Arbitrary<Unnamed> = fc.oneof(
  fc.record({
    type: fc.constant("state"),
    timestamp,
    patch: fc.record(
      {
        model: fc.constantFrom("a", null),
        modelOverride: fc.constantFrom("b", null),
        activationMode: fc.constantFrom("always", "mention"),
        extra: fc.dictionary(fc.constantFrom("x", "constructor"), fc.constantFrom(1, null, [1])),
      },
      { requiredKeys: [] },
    ),
  }),
  fc.record({ type: fc.constant("turn"), timestamp, of: anyId, status: fc.constantFrom("completed", "interrupted") }),
  fc.record({ type: fc.constant("clear"), timestamp }),
  fc.record(
    { type: fc.constant("compaction"), timestamp, summary: words, firstKept: anyId, tokensAfter: fc.nat(999) },
    { requiredKeys: ["type", "timestamp", "summary", "firstKept"] },
  ),
  fc.record({
    type: fc.constant("undo"),
    timestamp,
    of: anyId,
    lastCompaction: fc.constantFrom(null, "2026-03-18T10:00:00Z"),
    memoryFlush: fc.constantFrom(null, { at: "2026-03-18T10:00:00Z", status: "completed" as const }),
  }),
  fc.record({
    type: fc.constant("memory-flush"),
    timestamp,
    status: fc.constantFrom("completed", "failed"),
    usage: fc.record({ input: fc.nat(99), output: fc.nat(9) }),
  }),
  fc.record(
    {
      type: fc.constant("command"),
      timestamp,
      command: fc.constant("new"),
      reply: words,
      messageId: fc.constant("3"),
      address,
    },
    { requiredKeys: ["type", "timestamp", "command", "reply"] },
  ),
  fc.record({
    type: fc.constant("run"),
    timestamp,
    content: words,
    provenance: fc.constant({ kind: "inter-session", from: "agent:main:main", hops: 1, chain: [], run: "r" }),
  }),
  fc.record({ type: fc.constant("spawn"), timestamp, child, run: anyRun, mode: fc.constantFrom("run", "start") }),
  fc.record(
    {
      type: fc.constant("spawn-end"),
      timestamp,
      child,
      run: anyRun,
      status: fc.constantFrom(...SUBAGENT_ENDS),
      usage: fc.record({ input: fc.nat(99), output: fc.nat(9) }),
    },
    { requiredKeys: ["type", "timestamp", "child", "run", "status"] },
  ),
  fc.record({ type: fc.constantFrom("delivery", "reaction", "__proto__"), timestamp, of: anyId }),
);

/** Transcripts no host would write, and all it could. */
export const anyTranscript: fc.Arbitrary<TranscriptEntry[]> = fc
  .array(fc.oneof({ weight: 3, arbitrary: message as fc.Arbitrary<Unnamed> }, { weight: 1, arbitrary: bookkeeping }), {
    maxLength: 20,
  })
  .map((unnamed) => unnamed.map((entry, place) => ({ ...entry, id: idOf(place) }) as unknown as TranscriptEntry));

/** The transcript with every id moved, to stand behind another; what its entries point at moves with them, or does not. */
export function renamed(entries: readonly TranscriptEntry[], pointsBack: boolean): TranscriptEntry[] {
  return entries.map((entry) => {
    const moved: Record<string, unknown> = { ...entry, id: `n${entry.id}` };
    if (!pointsBack && "firstKept" in entry) moved.firstKept = `n${String(entry.firstKept)}`;
    return moved as unknown as TranscriptEntry;
  });
}
