import type { Usage } from "./message.js";
import {
  CUT_SHORT_STOP_REASONS,
  OTHER_FAULT_CODES,
  OTHER_FAULT_STATUSES,
  OTHER_FAULT_TEXTS,
  OUTPUT_SHARES,
  OVERFLOW_PATTERNS,
  OVERFLOW_STOP_REASONS,
  type OverflowPattern,
  PAYLOAD_CODES,
  PAYLOAD_TEXTS,
} from "./overflow-patterns.js";

/** What is known besides the error. All of it is optional. */
export interface OverflowOptions {
  /** What the provider reported for the call, in tokens. */
  usage?: Usage | undefined;
  /** The model's window in tokens. Needed to make sense of `usage`; ignored unless positive and finite. */
  contextWindow?: number | undefined;
  /** Why the answer ended, in the provider's words or the AI SDK's. */
  stopReason?: string | undefined;
  /** Patterns besides the built-in ones. They also hold against a code or status that otherwise means another fault. */
  patterns?: readonly OverflowPattern[] | undefined;
}

/**
 * Whether a provider's failure, or its answer, means that the prompt was larger than the model's window. Never throws.
 *
 * An answer counts when its stop reason says so, when the reported prompt (`input` with both cache parts) is at or above
 * `contextWindow`, or when it was cut short with prompt and output within 1 % of it. The last is how llama.cpp stops at the
 * end of the window, and how Xiaomi MiMo answers with nothing after cutting the prompt to fit. Ollama cuts silently too:
 * old versions to the whole window, which is seen here; newer ones to half of it (`num_ctx / 2 + 2`), which no number in the
 * answer tells from a short prompt. A host that runs Ollama sets `num_ctx` no smaller than its `contextWindow`.
 *
 * `false` for rate limits in tokens per minute, credit, authentication, unknown models, an output limit that is too high by
 * itself, and a payload too large in bytes (see `isPayloadTooLarge`).
 *
 * What a person wrote is kept out as far as possible: only fields that hold the provider's words are read, never the request,
 * and quotations of more than a word are passed over. Not excluded: an error that quotes a person without quotation marks, or
 * a person who closes the quotation themselves. It costs a compaction that has nothing to gain.
 */
export function isContextOverflow(error: unknown, options: OverflowOptions = {}): boolean {
  const { usage, contextWindow, stopReason, patterns = [] } = options;
  if (stopReason !== undefined && OVERFLOW_STOP_REASONS.has(letters(stopReason))) return true;
  if (usage !== undefined && contextWindow !== undefined && isWindowFull(usage, contextWindow, stopReason)) return true;
  return faultsIn(error).some((fault) => matchesAny(fault, patterns) || isOverflow(fault));
}

/**
 * Whether a provider refused a request for its size in bytes, or for an image or document that is too large. Dropping
 * media helps, summarising words hardly does. Never true together with `isContextOverflow` for one failure, unless a host's
 * own pattern says so. A bare HTTP 413 counts, so where no media is left a caller may treat it as an overflow: Cerebras
 * says it that way. Never throws.
 */
export function isPayloadTooLarge(error: unknown): boolean {
  return faultsIn(error).some(
    (fault) =>
      !isOtherFault(fault) &&
      (namesPayload(fault) || (fault.statuses.has(413) && !matchesAny(fault, OVERFLOW_PATTERNS))),
  );
}

function isWindowFull(usage: Usage, contextWindow: number, stopReason: string | undefined): boolean {
  if (!Number.isFinite(contextWindow) || contextWindow <= 0) return false;
  const prompt = usage.input + (usage.cacheRead ?? 0) + (usage.cacheWrite ?? 0);
  if (prompt >= contextWindow) return true;
  const cutShort = stopReason !== undefined && CUT_SHORT_STOP_REASONS.has(letters(stopReason));
  // The chat template and a last token or two are missing from what some servers report.
  return cutShort && prompt + usage.output >= contextWindow * 0.99;
}

function isOverflow(fault: Fault): boolean {
  return (
    !isOtherFault(fault) &&
    !namesPayload(fault) &&
    !fault.texts.some(asksForTooMuchOutput) &&
    matchesAny(fault, OVERFLOW_PATTERNS)
  );
}

