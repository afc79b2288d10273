import type { OnReport } from "../../report.js";
import { settleLogs } from "../commit/commits.js";
import { type AgentLayout, isThere } from "../layout.js";
import { sweepScratch } from "../lock/lock-takeover.js";

interface ClearUpOptions {
  token: string;
  isDead(identity: unknown, dir: string): Promise<boolean>;
  report: OnReport;
}

/**
 * Deals with what processes left behind that died: gives transcripts back what a power cut took from them and a log still
 * has, and removes leftovers of claims. Done before anything of an agent is read.
 */
export async function clearUp(layout: AgentLayout, { token, isDead, report }: ClearUpOptions): Promise<void> {
  if (!(await isThere(layout.journal))) return;
  if (await isThere(layout.claims)) await sweepScratch(layout.claims);
  await settleLogs({
    dir: layout.journal,
    transcript: (uuid) => layout.transcript(uuid),
    isDead: (owner) => isDead(owner, layout.journal),
    ownToken: token,
    report,
  });
}
