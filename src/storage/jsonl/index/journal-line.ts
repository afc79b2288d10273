/** What a process tells the others: that it writes a session, has made it, or has deleted it. */
export interface JournalMark {
  key: string;
  uuid: string;
  /** The storage that says so. */
  by: string;
  made?: true | undefined;
  deleted?: true | undefined;
}

/** A line that cannot be read was torn by a crash; its writer has not acknowledged anything on the strength of it. */
export function readJournalLine(
  text: string,
): JournalMark | { closed: true; next: string | undefined } | { boot: unknown; id: string | undefined } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Torn: see above.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { key, uuid, by, made, deleted, closed, next, boot, id } = value as Record<string, unknown>;
  if (closed === true) return { closed, next: typeof next === "string" ? next : undefined };
  if (boot !== undefined) return { boot, id: typeof id === "string" ? id : undefined };
  if (typeof key !== "string" || typeof uuid !== "string") return undefined;
  return {
    key,
    uuid,
    by: String(by),
    ...(made === true ? { made } : {}),
    ...(deleted === true ? { deleted } : {}),
  };
}
