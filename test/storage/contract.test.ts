import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { initialRecord } from "../../src/core.js";
import type { Change, SessionRecord, SessionStorage, TranscriptEntry } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { append, appending, CREATED, collect, contents, dm, freshRecord, say } from "./sessions.js";
import { storageKinds } from "./storage-kinds.js";

const alice = dm("alice");

async function everything(storage: SessionStorage, uuid: string): Promise<TranscriptEntry[]> {
  return collect(storage.entries(uuid));
}

describe.each(storageKinds)("$name", ({ place, persists }) => {
  test("S1 a key never written reads as undefined", async () => {
    expect(await place().open().read(alice)).toBeUndefined();
  });

  test("S2 an updater that gets undefined creates the session, and read gives back the record it returned", async () => {
    const storage = place().open();
    const b = builders();
    const entries = [b.user("hello"), b.state({ modelOverride: "gpt-4o" })];
    const change = appending(alice, entries)(undefined);
    const seen: unknown[] = [];
    const updated = await storage.update(alice, (current) => {
      seen.push(current);
      return change;
    });
    // It may run more than once; the last run is the one that counts.
    expect(seen.at(-1)).toBeUndefined();
    expect(seen.length).toBeGreaterThan(0);
    expect(updated).toEqual(change.record);
    expect(await storage.read(alice)).toEqual(change.record);
    expect(await everything(storage, change.record.uuid)).toEqual(entries);
  });

  test("S2 a record is kept as given, also where it does not follow from the entries", async () => {
    const home = place();
    const b = builders();
    const first = { ...freshRecord(alice), messageCount: 7, contextTokens: 12, openTurns: ["x"] };
    await home.open().update(alice, () => ({ record: first, append: [b.user("1")] }));
    expect(await home.open().read(alice)).toEqual(first);
    const second = { ...first, messageCount: 3, state: { ...first.state, extra: { mood: "calm" } } };
    expect(await home.open().update(alice, () => ({ record: second }))).toEqual(second);
    expect(await home.open().read(alice)).toEqual(second);
    const last = await append(home.open(), alice, b.user("2"));
    expect(last.messageCount).toBe(4);
    expect(await home.open().read(alice)).toEqual(last);
  });

  test("S3 an updater that returns undefined writes nothing and resolves to the current record", async () => {
    const storage = place().open();
    expect(await storage.update(alice, () => undefined)).toBeUndefined();
    expect(await storage.read(alice)).toBeUndefined();
    expect(await collect(storage.list())).toEqual([]);
    const record = await append(storage, alice, builders().user("1"));
    expect(await storage.update(alice, () => undefined)).toEqual(record);
    expect(await storage.read(alice)).toEqual(record);
    expect(contents(await everything(storage, record.uuid))).toEqual(["1"]);
  });

  test("S4 record and entries of an update are seen together, all of them or none, by readers beside it", async () => {
    const home = place();
    const writer = home.open();
    const reader = home.open();
    const b = builders();
    const { uuid } = await append(writer, alice, b.user("0"), b.assistant("0"));
    let writing = true;
    const write = (async () => {
      for (let n = 1; n <= 30; n += 1) await append(writer, alice, b.user(`${n}`), b.assistant(`${n}`));
      writing = false;
    })();
    while (writing) {
      const before = (await reader.read(alice)) as SessionRecord;
      const entries = await everything(reader, uuid);
      const after = (await reader.read(alice)) as SessionRecord;
      expect(entries.length % 2).toBe(0);
      expect(entries.length).toBeGreaterThanOrEqual(before.messageCount);
      expect(entries.length).toBeLessThanOrEqual(after.messageCount);
    }
    await write;
    expect(await everything(reader, uuid)).toHaveLength(62);
  });

  test("S5 updates of one key are serialised: fifty concurrent increments add fifty", async () => {
    const storage = place().open();
    const increment = (current = freshRecord(alice)): Change => {
      const count = Number(current.state.extra.count ?? 0) + 1;
      return { record: { ...current, state: { ...current.state, extra: { count } } } };
    };
    await Promise.all(Array.from({ length: 50 }, () => storage.update(alice, increment)));
    expect((await storage.read(alice))?.state.extra.count).toBe(50);
  });

  test("S5 concurrent appends to one key all arrive, in the order of the calls, each seeing those before it", async () => {
    const storage = place().open();
    const b = builders();
    const entries = Array.from({ length: 50 }, (_, n) => b.user(`${n}`));
    const counts = await Promise.all(entries.map((entry) => append(storage, alice, entry)));
    expect(counts.map((record) => record.messageCount)).toEqual(entries.map((_, n) => n + 1));
    expect(await everything(storage, counts[0]?.uuid ?? "")).toEqual(entries);
  });

  test.each([
    ["a promise", async () => ({ record: freshRecord(alice) })],
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what is refused
    ["another thenable", () => ({ record: freshRecord(alice), then: () => undefined })],
    ["null", () => null],
    ["a change without a record", () => ({ append: [] })],
    ["entries that are no list", () => ({ record: freshRecord(alice), append: "abc" })],
  ])("S6 an updater that returns %s is refused with TypeError, and nothing is written", async (_, updater) => {
    const storage = place().open();
    await expect(storage.update(alice, updater as never)).rejects.toThrow(TypeError);
    expect(await storage.read(alice)).toBeUndefined();
    const record = await append(storage, alice, builders().user("1"));
    await expect(storage.update(alice, updater as never)).rejects.toThrow(TypeError);
    expect(await storage.read(alice)).toEqual(record);
    expect(await everything(storage, record.uuid)).toHaveLength(1);
  });

  test("S7 an updater that throws rejects with that same error, and nothing is written", async () => {
    const storage = place().open();
    const own = new Error("mine");
    const fails = () => {
      throw own;
    };
    await expect(storage.update(alice, fails)).rejects.toBe(own);
    expect(await storage.read(alice)).toBeUndefined();
    const record = await append(storage, alice, builders().user("1"));
    await expect(storage.update(alice, fails)).rejects.toBe(own);
    expect(await storage.read(alice)).toEqual(record);
    expect((await append(storage, alice, builders().user("2"))).messageCount).toBe(2);
  });

  test.runIf(persists)("S9 what update has acknowledged is seen by a further instance on the same place", async () => {
    const home = place();
    const record = await say(home.open(), alice, 3);
    const other = home.open();
    expect(await other.read(alice)).toEqual(record);
    expect(contents(await everything(other, record.uuid))).toEqual(["1", "2", "3"]);
    expect(await collect(home.open().list())).toEqual([record]);
  });

  test("S11 what was passed in or handed out can be changed without changing what is stored", async () => {
    const storage = place().open();
    const b = builders();
    const content = [{ type: "text" as const, text: "said" }];
    const entry = b.user(content);
    const change = appending(alice, [entry])(undefined);
    const kept = structuredClone(change);
    const updated = await storage.update(alice, () => change);
    const spoil = (record: SessionRecord | undefined) => {
      if (record === undefined) throw new Error("There is a record.");
      record.messageCount = 99;
      record.state.extra.spoilt = true;
      record.openTurns.push("spoilt");
    };
    for (const part of content) part.text = "spoilt";
    spoil(change.record);
    spoil(updated);
    spoil(await storage.read(alice));
    for (const record of await collect(storage.list())) spoil(record);
    for (const stored of await everything(storage, kept.record.uuid)) Object.assign(stored, { content: "spoilt" });
    await storage.update(alice, (current) => {
      spoil(current);
      return undefined;
    });
    expect(await storage.read(alice)).toEqual(kept.record);
    expect(await everything(storage, kept.record.uuid)).toEqual(kept.append);
  });

  test("an update that changes the key or the uuid of its record is refused, and nothing is written", async () => {
    const storage = place().open();
    const record = await say(storage, alice, 1);
    const bob = await say(storage, dm("bob"), 1);
    const refused = [
      { ...record, key: dm("bob") },
      { ...record, uuid: randomUUID() },
      { ...record, uuid: bob.uuid },
    ];
    for (const wrong of refused) {
      await expect(storage.update(alice, () => ({ record: wrong }))).rejects.toMatchObject({ code: "STORAGE" });
    }
    const eve = initialRecord({ key: dm("eve"), uuid: bob.uuid, created: CREATED });
    await expect(storage.update(dm("eve"), () => ({ record: eve }))).rejects.toMatchObject({ code: "STORAGE" });
    expect(await storage.read(alice)).toEqual(record);
    expect(await storage.read(dm("bob"))).toEqual(bob);
    expect(await storage.read(dm("eve"))).toBeUndefined();
  });
});
