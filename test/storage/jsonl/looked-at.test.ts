import { expect, test } from "vitest";
import type { SessionKey } from "../../../src/core.js";
import { Ownership } from "../../../src/storage/jsonl/index/ownership.js";
import { tempDir } from "../storage-kinds.js";

const KEY = "agent:main:telegram:dm:1" as SessionKey;
const UUID = "f8282125-d96c-45a0-84cb-eb5fb6843d0a";

test("S9 what others wrote while a session was being looked at is looked at again, also when the journal went on meanwhile", async () => {
  const journalDir = tempDir();
  const ownership = (token: string) =>
    new Ownership({ agentId: "main", journalDir, token, boot: null, readOnly: false, onGone: () => {} });
  const [own, other] = [ownership("own"), ownership("other")];
  try {
    await other.begin();
    expect(other.madeNow(KEY, UUID)).toBe(true);
    await own.readJournal();
    expect([...own.unseen()]).toEqual([KEY]);

    const began = own.moment;
    // The look goes on while the other writes further, and begins a new journal; another call of this process follows it there.
    expect(await other.journal.rotate()).toBe(1);
    await own.readJournal();
    own.seen(KEY, began);
    expect([...own.unseen()]).toEqual([KEY]);

    own.seen(KEY, own.moment);
    expect([...own.unseen()]).toEqual([]);
  } finally {
    await own.journal.close();
    await other.journal.close();
  }
});
