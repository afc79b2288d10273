import { readlinkSync } from "node:fs";
import { readFile, readlink } from "node:fs/promises";
import { hostname } from "node:os";
import { basename } from "node:path";
import { isMainThread, threadId } from "node:worker_threads";
import { codeOf } from "../fault.js";

/** What tells a process apart from every other one, also from one that gets its number later. Null: not to be had here. */
export interface ProcessIdentity {
  readonly host: string;
  /** The run of the kernel: another one after each boot. */
  readonly boot: string | null;
  /** The namespace that `pid` counts in: in containers, each has a process 1. */
  readonly pidns: string | null;
  readonly pid: number;
  /** When the process started, in ticks since boot. */
  readonly start: number | null;
  readonly thread: number;
  /** The thread as the system knows it, and when it started. The main thread has none: it lives as long as its process. */
  readonly task: Task | null;
}

export interface Task {
  readonly id: number;
  readonly start: number;
}

/** `unknown`: a process of that number is there, and whether it is the one meant cannot be seen. */
export type Liveness = "alive" | "dead" | "unknown";

interface Self extends ProcessIdentity {
  /** Whether /proc counts as `pid` does: a namespace can be entered without a /proc of its own. */
  readonly procIsOurs: boolean;
}

let self: Promise<Self> | undefined;

export function ownIdentity(): Promise<ProcessIdentity> {
  return readOnce();
}

/** Whether the process that had this number since `start` still runs. Only for numbers of our own namespace. */
export async function livenessOf(pid: number, start: number | null): Promise<Liveness> {
  if (!exists(pid)) return "dead";
  if (start === null || !(await readOnce()).procIsOurs) return "unknown";
  const stat = await statOf(String(pid));
  // A /proc that hides the processes of others says the same as one where this process has just ended.
  if (stat === undefined) return exists(pid) ? "unknown" : "dead";
  return stat.start === start && !stat.ended ? "alive" : "dead";
}

/** Whether a thread of a process that lives, and whose /proc entry can be seen, still runs. */
export async function livenessOfTask(pid: number, task: Task): Promise<Liveness> {
  const stat = await statOf(`${pid}/task/${task.id}`);
  return stat?.start === task.start && !stat.ended ? "alive" : "dead";
}

function readOnce(): Promise<Self> {
  self ??= readSelf().catch((error: unknown) => {
    self = undefined;
    throw error;
  });
  return self;
}

async function readSelf(): Promise<Self> {
  const [boot, pidns, stat] = await Promise.all([
    ifThere(readFile("/proc/sys/kernel/random/boot_id", "utf8")),
    ifThere(readlink("/proc/self/ns/pid")),
    statOf("self"),
  ]);
  const procIsOurs = stat?.pid === process.pid;
  return {
    host: hostname(),
    boot: boot?.trim() || null,
    pidns: pidns ?? null,
    pid: process.pid,
    start: stat?.start ?? null,
    thread: threadId,
    task: isMainThread || !procIsOurs ? null : await ownTask(),
    procIsOurs,
  };
}

async function ownTask(): Promise<Task | null> {
  // Must be asked by this very thread: the asynchronous calls run on others.
  const id = Number(basename(readlinkSync("/proc/thread-self")));
  const stat = await statOf(`self/task/${id}`);
  return stat === undefined ? null : { id, start: stat.start };
}

async function statOf(process: string): Promise<{ pid: number; start: number; ended: boolean } | undefined> {
  const text = await ifThere(readFile(`/proc/${process}/stat`, "latin1"));
  if (text === undefined) return undefined;
  // The second field is the name of the program in parentheses, and may hold spaces and parentheses itself.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [state, threads, start] = [fields[0], Number(fields[17]), Number(fields[19])];
  if (state === undefined || !Number.isSafeInteger(start)) return undefined;
  // Killed, but nobody has taken notice of its end (a container's process 1 seldom does). While it has other threads,
  // one of them may still be in a write.
  const ended = (state === "Z" || state === "X") && threads <= 1;
  return { pid: Number.parseInt(text, 10), start, ended };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and belongs to someone else.
    return codeOf(error) !== "ESRCH";
  }
}

async function ifThere(read: Promise<string>): Promise<string | undefined> {
  try {
    return await read;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ESRCH", "EACCES", "EPERM"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}
