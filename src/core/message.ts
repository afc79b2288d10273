import { z } from "zod";

/** A piece of a message. The shapes follow the AI SDK's `ModelMessage` parts. */
export type ContentPart =
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string; providerData?: unknown }
  | { type: "image" | "file"; mediaType: string; data?: string; url?: string; filename?: string }
  | { type: "tool-call"; toolCallId: string; toolName: string; input: unknown }
  | { type: "tool-result"; toolCallId: string; toolName: string; output: unknown; isError?: boolean };

/** What the model sees: one turn of speech, or one step of a tool. */
export interface Message {
  role: "user" | "assistant" | "tool" | "system";
  content: string | ContentPart[];
  /** Who speaks, where a provider has a place for it. */
  name?: string;
  /** Whatever the provider wants back with this message; kept as it is. */
  providerData?: unknown;
}

/** What one call to the model cost, in tokens. `input` is without the cached part. */
export interface Usage {
  input: number;
  output: number;
  cacheRead?: number;
  cacheWrite?: number;
}

/** What two calls have cost together, of which either may not be known. */
export function addUsage(one: Usage | undefined, other: Usage | undefined): Usage | undefined {
  return one === undefined || other === undefined ? (one ?? other) : sumUsage(one, other);
}

export function sumUsage(one: Usage, other: Usage): Required<Usage> {
  return {
    input: one.input + other.input,
    output: one.output + other.output,
    cacheRead: (one.cacheRead ?? 0) + (other.cacheRead ?? 0),
    cacheWrite: (one.cacheWrite ?? 0) + (other.cacheWrite ?? 0),
  };
}

const id = z.string().min(1);

// Loose objects: a field this version does not know is kept, because a newer one or the host wrote it for a reason.
const partSchema = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("text"), text: z.string() }),
  z.looseObject({ type: z.literal("reasoning"), text: z.string() }),
  z.looseObject({
    type: z.enum(["image", "file"]),
    mediaType: z.string().min(1),
    data: z.string().optional(),
    url: z.string().optional(),
    filename: z.string().optional(),
  }),
  z.looseObject({ type: z.literal("tool-call"), toolCallId: id, toolName: id, input: z.unknown() }),
  z.looseObject({
    type: z.literal("tool-result"),
    toolCallId: id,
    toolName: id,
    output: z.unknown(),
    isError: z.boolean().optional(),
  }),
]);

const knownTypes: ReadonlySet<string> = new Set(["text", "reasoning", "image", "file", "tool-call", "tool-result"]);

/** A part as a file may hold it: one of a type that a newer version knows is kept, and costs nobody the message around it. */
const storedPartSchema = z.union([
  partSchema,
  z.looseObject({ type: z.string().refine((type) => !knownTypes.has(type), "expected a part of that type") }),
]);

const tokens = z.number().nonnegative();

export const contentSchema = z.union([z.string(), z.array(partSchema)]);

/** Content as a file may hold it. */
export const storedContentSchema = z.union([z.string(), z.array(storedPartSchema)]);

export const messageSchema = z.looseObject({
  role: z.enum(["user", "assistant", "tool", "system"]),
  content: contentSchema,
  name: z.string().optional(),
});

export const usageSchema = z.looseObject({
  input: tokens,
  output: tokens,
  cacheRead: tokens.optional(),
  cacheWrite: tokens.optional(),
});

/** The words of a message, without media and tool traffic. */
export function textOf(message: Pick<Message, "content">): string {
  if (typeof message.content === "string") return message.content;
  return message.content.flatMap((part) => (part.type === "text" ? [part.text] : [])).join("");
}

/** Whether a message has neither words nor anything else: providers refuse those, and blanks alone too. */
export function saysNothing(content: Message["content"]): boolean {
  if (typeof content === "string") return content.trim() === "";
  return content.every((part) => part.type === "text" && part.text.trim() === "");
}

/**
 * Only what is a message's own. A response object of a provider has more, and a `type` or an `id` of it would become that of
 * the line it is stored in.
 */
export function ownFields({ role, content, name, providerData }: z.infer<typeof messageSchema>): Message {
  return {
    role,
    content: content as Message["content"],
    ...(name === undefined ? {} : { name }),
    ...(providerData === undefined ? {} : { providerData }),
  };
}

/** Where a value stopped fitting its schema, as `path: what was expected`. Never holds the value itself. */
export function describeIssues(error: z.ZodError): string {
  return error.issues.map((issue) => `${issue.path.map(String).join(".") || "the value"}: ${issue.message}`).join("; ");
}
