import { z } from "zod";
import { SUBAGENT_ENDS, type TranscriptEntry } from "./entry.js";
import { isSessionKey } from "./key.js";
import { messageSchema, storedContentSchema, usageSchema } from "./message.js";
import { statePatchSchema } from "./state.js";

const base = { id: z.string().min(1), timestamp: z.string() };
const sender = z.looseObject({ id: z.string(), name: z.string().optional() });
const error = z.looseObject({ code: z.string() });

const key = z.string().refine(isSessionKey);
const provenance = z.looseObject({
  kind: z.enum(["inter-session", "task", "sub-agent"]),
  from: key,
  hops: z.int().nonnegative(),
  chain: z.array(key),
  run: z.string().min(1),
  reply: z.literal(true).optional(),
  status: z.enum(SUBAGENT_ENDS).optional(),
  label: z.string().optional(),
});

const messageEntrySchema = messageSchema.extend({
  ...base,
  content: storedContentSchema,
  messageId: z.string().optional(),
  address: z.string().optional(),
  sender: sender.optional(),
  provenance: provenance.optional(),
  turn: z.literal(true).optional(),
  unanswered: z.enum(["not-mentioned", "send-policy"]).optional(),
  of: z.string().optional(),
  // A figure that is none costs the figure, not the message.
  usage: usageSchema.optional().catch(undefined),
  model: z.string().optional(),
  stopReason: z.string().optional(),
  cleared: z.literal(true).optional(),
  pinned: z.literal(true).optional(),
  truncated: z.literal(true).optional(),
});

const usage = usageSchema.optional().catch(undefined);
const count = z.number().nonnegative().optional().catch(undefined);

const typedSchemas: Readonly<Record<string, z.ZodType>> = {
  state: z.looseObject({ ...base, type: z.literal("state"), patch: statePatchSchema }),
  turn: z.looseObject({
    ...base,
    type: z.literal("turn"),
    of: z.string(),
    status: z.enum(["completed", "aborted", "failed", "interrupted"]),
    error: error.optional(),
    usage: usageSchema.optional(),
    truncated: z.literal(true).optional(),
  }),
  clear: z.looseObject({ ...base, type: z.literal("clear") }),
  compaction: z.looseObject({
    ...base,
    type: z.literal("compaction"),
    summary: z.string(),
    firstKept: z.string(),
    kept: z.array(messageEntrySchema).optional(),
    dropped: count,
    tokensBefore: count,
    tokensAfter: count,
    usage,
  }),
  undo: z.looseObject({
    ...base,
    type: z.literal("undo"),
    of: z.string(),
    lastCompaction: z.string().nullable(),
    memoryFlush: z
      .looseObject({ at: z.string(), status: z.enum(["completed", "failed"]), code: z.string().max(64).optional() })
      .nullable(),
  }),
  usage: z.looseObject({ ...base, type: z.literal("usage"), purpose: z.string(), usage: usageSchema }),
  "memory-flush": z.looseObject({
    ...base,
    type: z.literal("memory-flush"),
    status: z.enum(["completed", "failed"]),
    error: error.optional(),
    cleared: z.literal(true).optional(),
    usage,
  }),
  command: z.looseObject({ ...base, type: z.literal("command"), command: z.string(), reply: z.string() }),
  run: z.looseObject({ ...base, type: z.literal("run"), content: z.string(), provenance }),
  spawn: z.looseObject({
    ...base,
    type: z.literal("spawn"),
    child: key,
    run: z.string().min(1),
    mode: z.enum(["run", "start"]),
    label: z.string().optional(),
    cleanup: z.literal("delete").optional(),
  }),
  "spawn-end": z.looseObject({
    ...base,
    type: z.literal("spawn-end"),
    child: key,
    run: z.string().min(1),
    status: z.enum(SUBAGENT_ENDS),
    error: error.optional(),
    usage,
  }),
  "spawn-deleted": z.looseObject({ ...base, type: z.literal("spawn-deleted"), child: key, run: z.string().min(1) }),
  delivery: z.looseObject({ ...base, type: z.literal("delivery"), of: z.string(), status: z.literal("failed"), error }),
};

const unknownSchema = z.looseObject({ ...base, type: z.string().min(1) });

/**
 * Reads one JSON value as an entry, or gives `undefined` when it is none.
 * `place` names an entry that came without an id, as the lines of other tools do.
 */
export function readEntry(value: unknown, place: string): TranscriptEntry | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  if (isOrdinaryMessage(value as Record<string, unknown>)) return value as TranscriptEntry;
  const line = value as { role?: unknown; type?: unknown; id?: unknown; timestamp?: unknown };
  const named = {
    ...line,
    ...(line.id === undefined ? { id: place } : {}),
    ...(line.timestamp === undefined ? { timestamp: "" } : {}),
  };
  const result = schemaFor(line).safeParse(named);
  return result.success ? (result.data as TranscriptEntry) : undefined;
}

const ROLES: ReadonlySet<unknown> = new Set(["user", "assistant", "tool", "system"]);
const TEXTS: ReadonlySet<string> = new Set([
  "content",
  "timestamp",
  "messageId",
  "address",
  "unanswered",
  "of",
  "model",
  "stopReason",
]);
const UNANSWERED: ReadonlySet<unknown> = new Set(["not-mentioned", "send-policy"]);

/**
 * Whether a line is a message of words as most are, which a schema would give back as it is. A long history is read eight
 * times as fast that way; whatever is not certain here is for the schema to say.
 */
function isOrdinaryMessage(line: Record<string, unknown>): boolean {
  if (!ROLES.has(line.role) || typeof line.content !== "string" || typeof line.timestamp !== "string") return false;
  for (const name in line) {
    const value = line[name];
    if (TEXTS.has(name)) {
      if (typeof value !== "string" || (name === "unanswered" && !UNANSWERED.has(value))) return false;
    } else if (name === "id") {
      if (typeof value !== "string" || value === "") return false;
    } else if (name === "turn" || name === "cleared" || name === "pinned") {
      if (value !== true) return false;
    } else if (name !== "role") {
      return false;
    }
  }
  return line.id !== undefined;
}

function schemaFor(line: { role?: unknown; type?: unknown }): z.ZodType {
  if (line.role !== undefined) return messageEntrySchema;
  return (
    (typeof line.type === "string" && Object.hasOwn(typedSchemas, line.type) && typedSchemas[line.type]) ||
    unknownSchema
  );
}
