import { isSessionError } from "../index.js";
import type { Io } from "./io.js";
import { printableLine } from "./printable.js";

/** Says something on standard error, on one line. */
export function complain(io: Io, text: string): void {
  // When standard error is gone too there is nobody left to tell.
  if (io.stderr.listenerCount("error") === 0) io.stderr.on("error", () => undefined);
  io.stderr.write(`openclaw-sessions: ${printableLine(text)}\n`);
}

/** A fault as one line with its code; `undefined` for one that nobody foresaw. */
export function describeFault(error: unknown): string | undefined {
  if (isSessionError(error)) {
    const key = error.key === undefined ? "" : ` Session: ${error.key}.`;
    const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
    return `${error.code}: ${error.message}${key}${cause}`;
  }
  if (!(error instanceof Error && "syscall" in error && "code" in error)) return undefined;
  const code = String(error.code);
  return error.message.startsWith(code) ? error.message : `${code}: ${error.message}`;
}
