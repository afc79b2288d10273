import type { ContentPart, MessageEntry } from "../index.js";
import { foldLine, INDENT } from "./display-width.js";
import type { Output } from "./output.js";
import { printableLine, printableLines } from "./printable.js";

// Enough to recognise what a tool was asked or said, and to stay on a line or two.
const MAX_PART_CHARS = 200;

// With the time and the role before it, still within the narrowest usual terminal.
const MAX_NAME_CHARS = 40;

/**
 * A message as a header line and its words. Only headers begin at the margin: every other line is indented, also where the
 * terminal would break it, so nothing a person wrote can pass for a header.
 */
export function messageBlock(message: MessageEntry, options: { inGroup: boolean; output: Output }): string {
  const { output } = options;
  const header = [timeOf(message), message.role, ...marksOf(message), ...nameOf(message, options.inGroup)].join("  ");
  const body = bodyOf(message.content).map((line) => `${INDENT}${line}`.trimEnd());
  const [head, ...lines] = [header, ...body].map((line) => foldLine(line, output.columns).join("\n"));
  return [output.dim(head ?? ""), ...lines, ""].join("\n");
}

function timeOf({ timestamp }: MessageEntry): string {
  const time = Date.parse(timestamp);
  if (Number.isNaN(time)) return "(no time)";
  return new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
}

function marksOf({ stopReason, cleared, provenance }: MessageEntry): string[] {
  const { kind, status } = provenance ?? {};
  return [
    ...(stopReason === "aborted" || stopReason === "error" ? [`[${stopReason}]`] : []),
    ...(kind === undefined ? [] : [`[${status === undefined ? kind : `${kind} ${status}`}]`]),
    ...(cleared ? ["[cleared]"] : []),
  ];
}

function nameOf({ sender, name, provenance }: MessageEntry, inGroup: boolean): string[] {
  // A key is there to be copied.
  if (provenance !== undefined) return [printableLine(provenance.from)];
  const speaker = sender?.name ?? name ?? (inGroup ? sender?.id : undefined);
  return speaker === undefined ? [] : [clipped(speaker, MAX_NAME_CHARS)];
}

function bodyOf(content: MessageEntry["content"]): string[] {
  if (typeof content === "string") return printableLines(content);
  return content.flatMap((part) => (part.type === "text" ? printableLines(part.text) : [lineOf(part)]));
}

function lineOf(part: Exclude<ContentPart, { type: "text" }>): string {
  switch (part.type) {
    case "reasoning":
      return labelled("reasoning", part.text);
    case "image":
    case "file":
      return labelled(part.type, mediaFacts(part));
    case "tool-call":
      return labelled("tool call", `${part.toolName} ${asText(part.input)}`);
    case "tool-result":
      return labelled(part.isError ? "tool error" : "tool result", `${part.toolName} ${asText(part.output)}`);
  }
}

function labelled(label: string, text: string): string {
  return `[${label}] ${clipped(text, MAX_PART_CHARS)}`;
}

function mediaFacts(part: ContentPart & { type: "image" | "file" }): string {
  // Base64 takes four characters for three bytes.
  const size = part.data === undefined ? [] : [`${Math.floor((part.data.replace(/=+$/, "").length * 3) / 4)} bytes`];
  return [part.mediaType, ...(part.filename === undefined ? [] : [part.filename]), ...size, part.url ?? ""]
    .filter((fact) => fact !== "")
    .join(", ");
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

function clipped(text: string, limit: number): string {
  if (text.length <= limit) return printableLine(text);
  return `${printableLine(text.slice(0, limit).replace(/[\uD800-\uDBFF]$/, ""))}… (${text.length} characters)`;
}
