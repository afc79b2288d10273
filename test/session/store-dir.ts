import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { type InboundMessage, type SessionKey, SessionManager } from "../../src/index.js";

/** A directory of its own, gone after the test. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "openclaw-sessions-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Every byte of every file below a directory, by path. */
export function filesBelow(dir: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const entry of readdirSync(dir, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    files.set(path, readFileSync(path, "utf8"));
  }
  return files;
}

/** The lines of a session's transcript, parsed. */
export async function linesOf(
  manager: SessionManager,
  dir: string,
  key: SessionKey,
): Promise<Record<string, unknown>[]> {
  const uuid = (await manager.get(key))?.uuid;
  const file = [...filesBelow(dir)].find(([path]) => path.endsWith(`${uuid}.jsonl`));
  return (file?.[1] ?? "")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/**
 * Leaves messages in the middle of their turns, as a process does that dies while the model thinks: the manager that took
 * them in is never closed.
 */
export async function leaveUnanswered(dir: string, ...messages: InboundMessage[]): Promise<void> {
  const host = new SessionManager({ dir, provider: { generate: () => new Promise<never>(() => {}) } });
  let running = 0;
  await new Promise<void>((resolve) => {
    host.on("turn.started", () => {
      running += 1;
      if (running === messages.length) resolve();
    });
    for (const message of messages) void host.handle(message);
  });
}

/** A promise and what settles it, for providers that answer when the test says so. */
export function deferred<T = void>(): { promise: Promise<T>; resolve(value: T): void; reject(error: unknown): void } {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** All of an async iterable. */
export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}
