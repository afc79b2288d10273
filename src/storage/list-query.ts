import { parseSessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import { isCanonicalTime } from "../core/time.js";
import type { ListQuery } from "./storage.js";

/**
 * The records a query asks for, newest first; records of the same time in the order of their keys. For the `list` of a storage
 * that has all its records at hand.
 */
export function selectRecords(records: Iterable<SessionRecord>, query: ListQuery = {}): SessionRecord[] {
  const { agentId, activeSince = Number.NEGATIVE_INFINITY, limit = Number.POSITIVE_INFINITY } = query;
  const since = activeSince === Number.NEGATIVE_INFINITY ? "" : isoTime(activeSince);
  let wanted: Dated[] = [];
  let last: Dated | undefined;
  for (const record of records) {
    const time = timeOf(record);
    if (time < since || (agentId !== undefined && parseSessionKey(record.key).agentId !== agentId)) continue;
    const dated = { record, time };
    if (last !== undefined && newestFirst(last, dated) <= 0) continue;
    wanted.push(dated);
    // A few of very many are found without sorting all of them.
    if (wanted.length < limit * 2 + ROOM) continue;
    wanted = wanted.sort(newestFirst).slice(0, limit);
    last = wanted.at(-1);
  }
  return wanted
    .sort(newestFirst)
    .slice(0, limit)
    .map(({ record }) => record);
}

const ROOM = 256;

interface Dated {
  record: SessionRecord;
  time: string;
}

// Other tools write times in other forms, or none that can be read: those come last.
function timeOf({ lastActive }: SessionRecord): string {
  return isCanonicalTime(lastActive) ? lastActive : isoTime(Date.parse(lastActive));
}

// Beyond the years that have four digits, text and time do not compare alike; nobody was active then.
function isoTime(time: number): string {
  if (Number.isNaN(time)) return "";
  return new Date(Math.min(Math.max(time, FIRST_TIME), LAST_TIME)).toISOString();
}

const FIRST_TIME = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_TIME = Date.parse("9999-12-31T23:59:59.999Z");

function newestFirst(a: Dated, b: Dated): number {
  if (a.time !== b.time) return a.time < b.time ? 1 : -1;
  return a.record.key < b.record.key ? -1 : 1;
}
