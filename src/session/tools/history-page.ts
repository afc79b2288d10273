import { isEntryOf, isMessageEntry, type MessageEntry } from "../../core/entry.js";
import { showsAnything } from "../../core/history-view.js";
import type { SessionRecord } from "../../core/record.js";
import type { Shell } from "../shell.js";

/** Some messages of a session, and whether there are earlier ones. */
export interface HistoryPage {
  messages: MessageEntry[];
  more: boolean;
}

/**
 * The last messages since the last clear, before the one with id `before` if given. `undefined` when there is no such message. No more
 * than the page is kept while it is looked for, however long the history.
 */
export async function lastMessages(
  { ledger }: Shell,
  { uuid }: SessionRecord,
  options: { limit: number; includeTools: boolean; before?: string | undefined },
): Promise<HistoryPage | undefined> {
  const { limit, includeTools, before } = options;
  const found = await ledger.lookBack<{ page?: HistoryPage }>(uuid, limit + 16, async (entries, isWhole) => {
    let shown: MessageEntry[] = [];
    let isCleared = false;
    let isAtEnd = false;
    for await (const entry of entries) {
      if (isEntryOf(entry, "clear")) {
        isCleared = true;
        isAtEnd = false;
        shown = [];
      } else if (isMessageEntry(entry)) {
        isAtEnd ||= entry.id === before;
        if (isAtEnd || !isShown(entry, includeTools)) continue;
        shown.push(entry);
        // One more than is shown says that there are more.
        if (shown.length > limit + 1) shown.shift();
      }
    }
    const isAll = isCleared || isWhole();
    if (before !== undefined && !isAtEnd) return isAll ? {} : undefined;
    if (shown.length <= limit && !isAll) return undefined;
    return { page: { messages: shown.slice(-limit), more: shown.length > limit } };
  });
  return found?.page;
}

function isShown(message: MessageEntry, includeTools: boolean): boolean {
  return message.cleared !== true && showsAnything(message, includeTools);
}
