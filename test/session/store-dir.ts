import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import {
  type Claim,
  type InboundMessage,
  JsonlStorage,
  type SessionKey,
  SessionManager,
  type SessionStorage,
} from "../../src/index.js";

/** A directory of its own, gone after the test. */
export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "openclaw-sessions-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/**
 * Every byte of every file below a directory, by path. An open storage folds its journal behind whoever uses it, so a file or
 * a lock may be gone between the look at its directory and the look at it: then all is looked at again.
 */
export function filesBelow(dir: string): Map<string, string> {
  for (let looks = 1; ; looks += 1)
    try {
      const entries = readdirSync(dir, { withFileTypes: true, recursive: true });
      const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
      return new Map(paths.map((path) => [path, readFileSync(path, "utf8")]));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT" || looks === 100) throw error;
    }
}

/** The transcripts among them. */
export function transcriptsBelow(dir: string): Map<string, string> {
  return new Map([...filesBelow(dir)].filter(([path]) => /[\\/][0-9a-f-]{36}\.jsonl$/.test(path)));
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

/** A storage some of whose calls are the test's own. */
export function replaced(inner: SessionStorage, own: Partial<SessionStorage>): SessionStorage {
  return {
    read: (key) => inner.read(key),
    update: (...args) => inner.update(...args),
    claim: (...args) => inner.claim(...args),
    delete: (key) => inner.delete(key),
    list: (query) => inner.list(query),
    entries: (uuid, range) => inner.entries(uuid, range),
    close: () => inner.close(),
    ...own,
  };
}

/**
 * The claim of a storage in a process that dies within this one. What a dead process held is free for the others; here this
 * living one holds it, so `die` lets go of it. The rest of the dead one's storage stays as it was.
 */
export function mortalClaims(storage: SessionStorage): Pick<SessionStorage, "claim"> & { die(): Promise<void> } {
  const granted: Claim[] = [];
  return {
    claim: async (...args) => {
      const claim = await storage.claim(...args);
      granted.push(claim);
      return claim;
    },
    die: async () => {
      for (const claim of granted) await claim.release();
    },
  };
}

/** A storage whose process can die: from then on it writes nothing, and what it has claimed is free. */
export function mortalStorage(dir: string): { storage: SessionStorage; die(): Promise<void> } {
  const inner = new JsonlStorage({ dir });
  // Not the dead one's doing: it would write to the directory again after the test has removed it.
  onTestFinished(() => inner.close());
  const { claim, die } = mortalClaims(inner);
  let dead = false;
  const never = () => new Promise<never>(() => {});
  const storage: SessionStorage = {
    read: (key) => (dead ? never() : inner.read(key)),
    update: (...args) => (dead ? never() : inner.update(...args)),
    claim: (...args) => (dead ? never() : claim(...args)),
    delete: (key) => (dead ? never() : inner.delete(key)),
    list: (query) => inner.list(query),
    entries: (uuid, range) => inner.entries(uuid, range),
    close: () => inner.close(),
  };
  return {
    storage,
    die: async () => {
      dead = true;
      await die();
    },
  };
}

/**
 * Leaves messages in the middle of their turns, as a process does that dies while the model thinks: the manager that took
 * them in is never closed.
 */
export async function leaveUnanswered(dir: string, ...messages: InboundMessage[]): Promise<void> {
  const { storage, die } = mortalStorage(dir);
  const host = new SessionManager({ storage, provider: { generate: () => new Promise<never>(() => {}) } });
  let running = 0;
  await new Promise<void>((resolve) => {
    host.on("turn.started", () => {
      running += 1;
      if (running === messages.length) resolve();
    });
    for (const message of messages) void host.handle(message);
  });
  await die();
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
