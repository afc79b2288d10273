import type { OnReport } from "../../report.js";
import type { Durability } from "../durability.js";
import type { After, Commits } from "./commit-contract.js";
import { DelayedCommits } from "./commit-delayed.js";
import { GroupedCommits } from "./commit-grouped.js";

export type { Commits, SyncableFile, Written } from "./commit-contract.js";
export { settleLogs } from "./commit-settle.js";

interface CommitOptions {
  /** Where logs go; it must be there before the first commit. */
  dir: string;
  durability: Durability;
  /** Names this writer's logs; no other one ever has the same. */
  token: string;
  /** Who this process is, as JSON, so that others can tell when it is dead. Stands in the first line of each log. */
  owner: unknown;
  report: OnReport;
  after?: After | undefined;
}

export function openCommits(options: CommitOptions): Commits {
  const { durability, after = unattended, report } = options;
  if (durability === "always") return new GroupedCommits({ ...options, after });
  if (durability === "batch") return new DelayedCommits({ after, report });
  return { commit: () => undefined, close: () => Promise.resolve() };
}

function unattended(milliseconds: number, run: () => void): () => void {
  const timer = setTimeout(run, milliseconds);
  timer.unref();
  return () => clearTimeout(timer);
}
