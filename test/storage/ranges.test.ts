import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isEntryOf, type TranscriptEntry } from "../../src/core.js";
import type { EntryRange } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { append, collect, dm } from "./sessions.js";
import { storageKinds } from "./storage-kinds.js";

const alice = dm("alice");

/** What a range means, said once more and as simply as can be. */
function within(entries: TranscriptEntry[], { after, last, fromWindow }: EntryRange): TranscriptEntry[] {
  const clear = fromWindow ? entries.findLastIndex((entry) => isEntryOf(entry, "clear")) : -1;
  const window = clear < 0 ? entries : entries.slice(clear);
  const behind = after === undefined ? window : window.slice(window.findIndex((entry) => entry.id === after) + 1);
  return last === undefined ? behind : last === 0 ? [] : behind.slice(-last);
}

describe.each(storageKinds)("$name", ({ place }) => {
  async function transcript() {
    const storage = place().open();
    const b = builders();
    await append(storage, alice, b.user("1"));
    await append(storage, alice, b.user("2"), b.assistant("3"), b.turn("e0002"));
    await append(storage, alice, b.user("4"), b.clear(), b.user("5"));
    const { uuid } = await append(storage, alice, b.assistant("6"));
    return {
      uuid,
      ids: async (range?: EntryRange) => (await collect(storage.entries(uuid, range))).map(({ id }) => id),
    };
  }

  test.each<[EntryRange | undefined, string[]]>([
    [undefined, ["e0001", "e0002", "e0003", "e0004", "e0005", "e0006", "e0007", "e0008"]],
    [{}, ["e0001", "e0002", "e0003", "e0004", "e0005", "e0006", "e0007", "e0008"]],
    [{ after: "e0003" }, ["e0004", "e0005", "e0006", "e0007", "e0008"]],
    [{ after: "e0008" }, []],
    [{ last: 0 }, []],
    [{ last: 1 }, ["e0008"]],
    [{ last: 3 }, ["e0006", "e0007", "e0008"]],
    [{ last: 8 }, ["e0001", "e0002", "e0003", "e0004", "e0005", "e0006", "e0007", "e0008"]],
    [{ last: 9 }, ["e0001", "e0002", "e0003", "e0004", "e0005", "e0006", "e0007", "e0008"]],
    [{ last: Number.MAX_SAFE_INTEGER }, ["e0001", "e0002", "e0003", "e0004", "e0005", "e0006", "e0007", "e0008"]],
    [{ last: Number.POSITIVE_INFINITY }, ["e0001", "e0002", "e0003", "e0004", "e0005", "e0006", "e0007", "e0008"]],
    [{ after: "e0005", last: 2 }, ["e0007", "e0008"]],
    [{ after: "e0007", last: 5 }, ["e0008"]],
    [{ after: "e0007", last: 0 }, []],
    [{ fromWindow: true }, ["e0006", "e0007", "e0008"]],
    [{ fromWindow: false, last: 1 }, ["e0008"]],
    [{ fromWindow: true, last: 2 }, ["e0007", "e0008"]],
    [{ fromWindow: true, last: 100 }, ["e0006", "e0007", "e0008"]],
    [{ fromWindow: true, after: "e0006" }, ["e0007", "e0008"]],
    [{ fromWindow: true, after: "e0006", last: 1 }, ["e0008"]],
  ])("S8 the range %o is the entries %o", async (range, expected) => {
    expect(await (await transcript()).ids(range)).toEqual(expected);
  });

  test.each<EntryRange>([{ after: "nowhere" }, { after: "nowhere", last: 1 }, { fromWindow: true, after: "e0005" }])(
    "S8 the range %o begins after an entry that is not there, which is an error and not an empty answer",
    async (range) => {
      await expect((await transcript()).ids(range)).rejects.toMatchObject({ code: "STORAGE" });
    },
  );

  test("S8 a transcript that does not exist has no entries", async () => {
    const storage = place().open();
    for (const uuid of ["00000000-0000-4000-8000-000000000000", "../../etc/passwd", ""]) {
      for (const range of [undefined, { last: 3 }, { after: "x" }, { fromWindow: true }])
        expect(await collect(storage.entries(uuid, range))).toEqual([]);
    }
  });

  test("S8 whatever is appended and however it is cut into updates, every range is a cut of the whole", async () => {
    const home = place();
    const kinds = fc.constantFrom("user", "clear", "state", "long");
    const updates = fc.array(fc.array(kinds, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 12 });
    const ranges = fc.array(
      fc.record(
        { after: fc.nat({ max: 40 }), last: fc.nat({ max: 50 }), fromWindow: fc.boolean() },
        { requiredKeys: [] },
      ),
      { minLength: 1, maxLength: 8 },
    );
    let n = 0;
    await fc.assert(
      fc.asyncProperty(updates, ranges, async (plan, asked) => {
        const key = dm(`p${++n}`);
        const storage = home.open();
        const b = builders();
        const all: TranscriptEntry[] = [];
        let uuid = "";
        for (const update of plan) {
          const entries = update.map((kind) => {
            if (kind === "clear") return b.clear();
            if (kind === "state") return b.state({ modelOverride: `m${all.length}` });
            return b.user(kind === "long" ? "x".repeat(40_000) : "x");
          });
          all.push(...entries);
          ({ uuid } = await append(storage, key, ...entries));
        }
        for (const { after, ...rest } of asked) {
          const window = within(all, { fromWindow: rest.fromWindow });
          const range = after === undefined ? rest : { ...rest, after: window[after % window.length]?.id };
          expect(await collect(storage.entries(uuid, range))).toEqual(within(all, range));
        }
      }),
      { numRuns: 60 },
    );
  });
});
