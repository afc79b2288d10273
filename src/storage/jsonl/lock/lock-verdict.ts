import { statfs } from "node:fs/promises";
import type { LockHolder } from "./lock-found.js";
import { type Liveness, livenessOf, livenessOfTask, type ProcessIdentity, type Task } from "./process-identity.js";

// ext2 to ext4, xfs, btrfs, f2fs, zfs, tmpfs, overlayfs: in use by one kernel at a time.
const LOCAL_FILE_SYSTEMS = new Set([0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x2fc12fc1, 0x01021994, 0x794c7630]);

const MAX_PID = 0x7fff_ffff;

/**
 * Whether the holder of a lock still runs, as far as that can be told without watching it. `dead` is a proof: when in
 * doubt it is `unknown`.
 */
export async function verdictOn(holder: LockHolder | undefined, own: ProcessIdentity, dir: string): Promise<Liveness> {
  if (holder === undefined) return "unknown";
  if (holder.released === true) return "dead";
  const pid = holder.pid;
  if (typeof pid !== "number" || !Number.isInteger(pid) || pid < 1 || pid > MAX_PID) return "unknown";
  const boot = holder.boot ?? null;
  const pidns = holder.pidns ?? null;
  if (own.boot !== null && own.pidns !== null && boot === own.boot && pidns === own.pidns)
    return sameNamespace(holder, pid, own);
  if (holder.host !== own.host) return "unknown";
  // Hosts of one name can share a network directory, so that the name alone proves no reboot.
  if (own.boot !== null && typeof boot === "string" && boot !== own.boot)
    return (await isLocal(dir)) ? "dead" : "unknown";
  // An older format, or a system without /proc: a process that is not there is dead, one that is there may be another.
  const comparable = (boot === null || boot === own.boot) && (pidns === null || pidns === own.pidns);
  if (!comparable) return "unknown";
  if (own.boot === null && pid === own.pid && holder.thread === own.thread) return ofThisThread(holder);
  return (await livenessOf(pid, null)) === "dead" ? "dead" : "unknown";
}

async function sameNamespace(holder: LockHolder, pid: number, own: ProcessIdentity): Promise<Liveness> {
  const start = typeof holder.start === "number" ? holder.start : null;
  const thread = typeof holder.thread === "number" ? holder.thread : undefined;
  if (pid === own.pid && thread === own.thread) return ofThisThread(holder);
  const process = await livenessOf(pid, start);
  if (process !== "alive" || thread === 0) return process;
  // The main thread lives as long as its process; another one can have ended before it.
  const task = taskIn(holder.task);
  return task === undefined ? "unknown" : livenessOfTask(pid, task);
}

function taskIn(value: unknown): Task | undefined {
  if (typeof value !== "object" || value === null || !("id" in value && "start" in value)) return undefined;
  const { id, start } = value;
  return Number.isSafeInteger(id) && Number.isSafeInteger(start) ? (value as Task) : undefined;
}

// A token that this thread does not hold is left from before: by it, or by a process that had its number.
function ofThisThread({ token }: LockHolder): Liveness {
  return typeof token === "string" && liveTokens().has(token) ? "alive" : "dead";
}

async function isLocal(dir: string): Promise<boolean> {
  return LOCAL_FILE_SYSTEMS.has((await statfs(dir)).type);
}

const LIVE_TOKENS = Symbol.for("openclaw-sessions.claims");

/** The tokens that this thread holds locks with. An application can end up with two builds of the library in it. */
export function liveTokens(): Set<string> {
  const shared = globalThis as { [LIVE_TOKENS]?: Set<string> };
  shared[LIVE_TOKENS] ??= new Set();
  return shared[LIVE_TOKENS];
}
