import { isSessionError } from "../errors.js";

/** What a transcript and a log say of a fault: never its message, which may be the host's and quote what was said. */
export function codeOf(error: unknown): string {
  return isSessionError(error) ? error.code : "HOOK";
}
