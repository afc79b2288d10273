import type { TranscriptEntry } from "../../core/entry.js";
import { selectEntries } from "../../storage/select-entries.js";
import type { EntryRange, SessionStorage } from "../../storage/storage.js";
import { builders } from "../builders.js";
import { changesNothing, rejectsWith, rejectsWithTypeError, same } from "./assertions.js";
import type { Check } from "./check.js";
import { alice, append, bob, collect, dm, everything, freshRecord, present, say } from "./sessions.js";

const ALL = ["e0001", "e0002", "e0003", "e0004", "e0005", "e0006", "e0007", "e0008"];

/** A transcript of eight entries in four updates; the window begins with the clear, which is the sixth. */
async function eightEntries(storage: SessionStorage): Promise<string> {
  const b = builders();
  await append(storage, alice, [b.user("1")]);
  await append(storage, alice, [b.user("2"), b.assistant("3"), b.turn("e0002")]);
  await append(storage, alice, [b.user("4"), b.clear(), b.user("5")]);
  return (await append(storage, alice, [b.assistant("6")])).uuid;
}

async function ids(storage: SessionStorage, uuid: string, range?: EntryRange): Promise<string[]> {
  return (await collect(storage.entries(uuid, range))).map((entry) => entry.id);
}

/** S8: a transcript is what was appended, in order, and a range is a cut of it. */
export const transcriptChecks: readonly Check[] = [
  {
    clause: "S8",
    name: "entries yields exactly what was appended, in order, however it was cut into updates",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const all: TranscriptEntry[] = [];
      let uuid = "";
      for (const count of [1, 3, 0, 2, 200, 1]) {
        // Ids in the order of nothing: a transcript has the order of its appends alone.
        const entries = Array.from({ length: count }, (_, n) =>
          b.user(`${n}`, { id: `${(n * 7919) % 997}-${all.length}` }),
        );
        all.push(...entries);
        ({ uuid } = await append(storage, alice, entries));
      }
      same(await everything(storage, uuid), all, "the entries are those appended");
      same(await everything(await trial.open(), uuid), all, "a further instance yields the same");
    },
  },
  {
    clause: "S8",
    name: "entries have the order of their appends, also where their times run backwards or stand still",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const times = ["2026-03-18T12:00:00.000Z", "2026-03-18T11:00:00.000Z", "2026-03-18T11:00:00.000Z", ""];
      const entries = times.map((timestamp, n) => b.user(`${n}`, { timestamp }));
      const { uuid } = await append(storage, alice, entries.slice(0, 2));
      await append(storage, alice, entries.slice(2));
      same(await everything(storage, uuid), entries, "the entries are in order");
      same(await collect(storage.entries(uuid, { last: 2 })), entries.slice(2), "so are the last");
    },
  },
  {
    clause: "S8",
    name: "each session has a transcript of its own",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const own = [b.user("1"), b.user("2")];
      const { uuid } = await append(storage, alice, own.slice(0, 1));
      await append(storage, bob, [b.user("other", { id: own[0]?.id ?? "" })]);
      await append(storage, alice, own.slice(1));
      same(await everything(storage, uuid), own, "nothing of another session is among them");
    },
  },
  {
    clause: "S8",
    name: "after is exclusive, and last yields the final entries in order",
    async run(trial) {
      const storage = await trial.open();
      const uuid = await eightEntries(storage);
      const expect = async (range: EntryRange | undefined, expected: string[]) =>
        same(
          await ids(storage, uuid, range),
          expected,
          `the range ${JSON.stringify(range)} is a cut of the transcript`,
        );
      await expect(undefined, ALL);
      await expect({}, ALL);
      for (const [n, after] of ALL.entries()) {
        await expect({ after }, ALL.slice(n + 1));
        await expect({ after, last: 2 }, ALL.slice(n + 1).slice(-2));
      }
      for (const last of [1, 2, 7, 8, 9, Number.MAX_SAFE_INTEGER, Number.POSITIVE_INFINITY])
        await expect({ last }, ALL.slice(-last));
      await expect({ last: 0 }, []);
      await expect({ after: "e0007", last: 0 }, []);
    },
  },
  {
    clause: "S8",
    name: "fromWindow begins with the last clear, and goes together with after and last",
    async run(trial) {
      const storage = await trial.open();
      const uuid = await eightEntries(storage);
      const expect = async (range: EntryRange, expected: string[]) =>
        same(await ids(storage, uuid, range), expected, `the range ${JSON.stringify(range)} is a cut of the window`);
      await expect({ fromWindow: true }, ALL.slice(5));
      await expect({ fromWindow: false, last: 1 }, ALL.slice(-1));
      await expect({ fromWindow: true, last: 2 }, ALL.slice(-2));
      await expect({ fromWindow: true, last: 100 }, ALL.slice(5));
      await expect({ fromWindow: true, after: "e0006" }, ALL.slice(6));
      await expect({ fromWindow: true, after: "e0006", last: 1 }, ALL.slice(-1));
      const b = builders();
      const never = await append(storage, bob, [b.user("1"), b.user("2")]);
      same(await ids(storage, never.uuid, { fromWindow: true }), ["e0001", "e0002"], "no clear: all is in the window");
      await append(storage, alice, [b.clear(), b.clear()]);
      same(await ids(storage, uuid, { fromWindow: true }), ["e0004"], "the last of several clears counts");
    },
  },
  {
    clause: "S8",
    name: "an after that is not in the range asked for is a StorageError, not an empty answer",
    async run(trial) {
      const storage = await trial.open();
      const uuid = await eightEntries(storage);
      for (const range of [{ after: "nowhere" }, { after: "nowhere", last: 1 }, { fromWindow: true, after: "e0005" }])
        await rejectsWith("STORAGE", () => ids(storage, uuid, range), `the range ${JSON.stringify(range)}`);
    },
  },
  {
    clause: "S8",
    name: "a transcript that does not exist has no entries, whatever the range",
    async run(trial) {
      const storage = await trial.open();
      await say(storage, alice, "1");
      for (const uuid of ["00000000-0000-4000-8000-000000000000", "../../etc/passwd", "", "__proto__"]) {
        for (const range of [undefined, { last: 3 }, { after: "x" }, { fromWindow: true }])
          same(await collect(storage.entries(uuid, range)), [], "there are no entries");
      }
    },
  },
  {
    clause: "S8",
    name: "ranges of a long transcript are cuts of the whole",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const all = Array.from({ length: 300 }, (_, n) => {
        if (n === 40 || n === 130) return b.clear();
        return n % 100 === 3 ? b.user("x".repeat(40_000)) : b.user(`${n}`);
      });
      const { uuid } = await append(storage, alice, all.slice(0, 100));
      await append(storage, alice, all.slice(100));
      const after = (n: number) => ({ after: present(all[n], "an entry").id });
      const ranges: EntryRange[] = [
        ...[1, 64, 169, 170, 171, 300].map((last) => ({ last })),
        ...[0, 99, 100, 130, 299].map(after),
        { ...after(101), last: 150 },
        { ...after(250), last: 150 },
        { fromWindow: true },
        { fromWindow: true, last: 169 },
        { fromWindow: true, ...after(140), last: 3 },
      ];
      for (const range of ranges)
        same(
          await collect(storage.entries(uuid, range)),
          selectEntries(all, range),
          `the range ${JSON.stringify(range)} is a cut of the transcript`,
        );
    },
  },
  {
    clause: "S8",
    name: "a reader that stops half way, and readers beside each other, disturb nobody",
    async run(trial) {
      const storage = await trial.open();
      const uuid = await eightEntries(storage);
      for await (const entry of storage.entries(uuid)) {
        same(await ids(storage, uuid), ALL, "another reader gets everything");
        if (entry.id === "e0003") break;
      }
      for await (const _ of storage.list()) break;
      same(await Promise.all([ids(storage, uuid), ids(storage, uuid)]), [ALL, ALL], "readers do not share a place");
      await append(storage, alice, [builders().user("7")]);
    },
  },
  {
    clause: "S8",
    name: "entries of a type nobody knows, and fields nobody knows, are kept",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const entries = [
        { type: "label", id: "u1", timestamp: "2026-03-18T10:00:00.000Z", text: "from the future", deep: { a: [1] } },
        { ...b.user("hi"), mood: "curious" },
        { ...b.state({ modelOverride: "m" }), why: "asked" },
        { ...b.clear(), by: "someone" },
        { type: "__proto__", id: "u2", timestamp: "" },
      ] as TranscriptEntry[];
      const { uuid } = await append(storage, alice, entries);
      same(await everything(await trial.open(), uuid), entries, "the entries are as given");
    },
  },
  {
    clause: "S8",
    name: "what is no entry could not be read back, so the update is refused with TypeError",
    async run(trial) {
      const storage = await trial.open();
      const record = await say(storage, alice, "before");
      const wrong: unknown[] = [
        { id: "x", timestamp: "" },
        { role: "robot", content: "x", id: "x", timestamp: "" },
        { role: "user", content: "no id", timestamp: "" },
        "hello",
        null,
      ];
      await changesNothing(storage, async () => {
        for (const entry of wrong) {
          const append = [builders().user("x"), entry as TranscriptEntry];
          const update = () => storage.update(alice, () => ({ record: { ...record, messageCount: 9 }, append }));
          await rejectsWithTypeError(update, `${JSON.stringify(entry)} among the entries`);
        }
        const fresh = freshRecord(dm("new"));
        const create = () => storage.update(fresh.key, () => ({ record: fresh, append: wrong as TranscriptEntry[] }));
        await rejectsWithTypeError(create, "a new session with entries that are none");
      });
    },
  },
];
