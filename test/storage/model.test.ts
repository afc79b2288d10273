import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { project } from "../../src/core.js";
import {
  type Change,
  type EntryRange,
  JsonlStorage,
  type ListQuery,
  MemoryStorage,
  type SessionRecord,
  type SessionStorage,
  type TranscriptEntry,
} from "../../src/index.js";
import { type Builders, builders } from "../../src/testing.js";
import { collect, dm, freshRecord } from "./sessions.js";

const KEYS = [dm("a"), dm("A"), dm("__proto__"), dm("a", "coder")];

/** What the commands know of the sessions: only what they need to ask sensible things. */
interface Model {
  uuids: Map<string, string>;
  ids: Map<string, string[]>;
}

/** The storages that must give the same answers, and a second one on the disk of the first. */
interface Real {
  memory: MemoryStorage;
  dir: string;
  jsonl: JsonlStorage;
  beside: JsonlStorage;
  builders: Builders;
}

type Command = fc.AsyncCommand<Model, Real>;
type Answer = { value: unknown } | { error: string };

async function answerOf(work: Promise<unknown>): Promise<Answer> {
  try {
    return { value: await work };
  } catch (error) {
    return { error: (error as Error).name };
  }
}

/** Asks all of them, and fails when one answers differently. */
async function same(real: Real, ask: (storage: SessionStorage) => Promise<unknown>, beside = true): Promise<Answer> {
  const expected = await answerOf(ask(real.memory));
  expect(await answerOf(ask(real.jsonl))).toEqual(expected);
  if (beside) expect(await answerOf(ask(real.beside))).toEqual(expected);
  return expected;
}

function command(text: string, run: (model: Model, real: Real) => Promise<void>): Command {
  return { check: () => true, run, toString: () => text };
}

type Kind = "user" | "assistant" | "turn" | "state" | "clear" | "unknown" | "long";

function entry(b: Builders, kind: Kind, seed: number): TranscriptEntry {
  switch (kind) {
    case "user":
      return b.user(`text ${seed}\n\u2028`, { turn: true, messageId: `${seed % 5}`, address: "telegram:default:dm:a" });
    case "assistant":
      return b.assistant([{ type: "text", text: `${seed}` }], { usage: { input: seed, output: 1 } });
    case "turn":
      return b.turn(`e000${seed % 9}`);
    case "state":
      return b.state({
        modelOverride: seed % 2 ? `m${seed}` : null,
        extra: { [`x${seed % 3}`]: seed % 4 ? seed : null },
      });
    case "clear":
      return b.clear();
    case "unknown":
      return { ...b.clear(), type: "novelty", seed } as TranscriptEntry;
    case "long":
      return b.user("long ".repeat(20_000));
  }
}

const key = fc.constantFrom(...KEYS);
const kinds = fc.constantFrom<Kind[]>("user", "assistant", "turn", "state", "clear", "unknown", "long");
const whichStorage = fc.constantFrom<("jsonl" | "beside")[]>("jsonl", "beside");

const update = fc
  .record({
    key,
    kinds: fc.array(kinds, { maxLength: 4 }),
    seed: fc.nat({ max: 99 }),
    own: fc.boolean(),
    by: whichStorage,
  })
  .map(({ key, kinds, seed, own, by }) =>
    command(`update(${key}, [${kinds}], ${own}, ${by})`, async (model, real) => {
      const append = kinds.map((kind, n) => entry(real.builders, kind, seed + n));
      const uuid = model.uuids.get(key) ?? randomUUID();
      // A storage that does not know a session yet must not be the one to begin it beside another.
      const by_ = model.uuids.has(key) ? by : "jsonl";
      const updater = (current: SessionRecord = freshRecord(key, uuid)): Change => {
        const record = project(current, append);
        return { record: own ? { ...record, contextTokens: seed, openTurns: [] } : record, append };
      };
      const expected = await real.memory.update(key, updater);
      expect(await real[by_].update(key, updater)).toEqual(expected);
      if (!model.uuids.has(key)) await reopenBeside(real);
      model.uuids.set(key, uuid);
      model.ids.set(key, [...(model.ids.get(key) ?? []), ...append.map(({ id }) => id)]);
    }),
  );

