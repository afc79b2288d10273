import { parseSessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import type { ListQuery } from "./storage.js";

/** The records a query asks for, newest first; records of the same time in the order of their keys. */
export function selectRecords(records: Iterable<SessionRecord>, query: ListQuery = {}): SessionRecord[] {
  const { agentId, activeSince = Number.NEGATIVE_INFINITY, limit = Number.POSITIVE_INFINITY } = query;
  const wanted: { record: SessionRecord; time: number }[] = [];
  for (const record of records) {
    const parsed = Date.parse(record.lastActive);
    // Other tools may write no time, or none that can be read.
    const time = Number.isNaN(parsed) ? Number.NEGATIVE_INFINITY : parsed;
    if (time < activeSince || (agentId !== undefined && parseSessionKey(record.key).agentId !== agentId)) continue;
    wanted.push({ record, time });
  }
  wanted.sort((a, b) => b.time - a.time || (a.record.key < b.record.key ? -1 : 1));
  return wanted.slice(0, limit).map(({ record }) => record);
}
