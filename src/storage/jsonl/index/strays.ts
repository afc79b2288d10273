import { lstat } from "node:fs/promises";
import { parseSessionKey, type SessionKey } from "../../../core/key.js";
import type { OnReport } from "../../report.js";
import { codeOf } from "../fault.js";
import { type AgentLayout, isThere } from "../layout.js";
import { inParallel, Slices } from "../slices.js";
import { fromTranscript, type KnownSession, type OnSkipped } from "../transcript/projection.js";
import type { Transcript } from "../transcript/transcript.js";
import type { IndexEntry } from "./index-file.js";

// Files looked at together: enough to keep the disk busy, far from the limit on open files.
const AT_ONCE = 32;

interface StrayOptions {
  agentId: string;
  transcript(uuid: string): Transcript;
  /** What an index says of them, for those that do not say it themselves. */
  known: ReadonlyMap<string, KnownSession>;
  onSkipped: OnSkipped;
  /** Those of which it has been said already that they cannot be read. */
  told: ReadonlySet<string>;
  report: OnReport;
}

/** Reads transcripts that nobody has told of. The one last active first: of two of one key, it has it. */
export async function readStrays(
  uuids: Iterable<string>,
  options: StrayOptions,
): Promise<{ found: IndexEntry[]; unread: string[] }> {
  const found: IndexEntry[] = [];
  const unread: string[] = [];
  await inParallel(uuids, AT_ONCE, async (uuid) => {
    const entry = await readStray(uuid, options);
    if (entry === "unreadable") unread.push(uuid);
    else if (entry !== undefined) found.push(entry);
  });
  found.sort((a, b) => (a.record.lastActive < b.record.lastActive ? 1 : -1));
  return { found, unread };
}

async function readStray(uuid: string, options: StrayOptions): Promise<IndexEntry | "unreadable" | undefined> {
  const { agentId, known, onSkipped, report } = options;
  const transcript = options.transcript(uuid);
  try {
    // A link, a pipe or a directory in a transcript's place is not opened.
    const isFile = (await lstat(transcript.path)).isFile();
    const read = isFile ? await fromTranscript(transcript, uuid, known.get(uuid), onSkipped) : undefined;
    if (read !== undefined && parseSessionKey(read.entry.record.key).agentId === agentId) return read.entry;
    report({ kind: "transcript-unclaimed", uuid });
  } catch (error) {
    // One that was removed meanwhile is nothing to tell; one that cannot be read must not take the others with it.
    if (codeOf(error) === "ENOENT") return undefined;
    if (!options.told.has(uuid)) report({ kind: "transcript-unreadable", uuid, error });
    return "unreadable";
  }
  return undefined;
}

/** Sessions whose transcript is not there, and was not left without its name by whoever made it. */
export async function* withoutFile(
  sessions: Iterable<[SessionKey, string]>,
  onDisk: ReadonlySet<string>,
  layout: AgentLayout,
  whereAllowed: (work: () => Promise<unknown>) => Promise<unknown>,
): AsyncGenerator<[SessionKey, string]> {
  const slices = new Slices();
  for (const [key, uuid] of sessions) {
    if (slices.over) await slices.rest();
    if (onDisk.has(uuid) || (await isThere(layout.transcript(uuid)))) continue;
    await whereAllowed(() => layout.giveName(uuid));
    if (!(await isThere(layout.transcript(uuid)))) yield [key, uuid];
  }
}
