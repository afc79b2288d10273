import { createHash, randomUUID } from "node:crypto";
import { readdir, rename, rm, rmdir, unlink } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { codeOf } from "../fault.js";
import { HeldLock, unlinkIfThere } from "./held-lock.js";
import { type LockClock, systemLockClock } from "./lock-clock.js";
import { type FoundLock, findLock } from "./lock-found.js";
import { liveTokens, verdictOn } from "./lock-verdict.js";
import { ownIdentity } from "./process-identity.js";

/** How long a holder of whom nothing can be known has to be silent before it is taken for dead. */
export const LEASE_MS = 90_000;

// The time between two looks counts for no more than this: who was asleep in it cannot tell whether the holder was not, too.
const LONGEST_LOOK_MS = 1000;

const TOKEN = /^[\w-]{1,64}$/;
// A lock file is read up to a limit, and must not outgrow it.
const LONGEST_KEY = 1000;
const ABANDONED_MS = 3_600_000;

/** One who wants locks: makes them where nothing stands, and clears away those of the dead. */
export class LockTaker {
  readonly #scratch: string;
  readonly #clock: LockClock;
  /** The locks met so far of whose holders nothing can be known, and how long each was seen untouched. */
  readonly #watched = new Map<string, { version: string; at: number; silent: number }>();

  constructor(scratch: string, clock: LockClock) {
    this.#scratch = scratch;
    this.#clock = clock;
  }

  /** @returns undefined while someone who may live has it. */
  async take(path: string, token: string, key?: string): Promise<HeldLock | undefined> {
    if (!TOKEN.test(token)) throw new TypeError("The token of a lock is made of letters, digits, _ and -, at most 64.");
    for (;;) {
      const text = await contentFor(token, key);
      const held = await HeldLock.create(path, text, this.#temporary(path, token));
      if (held !== undefined) return held;
      if (!(await this.clear(path))) return undefined;
    }
  }

  /**
   * Takes away the lock of a dead holder. Only who has the lock beside it may: then nothing else can remove the file
   * between the last look at it and its removal, so that it is not the next holder's file that goes. The lock beside it
   * is one like any other, so that a death in here is cleared away in the same manner.
   * @returns false while someone who may live has the lock, or is clearing it away.
   */
  async clear(path: string): Promise<boolean> {
    const found = await findLock(path);
    if (found === undefined) return true;
    if (!(await this.#isDead(path, found))) return false;
    const token = randomUUID();
    liveTokens().add(token);
    try {
      const guard = await this.take(join(this.#scratch, `${this.#nameFor(path)}.break`), token);
      if (guard === undefined) return false;
      const since = this.#clock.now();
      try {
        const still = (await findLock(path))?.version === found.version;
        // Who was stopped in between may have lost the guard to another one.
        const mayRemove = guard.isThere() && this.#clock.now() - since < LEASE_MS / 2;
        if (still && mayRemove) await this.#remove(path, found);
      } finally {
        await guard.remove();
      }
    } finally {
      liveTokens().delete(token);
    }
    return true;
  }

  async #isDead(path: string, found: FoundLock): Promise<boolean> {
    const verdict = await verdictOn(found.holder, await ownIdentity(), this.#scratch);
    if (verdict !== "unknown") return verdict === "dead";
    const at = this.#clock.now();
    const before = this.#watched.get(path);
    const silent = before?.version === found.version ? before.silent + Math.min(at - before.at, LONGEST_LOOK_MS) : 0;
    this.#watched.set(path, { version: found.version, at, silent });
    return silent >= LEASE_MS;
  }

  async #remove(path: string, found: FoundLock): Promise<void> {
    try {
      if (found.isDirectory) await this.#removeDirectory(path);
      else await unlink(path);
    } catch (error) {
      // Gone, or no longer what it was: the next look tells.
      if (!["ENOENT", "ENOTDIR", "EISDIR"].includes(codeOf(error) ?? "")) throw error;
    }
    const token = found.holder?.token;
    if (typeof token === "string" && TOKEN.test(token)) await unlinkIfThere(this.#temporary(path, token));
  }

  async #removeDirectory(path: string): Promise<void> {
    try {
      await rmdir(path);
    } catch (error) {
      if (!["ENOTEMPTY", "EEXIST"].includes(codeOf(error) ?? "")) throw error;
      const grave = join(this.#scratch, `${randomUUID()}.grave`);
      await rename(path, grave);
      await rm(grave, { recursive: true, force: true });
    }
  }

  #temporary(path: string, token: string): string {
    return join(this.#scratch, `${token}.${this.#nameFor(path)}.tmp`);
  }

  // From the scratch directory, because another host or container may see the same files under other paths.
  #nameFor(path: string): string {
    const place = relative(this.#scratch, path).split(sep).join("/");
    return createHash("sha256").update(place).digest("hex").slice(0, 32);
  }
}

/** Removes what those who died left behind in the directory for temporaries. */
export async function sweepScratch(scratch: string, clock: LockClock = systemLockClock): Promise<void> {
  const taker = new LockTaker(scratch, clock);
  for (const name of await readdir(scratch)) {
    const path = join(scratch, name);
    if (/^[\da-f]{32}\.break$/.test(name)) await taker.clear(path);
    else if (/^[\da-f-]{36}\.grave$/.test(name)) await rm(path, { recursive: true, force: true });
    else if (/^[\w-]{1,64}\.[\da-f]{32}\.tmp$/.test(name) && (await isAbandoned(path, scratch)))
      await unlinkIfThere(path);
  }
}

// One that is swept away while it is in use is made again by its owner.
async function isAbandoned(path: string, scratch: string): Promise<boolean> {
  const found = await findLock(path);
  if (found === undefined) return false;
  const verdict = await verdictOn(found.holder, await ownIdentity(), scratch);
  if (verdict !== "unknown") return verdict === "dead";
  return Date.now() - found.touched > ABANDONED_MS;
}

async function contentFor(token: string, key: string | undefined): Promise<string> {
  const { host, boot, pidns, pid, start, thread, task } = await ownIdentity();
  const since = new Date().toISOString();
  const shown = key?.slice(0, LONGEST_KEY);
  const holder = { host, boot, pidns, pid, start, thread, task: task ?? undefined, token, since, key: shown };
  return `${JSON.stringify(holder)}\n`;
}
