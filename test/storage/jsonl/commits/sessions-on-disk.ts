import { randomUUID } from "node:crypto";
import { constants, mkdtempSync, readFileSync, rmSync, writeSync } from "node:fs";
import { type FileHandle, mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { openCommits, type SyncableFile, type Written } from "../../../../src/storage/jsonl/commit/commits.js";
import type { Durability } from "../../../../src/storage/jsonl/durability.js";
import type { StorageReport } from "../../../../src/storage/report.js";

export async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "commits-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

/** For tests that make many: whoever made it removes it. */
export function ownDir(): { dir: string; remove(): void } {
  const dir = mkdtempSync(join(tmpdir(), "commits-"));
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

/** Timers that go off when the test says so. */
class Timers {
  readonly #set = new Set<{ run: () => void; milliseconds: number }>();

  readonly after = (milliseconds: number, run: () => void): (() => void) => {
    const timer = { run, milliseconds };
    this.#set.add(timer);
    return () => this.#set.delete(timer);
  };

  get delays(): number[] {
    return Array.from(this.#set, ({ milliseconds }) => milliseconds);
  }

  goOff(): void {
    const due = [...this.#set];
    this.#set.clear();
    for (const { run } of due) run();
  }
}

/** A session's transcript, held open as a storage holds it. */
export class Session {
  readonly uuid = randomUUID();
  readonly path: string;
  readonly handle: FileHandle;
  readonly file: SyncableFile;
  size = 0;
  pins = 0;
  /** How often a sync of it was begun through its handle. */
  syncs = 0;
  /** Done in place of the real sync. */
  sync: () => Promise<void>;

  private constructor(path: string, uuid: `${string}-${string}-${string}-${string}-${string}`, handle: FileHandle) {
    this.path = path;
    this.uuid = uuid;
    this.handle = handle;
    this.sync = () => handle.datasync();
    this.file = {
      path,
      datasync: () => {
        this.syncs += 1;
        return this.sync();
      },
      pin: () => {
        this.pins += 1;
      },
      unpin: () => {
        this.pins -= 1;
      },
    };
  }

  static async begin(dir: string): Promise<Session> {
    const uuid = randomUUID();
    const path = join(dir, `${uuid}.jsonl`);
    const flags = constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL;
    return new Session(path, uuid, await open(path, flags, 0o600));
  }

  static async beginMany(dir: string, count: number): Promise<Session[]> {
    return Promise.all(Array.from({ length: count }, () => Session.begin(dir)));
  }

  write(content: string): Written {
    const bytes = Buffer.from(content);
    const offset = this.size;
    this.size += writeSync(this.handle.fd, bytes);
    return { uuid: this.uuid, offset, bytes, file: this.file };
  }

  read(): string {
    return readFileSync(this.path, "utf8");
  }
}

export function openFor(dir: string, durability: Durability, token = "t") {
  const reports: StorageReport[] = [];
  const timers = new Timers();
  const commits = openCommits({
    dir,
    durability,
    token,
    owner: { name: token },
    report: (report) => reports.push(report),
    after: timers.after,
  });
  return { commits, timers, reports };
}

export async function logsIn(dir: string): Promise<string[]> {
  return (await readdir(dir)).filter((name) => name.endsWith(".log")).sort();
}

export interface Gate {
  promise: Promise<void>;
  open(): void;
  fail(error: unknown): void;
}

export function gate(): Gate {
  let open!: () => void;
  let fail!: (error: unknown) => void;
  const promise = new Promise<void>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}

/** The prototype of all open files, to put faults into. */
export async function fileHandles(): Promise<FileHandle> {
  const handle = await open(import.meta.filename);
  try {
    return Object.getPrototypeOf(handle) as FileHandle;
  } finally {
    await handle.close();
  }
}

/** Watches syncs of files that are none of these sessions' transcripts: those are logs. Each can be made to fail. */
export async function watchLogSyncs(
  sessions: readonly Session[],
  fault: (sync: number) => unknown = () => undefined,
): Promise<{ count: number }> {
  const watched = { count: 0 };
  const prototype = await fileHandles();
  const real = prototype.datasync;
  const inodes = new Set(await Promise.all(sessions.map(async ({ handle }) => (await handle.stat()).ino)));
  const spy = vi.spyOn(prototype, "datasync").mockImplementation(async function (this: FileHandle) {
    if (!inodes.has((await this.stat()).ino)) {
      watched.count += 1;
      const error = fault(watched.count);
      if (error !== undefined) throw error;
    }
    return real.call(this);
  });
  onTestFinished(() => spy.mockRestore());
  return watched;
}

/** Until something that happens in the background is so. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await new Promise((resolve) => setImmediate(resolve));
}
