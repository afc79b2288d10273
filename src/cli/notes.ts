import type { StorageReport } from "../index.js";
import { complain } from "./complaint.js";
import type { Io } from "./io.js";

/** What the storage met and dealt with while a command ran, each kind told once however often it came. */
export class Notes {
  readonly #skipped = new Map<string, { lines: number; offset: number }>();
  readonly #texts: string[] = [];

  readonly onReport = (report: StorageReport): void => {
    if (report.kind === "line-skipped") {
      const { lines, offset } = this.#skipped.get(report.uuid) ?? { lines: 0, offset: report.offset };
      this.#skipped.set(report.uuid, { lines: lines + 1, offset });
    } else if (report.kind !== "index-rebuilt" || report.setAside !== undefined) {
      // An index that is merely not there yet is nobody's fault: a host that has just begun has written none.
      this.#texts.push(describe(report));
    }
  };

  print(io: Io): void {
    for (const text of this.#texts) complain(io, `note: ${text}`);
    for (const [uuid, { lines, offset }] of this.#skipped) {
      const what = lines === 1 ? "1 line" : `${lines} lines`;
      complain(
        io,
        `note: ${what} of ${uuid}.jsonl could not be read and were passed over, the first at byte ${offset}`,
      );
    }
  }
}

function describe(report: Exclude<StorageReport, { kind: "line-skipped" }>): string {
  switch (report.kind) {
    case "index-rebuilt":
      return `sessions.json was unreadable; it was set aside as ${report.setAside} and made again from the transcripts`;
    case "index-entries-refused":
      return `sessions.json has ${report.count} entries that name no session; they were passed over`;
    case "transcript-unclaimed":
      return `${report.uuid}.jsonl belongs to no session that can be told; it was left as it is`;
    case "transcript-missing":
      return `${report.uuid}.jsonl is named in sessions.json and is not there`;
    case "transcript-unreadable":
      return `${report.uuid}.jsonl could not be read (${String(report.error)})`;
    case "index-not-written":
      return `sessions.json could not be written (${String(report.error)}); it will be made again from the transcripts`;
    case "sync-failed":
      return `the disk did not confirm what was written (${String(report.error)}); check it before trusting it further`;
    case "log-not-written":
      return `the commit log could not be written (${String(report.error)}); each session is synced by itself, which is slower`;
    case "log-unsettled":
      return `${report.log} has bytes for ${report.uuid}.jsonl at ${report.offset} that do not fit there; both were left as they are`;
    case "gap-closed":
      return `${report.uuid}.jsonl lacked ${report.bytes} bytes at ${report.offset} after a power cut, never confirmed to anyone; empty lines stand there`;
  }
}
