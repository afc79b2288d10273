import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach } from "vitest";
import { OwnerLock } from "../../../../src/storage/jsonl/lock/owner-lock.js";
import { ownIdentity, type ProcessIdentity } from "../../../../src/storage/jsonl/lock/process-identity.js";
import { type VirtualLockClock, virtualLockClock } from "./virtual-lock-clock.js";

/** Whether the system tells processes apart by more than their number. */
export const hasProc = existsSync("/proc/self/stat");

/** How long a silent holder of whom nothing can be known keeps its lock. */
export const LEASE = 90_000;

export type Holder = Partial<ProcessIdentity> & { token?: unknown; released?: boolean };

interface Wish {
  path?: string | undefined;
  clock?: VirtualLockClock;
  signal?: AbortSignal;
  token?: string;
}

/** A directory with a place for a lock, made anew for each test; what a test leaves held is let go after it. */
export function lockPlace() {
  let dir = "";
  let held: OwnerLock[] = [];
  const pathOf = () => join(dir, "a.jsonl.lock");
  const place = {
    get dir() {
      return dir;
    },
    get path() {
      return pathOf();
    },
    get scratch() {
      return join(dir, "scratch");
    },
    /** Acquires it by the clock of the test, and says what time it was then. */
    async acquire(options: Wish = {}): Promise<{ lock: OwnerLock; at: number }> {
      const { path = pathOf(), clock = virtualLockClock(), signal, token = randomUUID() } = options;
      const lock = await OwnerLock.acquire(path, { scratch: join(dir, "scratch"), token, clock, signal });
      held.push(lock);
      return { lock, at: clock.now() };
    },
    /** Waits until the given time by its own clock. */
    async waitFor(options: { until: number; path?: string; clock?: VirtualLockClock }): Promise<"taken" | "gave up"> {
      const clock = options.clock ?? virtualLockClock();
      const giveUp = new AbortController();
      clock.at(options.until, () => giveUp.abort("gave up"));
      try {
        await place.acquire({ ...options, clock, signal: giveUp.signal });
        return "taken";
      } catch (error) {
        if (error === "gave up") return error;
        throw error;
      }
    },
    plant(holder: Holder | string, path = pathOf()) {
      writeFileSync(path, typeof holder === "string" ? holder : `${JSON.stringify(holder)}\n`);
    },
    /** A lock that says it is held by this thread, changed as told. */
    async mine(changes: Holder = {}): Promise<Holder> {
      const { host, boot, pidns, pid, start, thread } = await ownIdentity();
      return { host, boot, pidns, pid, start, thread, token: randomUUID(), ...changes };
    },
    contentOf: (path = pathOf()) => JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>,
    /** What lies beside the lock. */
    scratchFiles: () => readdirSync(place.scratch),
  };
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "sessions-lock-"));
    mkdirSync(place.scratch);
  });
  afterEach(async () => {
    await Promise.allSettled(held.map((lock) => lock.release()));
    held = [];
    rmSync(dir, { recursive: true, force: true });
  });
  return place;
}

/** The number of a process that has ended. */
export function deadPid(): number {
  return Number(execFileSync(process.execPath, ["-p", "process.pid"], { encoding: "utf8" }));
}

/** The digits of a process's start as /proc has them. */
export function startOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "latin1");
  return Number(text.slice(text.lastIndexOf(")") + 2).split(" ")[19]);
}
