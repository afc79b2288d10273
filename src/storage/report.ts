/** Something a storage met and dealt with, which an operator may want to know. */
export type StorageReport =
  | { kind: "line-skipped"; uuid: string; offset: number; line: number }
  | { kind: "index-rebuilt"; setAside: string | undefined; sessions: number }
  | { kind: "index-entries-refused"; count: number }
  | { kind: "transcript-unclaimed"; uuid: string }
  | { kind: "transcript-missing"; uuid: string }
  /** It is left out until it can be read again; sessions that are known stay listed as they were known. */
  | { kind: "transcript-unreadable"; uuid: string; error: unknown }
  | { kind: "index-not-written"; error: unknown }
  /** A sync in the background failed. With `durability: "always"` what was acknowledged is still safe in a log. */
  | { kind: "sync-failed"; error: unknown }
  /** The log that makes many sessions safe with one sync could not be written: each is synced by itself, which is slower. */
  | { kind: "log-not-written"; error: unknown }
  /** After a power cut a log has bytes that their transcript has not, and that do not fit there. The log is left in place. */
  | { kind: "log-unsettled"; log: string; uuid: string; offset: number }
  /** After a power cut bytes were missing that nobody had been told were safe; empty lines stand in their place. */
  | { kind: "gap-closed"; uuid: string; offset: number; bytes: number };

export type OnReport = (report: StorageReport) => void;

/** Hands reports on to whoever wants them. Some come from work in the background, where an error would end the process. */
export function undisturbed(onReport: OnReport): OnReport {
  return (report) => {
    try {
      onReport(report);
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error));
    }
  };
}
