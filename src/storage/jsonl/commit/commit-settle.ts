import { constants } from "node:fs";
import { type FileHandle, open, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../../../errors.js";
import type { OnReport } from "../../report.js";
import { codeOf } from "../fault.js";
import { SAFELY } from "../layout.js";
import { inParallel } from "../slices.js";
import { isLiveHere } from "./commit-live.js";
import { type LogRecord, logToken, MAX_LINE, readLog } from "./commit-record.js";
import { readAt, restore } from "./commit-restore.js";
import { throwAll, withTranscript } from "./commit-sync.js";

interface SettleOptions {
  /** Where the logs are. */
  dir: string;
  /** The path of a session's transcript. */
  transcript(uuid: string): string;
  /**
   * Whether the writer of a log is gone for certain. `undefined`: the first line does not say who it is; such a log has
   * nothing to put back, so it only matters whether it is removed.
   */
  isDead(owner: unknown): Promise<boolean>;
  /** The token of this process's own logs, which are left alone. */
  ownToken: string;
  report: OnReport;
}

interface Settled {
  /** What transcripts lacked and have again. */
  restored: { uuid: string; bytes: number }[];
}

const AT_ONCE = 4;

/**
 * Puts back what transcripts lack after a power cut, from the logs that dead processes left, and removes those. Before it is
 * done nobody may append to a transcript. It can be done again, and by several processes at the same time: each writes
 * the same bytes to the same places, and a log is removed only when everything in it is on disk.
 *
 * Logs of living processes are passed over: while one lives, so does the system's memory of what it wrote.
 * @throws when something could not be put back. Then all logs that have it are still there.
 */
export async function settleLogs(options: SettleOptions): Promise<Settled> {
  const logs = await deadLogs(options);
  const bySession = new Map<string, FoundRecord[]>();
  for (const log of logs) {
    for (const record of log.records) {
      const found = bySession.get(record.uuid) ?? [];
      if (found.length === 0) bySession.set(record.uuid, found);
      found.push({ ...record, log });
    }
  }
  const restored: Settled["restored"] = [];
  const errors: unknown[] = [];
  await inParallel(bySession, AT_ONCE, async ([uuid, records]) => {
    try {
      const bytes = await settleSession(uuid, records, options);
      if (bytes > 0) restored.push({ uuid, bytes });
    } catch (error) {
      for (const { log } of records) log.unsettled = true;
      errors.push(error);
    }
  });
  for (const log of logs) if (!log.unsettled) await removeLog(log.path);
  throwAll(errors, "Some transcripts could not be given back what they lack.");
  return { restored };
}

interface DeadLog {
  name: string;
  path: string;
  records: LogRecord[];
  /** Something in it is neither in its transcript nor could be put there. */
  unsettled: boolean;
}

interface FoundRecord extends LogRecord {
  log: DeadLog;
}

async function settleSession(uuid: string, records: readonly FoundRecord[], options: SettleOptions): Promise<number> {
  const leave = ({ at, log }: FoundRecord) => {
    log.unsettled = true;
    options.report({ kind: "log-unsettled", log: log.name, uuid, offset: at });
  };
  try {
    const bytes = await withTranscript(options.transcript(uuid), (file) =>
      restore(file, records, {
        leave,
        closedGap: (offset, length) => options.report({ kind: "gap-closed", uuid, offset, bytes: length }),
      }),
    );
    // Deleted, and so is what the logs have of it.
    return bytes ?? 0;
  } catch (error) {
    // A link or a directory in its place: nothing is written through it.
    if (codeOf(error) !== "ELOOP" && codeOf(error) !== "EISDIR") throw error;
    for (const record of records) leave(record);
    return 0;
  }
}

async function deadLogs({ dir, isDead, ownToken }: SettleOptions): Promise<DeadLog[]> {
  const logs: DeadLog[] = [];
  for (const name of await namesIn(dir)) {
    const token = logToken(name);
    if (token === undefined || token === ownToken || isLiveHere(token)) continue;
    const path = join(dir, name);
    const records = await recordsOfDead(path, isDead);
    if (records !== undefined) logs.push({ name, path, records, unsettled: false });
  }
  return logs;
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).sort();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** What stands in a log whose writer is dead; `undefined` when he lives, or when someone else has settled and removed it. */
async function recordsOfDead(path: string, isDead: SettleOptions["isDead"]): Promise<LogRecord[] | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | SAFELY);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
  try {
    if (!(await file.stat()).isFile()) {
      throw new StorageError("Something that is no file stands in the place of a commit log.", {
        operation: "storage.open",
      });
    }
    const head = Buffer.alloc(MAX_LINE);
    const { bytesRead } = await file.read(head, 0, head.length, 0);
    const { owner } = readLog(head.subarray(0, bytesRead));
    if (!(await isDead(owner))) return undefined;
    // Only now: a living one writes on.
    return readLog(await readAt(file, 0, (await file.stat()).size)).records;
  } finally {
    await file.close();
  }
}

async function removeLog(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    // Someone else settled it too.
    if (codeOf(error) !== "ENOENT") throw error;
  }
}
