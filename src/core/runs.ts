import {
  isEntryOf,
  isMessageEntry,
  type RunEntry,
  type SpawnEndEntry,
  type SpawnEntry,
  type TranscriptEntry,
} from "./entry.js";
import type { SessionKey } from "./key.js";
import { sumUsage, type Usage } from "./message.js";

/** A sub-agent of a session that has not ended. */
export interface LiveSubagent {
  key: SessionKey;
  run: string;
  mode: SpawnEntry["mode"];
  label?: string;
  cleanup?: "delete";
  /** The session has been cleared since it was spawned: what becomes of it is no part of the new conversation. */
  cleared?: true;
}

/** A sub-agent that has ended. */
export type EndedSubagent = Pick<LiveSubagent, "key" | "run">;

/** An accepted message of another session whose turn has not begun. */
export interface WaitingRun {
  run: string;
  /** It tells what became of a sub-agent. */
  result?: true;
  /** The session has been cleared since it was accepted: it belongs to what was cleared. */
  cleared?: true;
}

/** What a record keeps of messages between sessions. */
export interface RunFacts {
  /** Accepted messages of other sessions whose turns have not begun. */
  waiting: WaitingRun[];
  /** Sub-agents that have not ended. */
  subagents: LiveSubagent[];
  /** Those that have ended, were not to be kept, and are not deleted yet. */
  toDelete: EndedSubagent[];
  usageTotal: Required<Usage>;
}

/** Carries what waits and what lives over one entry. The same object where nothing changes. */
export function foldRuns<F extends RunFacts>(facts: F, entry: TranscriptEntry): F {
  if (isMessageEntry(entry)) return begun(facts, entry.provenance?.run);
  // One that was stopped before it began has an end and no message.
  if (isEntryOf(entry, "turn")) return begun(facts, entry.of);
  if (isEntryOf(entry, "run")) return { ...facts, waiting: [...facts.waiting, waitingOf(entry)] };
  if (isEntryOf(entry, "spawn")) return { ...facts, subagents: [...facts.subagents, liveOf(entry)] };
  if (isEntryOf(entry, "spawn-end")) return ended(facts, entry);
  if (isEntryOf(entry, "spawn-deleted"))
    return { ...facts, toDelete: facts.toDelete.filter(({ run }) => run !== entry.run) };
  return isEntryOf(entry, "clear") ? cleared(facts) : facts;
}

function ended<F extends RunFacts>(facts: F, { run, usage }: SpawnEndEntry): F {
  const subagent = facts.subagents.find((live) => live.run === run);
  // A second end changes nothing, also not the bill.
  if (subagent === undefined) return facts;
  const { key, cleanup } = subagent;
  return {
    ...facts,
    subagents: facts.subagents.filter((live) => live !== subagent),
    toDelete: cleanup === "delete" ? [...facts.toDelete, { key, run }] : facts.toDelete,
    usageTotal: usage === undefined ? facts.usageTotal : sumUsage(facts.usageTotal, usage),
  };
}

function cleared<F extends RunFacts>(facts: F): F {
  const { waiting, subagents } = facts;
  if (waiting.length + subagents.length === 0) return facts;
  const mark = <T>(one: T) => ({ ...one, cleared: true as const });
  return { ...facts, waiting: waiting.map(mark), subagents: subagents.map(mark) };
}

/** An accepted message, while its turn has not begun. */
export function waitingRun({ waiting }: Pick<RunFacts, "waiting">, run: string): WaitingRun | undefined {
  return waiting.find((one) => one.run === run);
}

function begun<F extends RunFacts>(facts: F, run: string | undefined): F {
  if (run === undefined || waitingRun(facts, run) === undefined) return facts;
  return { ...facts, waiting: facts.waiting.filter((one) => one.run !== run) };
}

function waitingOf({ id: run, provenance }: RunEntry): WaitingRun {
  return { run, ...(provenance.kind === "sub-agent" ? { result: true } : {}) };
}

function liveOf({ child: key, run, mode, label, cleanup }: SpawnEntry): LiveSubagent {
  return {
    ...{ key, run, mode },
    ...(label === undefined ? {} : { label }),
    ...(cleanup === undefined ? {} : { cleanup }),
  };
}
