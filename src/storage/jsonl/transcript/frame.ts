/** What frames an update, apart from what a line says. */
export interface Frame {
  lines: number | undefined;
  more: number | undefined;
  rev: string | undefined;
  on: string | undefined;
}

// As `encodeUpdate` ends a line. No text inside a message ends like this, for its quotes would be escaped.
const FRAME =
  /^(?:,"_(?:lines":(\d{1,9})|more":(\d{1,9})))?(?:,"_rev":"([^"\\]{1,80})"(?:,"_on":"([^"\\]{1,80})")?)?\}$/;
const FRAME_REACH = 220;
const NAMED = ',"_rev":"';
const NAME = /^([^"\\]{1,80})"(?:,"_on":"([^"\\]{1,80})")?\}$/;

// The count of an update's lines stands before its name.
function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

/** What a line says, and what frames it. */
export interface Framed {
  said: Record<string, unknown>;
  frame: Frame;
}

/** Takes a line apart. `undefined` when it is JSON and no object. @throws SyntaxError when it is no JSON. */
export function parseFramed(text: string): Framed | undefined {
  // What nearly every line is: an update of its own, named last.
  const named = text.lastIndexOf(NAMED);
  if (named > 0 && !isDigit(text.charCodeAt(named - 1))) {
    const name = NAME.exec(text.slice(named + NAMED.length));
    const said = name === null ? undefined : asObject(JSON.parse(`${text.slice(0, named)}}`));
    if (name !== null && said !== undefined)
      return { said, frame: { lines: undefined, more: undefined, rev: name[1], on: name[2] } };
  }
  const at = text.indexOf(',"_', Math.max(0, text.length - FRAME_REACH));
  const match = at > 0 ? FRAME.exec(text.slice(at)) : null;
  if (match !== null) {
    const said = asObject(JSON.parse(`${text.slice(0, at)}}`));
    return said && { said, frame: frameIn(match) };
  }
  const value = asObject(JSON.parse(text));
  if (value === undefined || !("_rev" in value || "_on" in value || "_lines" in value || "_more" in value))
    return value && { said: value, frame: NO_FRAME };
  const { _lines, _more, _rev, _on, ...said } = value;
  const number = (field: unknown) => (typeof field === "number" ? field : undefined);
  const name = (field: unknown) => (typeof field === "string" ? field : undefined);
  return { said, frame: { lines: number(_lines), more: number(_more), rev: name(_rev), on: name(_on) } };
}

/** What frames a line, without taking in what it says. */
export function frameOf(text: string): Frame {
  const line = trim(text);
  const at = line.indexOf(',"_', Math.max(0, line.length - FRAME_REACH));
  const match = at > 0 ? FRAME.exec(line.slice(at)) : null;
  if (match !== null) return frameIn(match);
  // Written by another tool, which may have put the fields elsewhere, or have none.
  if (!line.includes('"_')) return NO_FRAME;
  try {
    return parseFramed(line)?.frame ?? NO_FRAME;
  } catch {
    // Not JSON, so it frames nothing; whoever reads what it says reports it.
    return NO_FRAME;
  }
}

function frameIn([, lines, more, rev, on]: RegExpExecArray): Frame {
  return { lines: asNumber(lines), more: asNumber(more), rev, on };
}

const NO_FRAME: Frame = { lines: undefined, more: undefined, rev: undefined, on: undefined };

function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined;
}

function asNumber(digits: string | undefined): number | undefined {
  return digits === undefined ? undefined : Number(digits);
}

// A byte order mark and CR come from editors, NULs from a power cut on a file system that had grown the file already. A
// pattern would take a square of the time on a long run of NULs.
/** A line without what stray bytes and other tools put around it. */
export function trim(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && (text[from] === "\0" || text[from] === "\uFEFF")) from += 1;
  while (to > from && (text[to - 1] === "\0" || text[to - 1] === "\r")) to -= 1;
  return from === 0 && to === text.length ? text : text.slice(from, to);
}
