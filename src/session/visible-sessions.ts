import type { SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import { accessOf } from "../core/visibility.js";
import type { ListQuery } from "../storage/storage.js";
import type { Shell } from "./shell.js";

/** Which sessions to list. */
export interface SessionQuery extends ListQuery {
  /** Only those that the tools of this session may reach. `limit` counts those alone. */
  visibleTo?: SessionKey | string | undefined;
}

/** The sessions a query asks for that `requester` may reach, newest first. */
export async function* visibleSessions(
  { config, ledger }: Shell,
  requester: SessionKey,
  { limit = Number.POSITIVE_INFINITY, ...query }: ListQuery,
): AsyncGenerator<SessionRecord> {
  if (limit === 0) return;
  const { ancestors = [] } = (await ledger.storage.read(requester)) ?? {};
  const access = accessOf(config, { key: requester, ancestors });
  let left = limit;
  for await (const record of ledger.storage.list(query)) {
    if (!access(record).allowed) continue;
    yield record;
    left -= 1;
    if (left <= 0) return;
  }
}
