import { isEntryOf, isMessageEntry, type MessageEntry, type TranscriptEntry } from "../../core/entry.js";
import type { SessionRecord } from "../../core/record.js";
import type { Shell } from "../shell.js";
import { showsAnything } from "./history-view.js";

/** Some messages of a session, and whether there are earlier ones. */
export interface HistoryPage {
  messages: MessageEntry[];
  more: boolean;
}

/**
 * The last messages since the last clear, before the one with id `before` if given. `undefined` when there is no such message. Read
 * from the end, twice as far each time, so that a long history costs no more than the page.
 */
export async function lastMessages(
  { ledger }: Shell,
  { uuid }: SessionRecord,
  options: { limit: number; includeTools: boolean; before?: string | undefined },
): Promise<HistoryPage | undefined> {
  const { limit, includeTools, before } = options;
  for (let reach = limit + 16; ; reach *= 2) {
    const entries: TranscriptEntry[] = [];
    for await (const entry of ledger.storage.entries(uuid, { last: reach })) entries.push(entry);
    const clear = entries.findLastIndex((entry) => isEntryOf(entry, "clear"));
    const inForce = entries.slice(clear + 1).filter((entry): entry is MessageEntry => isMessageEntry(entry));
    const end = before === undefined ? inForce.length : inForce.findIndex(({ id }) => id === before);
    const shown = inForce.slice(0, Math.max(0, end)).filter((message) => isShown(message, includeTools));
    const isAll = clear >= 0 || entries.length < reach;
    if (isAll && end < 0) return undefined;
    if (isAll || shown.length > limit) return { messages: shown.slice(-limit), more: shown.length > limit };
  }
}

function isShown(message: MessageEntry, includeTools: boolean): boolean {
  return message.cleared !== true && showsAnything(message, includeTools);
}