const nothing = key.map((key) =>
  command(`update(${key}, nothing)`, async (_, real) => {
    await same(real, (storage) => storage.update(key, () => undefined));
  }),
);

const failing = fc.record({ key, how: fc.constantFrom("throw", "promise", "key", "uuid") }).map(({ key, how }) =>
  command(`update(${key}, ${how})`, async (model, real) => {
    if (!model.uuids.has(key) && how === "uuid") return;
    const answer = await same(real, (storage) =>
      storage.update(key, (current = freshRecord(key)) => {
        if (how === "throw") throw new RangeError("mine");
        if (how === "promise") return Promise.resolve() as never;
        if (how === "key") return { record: { ...current, key: dm("other") } };
        return { record: { ...current, uuid: randomUUID() } };
      }),
    );
    expect(answer).toHaveProperty("error");
  }),
);

const read = key.map((key) =>
  command(`read(${key})`, async (_, real) => {
    await same(real, (storage) => storage.read(key));
  }),
);

const list = fc
  .record(
    {
      agentId: fc.constantFrom("main", "coder", "nobody"),
      limit: fc.nat({ max: 5 }),
      activeSince: fc.constantFrom(0, Date.UTC(2026, 2, 18, 10, 0, 10), Date.UTC(2030, 0, 1)),
    },
    { requiredKeys: [] },
  )
  .map((query: ListQuery) =>
    command(`list(${JSON.stringify(query)})`, async (_, real) => {
      // A list is served from memory: what was done beside it counts once its session has been read.
      for (const key of KEYS) await same(real, (storage) => storage.read(key));
      await same(real, (storage) => collect(storage.list(query)));
    }),
  );

const entries = fc
  .record({
    key,
    range: fc.record(
      { after: fc.nat({ max: 99 }), last: fc.nat({ max: 12 }), fromWindow: fc.boolean() },
      { requiredKeys: [] },
    ),
  })
  .map(({ key, range: { after, ...rest } }) =>
    command(`entries(${key}, ${JSON.stringify({ after, ...rest })})`, async (model, real) => {
      const ids = model.ids.get(key) ?? [];
      const id = after === undefined ? {} : { after: ids[after % ids.length] ?? "nowhere" };
      const range: EntryRange = { ...rest, ...id };
      const uuid = model.uuids.get(key) ?? randomUUID();
      await same(real, (storage) => collect(storage.entries(uuid, range)));
    }),
  );

const remove = fc.record({ key, by: whichStorage }).map(({ key, by }) =>
  command(`delete(${key}, ${by})`, async (model, real) => {
    const expected = await real.memory.delete(key);
    expect(await real[by].delete(key)).toBe(expected);
    model.uuids.delete(key);
    model.ids.delete(key);
  }),
);

async function reopenBeside(real: Real): Promise<void> {
  await real.beside.close();
  real.beside = new JsonlStorage({ dir: real.dir, durability: "off" });
}

const reopen = fc.boolean().map((withIndex) =>
  command(`reopen(${withIndex ? "with" : "without"} index)`, async (_, real) => {
    await real.jsonl.close();
    await reopenBeside(real);
    if (!withIndex)
      for (const agentId of ["main", "coder"])
        rmSync(join(real.dir, "agents", agentId, "sessions", "sessions.json"), { force: true });
    real.jsonl = new JsonlStorage({ dir: real.dir, durability: "off" });
  }),
);

test("MemoryStorage, JsonlStorage and a second JsonlStorage beside it give the same answers to anything", async () => {
  const all = [update, update, update, nothing, failing, read, list, entries, entries, remove, reopen];
  await fc.assert(
    fc.asyncProperty(fc.commands(all, { maxCommands: 40 }), async (commands) => {
      const dir = mkdtempSync(join(tmpdir(), "sessions-"));
      const open = () => new JsonlStorage({ dir, durability: "off" });
      const real: Real = { memory: new MemoryStorage(), dir, jsonl: open(), beside: open(), builders: builders() };
      try {
        await fc.asyncModelRun(() => ({ model: { uuids: new Map(), ids: new Map() }, real }), commands);
      } finally {
        await Promise.all([real.jsonl.close(), real.beside.close()]);
        rmSync(dir, { recursive: true });
      }
    }),
    { numRuns: 100 },
  );
});
