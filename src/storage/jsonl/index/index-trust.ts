import type { OnReport } from "../../report.js";
import { Slices } from "../slices.js";
import type { KnownSession } from "../transcript/projection.js";
import type { IndexContent, IndexEntry } from "./index-file.js";

/**
 * What of an index is believed: the sessions of this agent that it names once. `known` are those it names without (all of)
 * their facts, by their transcripts.
 */
export async function trustedEntries(
  content: IndexContent,
  isOurs: (key: string) => boolean,
  report: OnReport,
): Promise<{ entries: IndexEntry[]; known: Map<string, KnownSession> }> {
  const entries = new Map<string, IndexEntry>();
  const known = new Map<string, KnownSession>();
  if (content.state !== "read") return { entries: [], known };
  // One transcript under two keys is its header's, and without a header nobody's.
  const named = new Set<string>();
  let refused = content.refused;
  const slices = new Slices();
  const take = (key: string, uuid: string, keep: () => void) => {
    if (!isOurs(key)) {
      refused += 1;
    } else if (named.has(uuid)) {
      refused += 1;
      if (entries.delete(uuid) || known.delete(uuid)) refused += 1;
    } else {
      named.add(uuid);
      keep();
    }
  };
  for (const entry of content.entries) {
    const { key, uuid } = entry.record;
    take(key, uuid, () => entries.set(uuid, entry));
    if (slices.over) await slices.rest();
  }
  for (const session of content.incomplete) {
    take(session.key, session.uuid, () => known.set(session.uuid, session));
    if (slices.over) await slices.rest();
  }
  if (refused > 0) report({ kind: "index-entries-refused", count: refused });
  return { entries: [...entries.values()], known };
}
