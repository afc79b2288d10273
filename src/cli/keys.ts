import { isSessionError, isSessionKey } from "../index.js";
import { complain } from "./complaint.js";
import { EXIT } from "./exit-code.js";
import type { Io } from "./io.js";
import { UsageError } from "./usage-error.js";

/** In place of KEY: read keys from standard input. */
const FROM_STDIN = "-";

export function readsKeysFromStdin(key: string): boolean {
  return key === FROM_STDIN;
}

/**
 * Does the work for KEY, or for each key on standard input as it arrives. There, a key without a session is said and passed
 * over; the first such gives the exit code. A fault ends everything.
 */
export async function forEachKey(key: string, io: Io, work: (key: string) => Promise<void>): Promise<number> {
  if (!readsKeysFromStdin(key)) {
    await work(checked(key));
    return EXIT.ok;
  }
  let code: number = EXIT.ok;
  const passOver = (text: string, because: number) => {
    complain(io, text);
    code ||= because;
  };
  for await (const line of linesOf(io.stdin)) {
    if (line === "") continue;
    try {
      await work(checked(line));
    } catch (error) {
      if (error instanceof UsageError) passOver(error.message, EXIT.usage);
      else if (isSessionError(error, "SESSION_NOT_FOUND")) passOver(notFound(line), EXIT.notFound);
      else throw error;
    }
  }
  return code;
}

export function notFound(key: string): string {
  return `SESSION_NOT_FOUND: There is no session ${key}; "openclaw-sessions list" shows those there are.`;
}

function checked(key: string): string {
  if (isSessionKey(key)) return key;
  throw new UsageError(
    `INVALID_SESSION_KEY: "${key}" is no session key; one reads like agent:main:telegram:dm:123456789.`,
  );
}

// Not node:readline, which also ends a line at U+2028: an id may contain one.
async function* linesOf(stream: Io["stdin"]): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    rest += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    yield* lines.map(withoutReturn);
  }
  yield withoutReturn(rest + decoder.decode());
}

function withoutReturn(line: string): string {
  return line.endsWith("\r") ? line.slice(0, -1) : line;
}
