/** Something a storage met and dealt with, which an operator may want to know. */
export type StorageReport =
  | { kind: "line-skipped"; uuid: string; offset: number; line: number }
  | { kind: "index-rebuilt"; setAside: string | undefined; sessions: number }
  | { kind: "index-entries-refused"; count: number }
  | { kind: "transcript-unclaimed"; uuid: string }
  | { kind: "transcript-missing"; uuid: string }
  | { kind: "index-not-written"; error: unknown };

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