function isOtherFault({ codes, statuses, texts }: Fault): boolean {
  return (
    [...statuses].some((status) => OTHER_FAULT_STATUSES.has(status)) ||
    [...codes].some((code) => OTHER_FAULT_CODES.test(code)) ||
    texts.some((text) => OTHER_FAULT_TEXTS.some((pattern) => pattern.test(text)))
  );
}

function namesPayload({ codes, texts }: Fault): boolean {
  return (
    [...codes].some((code) => PAYLOAD_CODES.has(code)) ||
    texts.some((text) => PAYLOAD_TEXTS.some((pattern) => pattern.test(text)))
  );
}

function asksForTooMuchOutput(text: string): boolean {
  return OUTPUT_SHARES.some((pattern) => {
    const { output, window } = pattern.exec(text)?.groups ?? {};
    return output !== undefined && window !== undefined && count(output) >= count(window);
  });
}

const count = (digits: string): number => Number(digits.replaceAll(",", ""));

function matchesAny(fault: Fault, patterns: readonly OverflowPattern[]): boolean {
  return patterns.some(({ code, text }) => {
    if (code === undefined && text === undefined) return false;
    if (code !== undefined && !fault.codes.has(code.toLowerCase())) return false;
    // `search` heeds no `lastIndex`, so a host's global or sticky pattern answers the same every time.
    return text === undefined || fault.texts.some((words) => words.search(text) >= 0);
  });
}

/** What one failure says about itself, collected from wherever its wrappers put it. */
interface Fault {
  texts: string[];
  /** In lower case. */
  codes: Set<string>;
  statuses: Set<number>;
}

// A real error has a handful of layers. The rest is someone's object graph.
const MAX_OBJECTS = 64;
const MAX_DEPTH = 10;
const MAX_TEXT = 8192;
const MAX_CHARACTERS = 8 * MAX_TEXT;

const CODES = ["code", "type", "status", "name", "reason", "errorType"] as const;
const STATUSES = ["status", "statusCode", "httpStatusCode", "code"] as const;
// Words, or a whole error as JSON text or object. Not `value`, `text`, `input`, `prompt`, `requestBodyValues`: they hold the
// request or the answer, which is what people and models wrote. Not `stack`: it repeats the message.
const WORDS = ["message", "error", "detail", "details", "errorMessage", "msg", "raw", "body", "responseBody"] as const;
const LAYERS = ["cause", "data", "response", "metadata", "$metadata"] as const;

/** The separate failures in an error: one, or those of the attempts and branches it gathers. */
function faultsIn(error: unknown): Fault[] {
  const faults: Fault[] = [];
  const walk: Walk = { seen: new Set(), attempts: [], charactersLeft: MAX_CHARACTERS };
  const roots: [root: unknown, around: Fault | undefined][] = [[error, undefined]];
  for (const [root, around] of roots) {
    // What a wrapper says holds for what it wraps: its status rules an overflow out inside as well.
    const fault: Fault = { texts: [], codes: new Set(around?.codes), statuses: new Set(around?.statuses) };
    collect(root, 0, fault, walk);
    faults.push(fault);
    for (const attempt of walk.attempts.splice(0)) if (roots.length < MAX_OBJECTS) roots.push([attempt, fault]);
  }
  return faults;
}

interface Walk {
  seen: Set<object>;
  /** What failed before or beside it, to be judged apart. */
  attempts: unknown[];
  charactersLeft: number;
}

function collect(value: unknown, depth: number, fault: Fault, walk: Walk): void {
  if (depth > MAX_DEPTH) return;
  if (typeof value === "string") {
    collectText(value, depth, fault, walk);
    return;
  }
  if (typeof value !== "object" || value === null || walk.seen.has(value) || walk.seen.size >= MAX_OBJECTS) return;
  walk.seen.add(value);
  for (const field of CODES) {
    const code = read(value, field);
    if (typeof code === "string" && code.length <= 100) fault.codes.add(code.toLowerCase());
  }
  for (const field of STATUSES) {
    const status = Number(read(value, field, ["number", "string"]));
    if (Number.isInteger(status) && status >= 100 && status < 600) fault.statuses.add(status);
  }
  for (const field of [...WORDS, ...LAYERS]) collect(read(value, field), depth + 1, fault, walk);
  // Gemini's gateway answers with an array of one.
  if (isList(value)) for (const item of itemsOf(value)) collect(item, depth + 1, fault, walk);
  // The AI SDK's RetryError: the attempts before the last may have failed for another reason.
  const last = read(value, "lastError");
  if (last !== undefined && last !== null) walk.attempts.push(last);
  else walk.attempts.push(...itemsOf(read(value, "errors")));
}

