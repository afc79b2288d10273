import { expect, test } from "vitest";
import { project, type SessionKey } from "../../src/core.js";
import { MemoryStorage, type TranscriptEntry } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { appending, dm, freshRecord } from "../storage/sessions.js";
import { type Acked, digestOf, entryIds, type Final, faultsOf, finalOf, type Happened } from "./history.js";

const key = dm("1");
const UUID = "11111111-1111-4111-8111-111111111111";

/** A session whose entries have these ids. */
function session(ids: readonly string[], { uuid = UUID, of = key } = {}): Final {
  const b = builders();
  const entries: TranscriptEntry[] = ids.map((id) => b.user("x", { id }));
  return { record: project(freshRecord(of, uuid), entries), entries };
}

function acked(writer: string, update: number, time: number, more: { count?: number; uuid?: string } = {}): Acked {
  const { count = 1, uuid = UUID } = more;
  return { kind: "update", key, uuid, ids: entryIds(writer, update, count), start: time, end: time + 1 };
}

const a = (update: number) => `a.${update}.1of1`;
const three = [acked("a", 0, 0), acked("a", 1, 10), acked("a", 2, 20)];
const whole = [session([a(0), a(1), a(2)])];
const read = (ids: string[], start: number): Happened => ({
  kind: "read",
  reader: "r",
  uuid: UUID,
  count: ids.length,
  digest: digestOf(ids),
  start,
});
const deleted = (start: number, end?: number): Happened => ({ kind: "delete", key, start, end });

test("a history in which everything is right has no faults", () => {
  const seen: Happened[] = [
    read([a(0)], 5),
    read([a(0), a(1), a(2)], 25),
    { kind: "last", uuid: UUID, ids: [a(1), a(2)], start: 30 },
    { kind: "listed", key, uuid: UUID, messageCount: 3, start: 30 },
  ];
  expect(faultsOf([...three, ...seen], whole)).toEqual([]);
});

test("an update that nobody heard of may be there or not", () => {
  expect(faultsOf(three, [session([a(0), a(1), a(2), a(3)])])).toEqual([]);
});

const OTHER = "22222222-2222-4222-8222-222222222222";
const broken: [string, Happened[], Final[], RegExp][] = [
  ["an acknowledged entry is missing", three, [session([a(0), a(2)])], /a\.1.* is missing/],
  ["an entry is there twice", three, [session([a(0), a(1), a(1), a(2)])], /there twice/],
  ["an entry was written by nobody", three, [session([a(0), a(1), a(2), "stranger"])], /by nobody/],
  ["an entry was never begun", three, [session([a(0), a(1), a(2), a(4)])], /not under way/],
  ["the order of a writer is not kept", three, [session([a(1), a(0), a(2)])], /stands behind/],
  ["half an update is there", [acked("b", 0, 0, { count: 1 })], [session(["b.0.1of1", "b.1.2of2"])], /not whole/],
  [
    "an update is torn apart",
    [acked("b", 0, 0, { count: 2 }), acked("a", 0, 0)],
    [session(["b.0.1of2", a(0), "b.0.2of2"])],
    /not whole/,
  ],
  [
    "an entry is in another transcript",
    three,
    [session([a(0), a(1), a(2)], { uuid: OTHER })],
    /acknowledged in|nobody deleted/,
  ],
  [
    "an entry is in two transcripts",
    three,
    [...whole, session([a(2)], { uuid: OTHER, of: dm("2") })],
    /two transcripts/,
  ],
  ["a session is gone that nobody deleted", three, [], /nobody deleted/],
  ["what was acknowledged after a delete is gone", [...three, deleted(4, 5)], [], /nobody deleted/],
  ["a deleted session is back", [...three, deleted(25, 30)], whole, /there again/],
  [
    "a write goes on in a deleted session",
    [...three, deleted(5, 8), acked("a", 3, 40), deleted(50)],
    [],
    /after that was deleted/,
  ],
  ["a reader saw another order", [...three, read([a(1), a(0)], 12)], whole, /not its first/],
  ["a reader went back", [...three, read([a(0), a(1)], 12), read([a(0)], 5)], whole, /went back/],
  ["a reader missed what was acknowledged", [...three, read([a(0)], 15)], whole, /did not see/],
  [
    "the last entries do not stand together",
    [...three, { kind: "last", uuid: UUID, ids: [a(0), a(2)], start: 30 }],
    whole,
    /together/,
  ],
  [
    "the last entries are old",
    [...three, { kind: "last", uuid: UUID, ids: [a(0)], start: 30 }],
    whole,
    /read as the last/,
  ],
  ["a list is old", [...three, { kind: "listed", key, uuid: UUID, messageCount: 1, start: 30 }], whole, /were listed/],
];

test.each(broken)("it is a fault when %s", (_, happened, sessions, fault) => {
  expect(faultsOf(happened, sessions).join("\n")).toMatch(fault);
});

test("a storage whose list, records and transcripts agree has no faults, and one whose do not has", async () => {
  const storage = new MemoryStorage();
  await storage.update(key, appending(key, [builders().user("hi")]));
  expect((await finalOf(storage)).faults).toEqual([]);
  const record = await storage.read(key as SessionKey);
  expect(record).toBeDefined();
  await storage.update(key, (current) => ({ record: { ...(current ?? freshRecord(key)), messageCount: 7 } }));
  expect((await finalOf(storage)).faults.join()).toMatch(/its entries say/);
});
