const CAUSES: Readonly<Record<string, string>> = {
  HOOK: "its model failed, or what the host gives it to work with",
  CONTEXT_OVERFLOW: "what it was given is too large for its model",
  QUEUE_FULL: "too many messages wait for it",
  ABORTED: "it was stopped",
  KILLED: "it was stopped",
  TIMED_OUT: "it ran out of time",
  INTERRUPTED: "its process ended",
  CLOSED: "its process is ending",
};

/** Says for a model what the code of a fault means: `its model failed … (HOOK)`. Of any other code, that it could not be stored. */
export function failureText(code: string): string {
  const cause = Object.hasOwn(CAUSES, code) ? CAUSES[code] : "something could not be stored or read";
  return `${cause} (${code})`;
}