function collectText(whole: string, depth: number, fault: Fault, walk: Walk): void {
  const text = whole.slice(0, Math.min(MAX_TEXT, walk.charactersLeft)).replace(INTRODUCED, "");
  walk.charactersLeft -= text.length;
  const { before, inside } = jsonIn(text);
  if (inside !== undefined) {
    collect(inside, depth + 1, fault, walk);
    if (before.trim() !== "") fault.texts.push(withoutQuotations(before));
    return;
  }
  // A Python client's way to print the body, which gateways hand on: {'error': {'message': "...", 'code': '...'}}.
  const [printed, , message = text] = PRINTED_MESSAGE.exec(text) ?? [];
  if (printed !== undefined) {
    for (const [, code = ""] of text.replace(printed, "").matchAll(PRINTED_CODE)) fault.codes.add(code.toLowerCase());
  }
  fault.texts.push(withoutQuotations(message));
}

// What follows is what a model or a person wrote: the AI SDK's "JSON parsing failed: Text: ..." and "Type validation failed:
// Value: ...".
const INTRODUCED = /\b(?:JSON parsing failed: Text|Type validation failed: Value): [\s\S]*$/;
const PRINTED_MESSAGE = /['"]message['"]: ?(["'])((?:\\.|(?!\1[,}])[^\\]){0,2000})\1[,}]/;
const PRINTED_CODE = /['"](?:code|type)['"]: ?['"](\w{1,100})['"]/g;

/** The JSON a text is or has at its end, as in `400 {"type":"error",...}`, and the words before it. */
function jsonIn(text: string): { before: string; inside?: object } {
  const start = text.indexOf("{");
  const end = text.lastIndexOf("}");
  const candidates: [from: number, to: number][] = [
    [0, text.length],
    [start, end + 1],
  ];
  for (const [from, to] of candidates) {
    if (start === -1 || end < start) break;
    try {
      const inside: unknown = JSON.parse(text.slice(from, to));
      if (typeof inside === "object" && inside !== null) return { before: text.slice(0, from), inside };
      if (typeof inside === "string") return jsonIn(inside);
    } catch {
      // Words with a brace in them.
    }
  }
  return { before: text };
}

/**
 * Takes out quotations of more than one word: to the last such mark in the text, so that a mark inside, which the quoted
 * person may have put there, does not end it. A single word in marks is a field or a value that the provider names.
 */
function withoutQuotations(text: string): string {
  let kept = "";
  let from = 0;
  for (const { index, 0: mark } of text.matchAll(/(?<![\p{L}\p{N}])["'`“«](?=\S)/gu)) {
    if (index < from) continue;
    const closing = mark === "“" ? "”" : mark === "«" ? "»" : mark;
    const nearest = text.indexOf(closing, index + 1);
    if (nearest === -1) continue;
    if (/\s/.test(text.slice(index, nearest))) {
      kept += `${text.slice(from, index)}...`;
      from = text.lastIndexOf(closing) + 1;
    } else {
      kept += text.slice(from, nearest + 1);
      from = nearest + 1;
    }
  }
  return kept + text.slice(from);
}

/** One field of anything: of a proxy, of an object whose getters throw. `undefined` when it has none of the wanted types. */
function read(value: object, field: string, types?: readonly string[]): unknown {
  try {
    const found: unknown = Reflect.get(value, field);
    return types === undefined || types.includes(typeof found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function isList(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

function itemsOf(value: unknown): unknown[] {
  if (!isList(value)) return [];
  const length = Math.min(MAX_OBJECTS, Number(read(value, "length", ["number"])));
  return Array.from({ length }, (_, at) => read(value, `${at}`));
}

const letters = (word: string): string => word.toLowerCase().replace(/[^a-z]/g, "");
