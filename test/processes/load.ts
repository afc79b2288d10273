import { setTimeout as after } from "node:timers/promises";
import type { SessionKey } from "../../src/core.js";
import type { Change, Claim, SessionRecord, TranscriptEntry } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { appending, collect, dm } from "../storage/sessions.js";
import { digestOf, entryIds } from "./history.js";
import { now, type World } from "./orders.js";
import { Random } from "./random.js";

const numbered = (name: string, count: number) => Array.from({ length: count }, (_, n) => dm(`${name}${n}`));

/** The sessions that a load writes to. */
const sessions = {
  /** Are only appended to. */
  plain: numbered("plain", 8),
  cleared: numbered("cleared", 4),
  /** Are deleted now and then, and made again by whoever writes next. */
  mortal: numbered("mortal", 4),
  /** Have turns, each under a claim. */
  claimed: numbered("claimed", 4),
};

const all = Object.values(sessions).flat();

export interface Load {
  writer: string;
  seed: number;
  lanes: number;
  /** A session whose claim only this process holds, and whoever wants to know whether it is free. */
  own: SessionKey;
  /** Milliseconds between two operations of a lane, at most. */
  pause: number;
}

/** Does this and that to the sessions, several things at a time, until it is told to stop or killed. */
export async function runLoad(load: Load, world: World, isStopped: () => boolean): Promise<void> {
  const lanes = Array.from({ length: load.lanes }, (_, n) => new Lane(`${load.writer}-${n}`, load.seed + n, world));
  const runs = lanes.map(async (lane) => {
    while (!isStopped()) {
      await lane.step();
      await after(lane.random.below(load.pause + 1));
    }
  });
  const holder = new Lane(`${load.writer}-own`, load.seed - 1, world);
  runs.push(
    (async () => {
      while (!isStopped()) await holder.hold(load.own);
    })(),
  );
  await Promise.all(
    runs.map((run) =>
      run.catch((error: unknown) =>
        world.report({
          kind: "failed",
          what: String((error as Error).stack ?? error) + String(((error as Error).cause as Error | undefined)?.stack),
        }),
      ),
    ),
  );
}

type Make = (id: string) => TranscriptEntry;

/** One thing after the other. */
class Lane {
  readonly random: Random;
  readonly #name: string;
  readonly #world: World;
  readonly #b = builders();
  #updates = 0;

  constructor(name: string, seed: number, world: World) {
    this.#name = name;
    this.#world = world;
    this.random = new Random(seed);
  }

  async step(): Promise<void> {
    const { random } = this;
    const choice = random.below(100);
    if (choice < 50)
      await this.#update(
        random.of(all),
        Array.from({ length: random.of([1, 1, 1, 2, 3]) }, () => this.#say(random.between(1, 300))),
      );
    else if (choice < 51) await this.#update(random.of(all), [this.#say(40_000), this.#say(40_000)]);
    else if (choice < 60) await this.#update(random.of(all), [this.#set]);
    else if (choice < 63) await this.#update(random.of(sessions.cleared), [this.#clear, this.#say(5)]);
    else if (choice < 66) await this.#delete(random.of(sessions.mortal));
    else if (choice < 74) await this.#turn(random.of(sessions.claimed));
    else if (choice < 80) await this.#read(random.of(all));
    else if (choice < 96) await this.#readLast(random.of(all));
    else await this.#list();
  }

  /** Takes a claim, writes under it, and keeps it for some time. */
  async hold(key: SessionKey): Promise<void> {
    const claim = await this.#world.storage.claim(key);
    await this.#world.report({ kind: "holds", key });
    await this.#update(key, [this.#say(3)], claim);
    await after(this.random.below(30));
    await claim.release();
  }

  #say =
    (size: number): Make =>
    (id) =>
      this.#b.user("y".repeat(size), { id });
  #set: Make = (id) => ({ ...this.#b.state({ extra: { by: this.#name, count: this.#updates } }), id });
  #clear: Make = (id) => ({ ...this.#b.clear(), id });

  async #update(key: SessionKey, makes: readonly Make[], claim?: Claim): Promise<string[]> {
    const ids = entryIds(this.#name, this.#updates++, makes.length);
    const entries = makes.map((make, place) => make(ids[place] ?? ""));
    const start = now();
    const change: (current: SessionRecord | undefined) => Change = appending(key, entries);
    const record = await this.#world.storage.update(key, change, { claim });
    await this.#world.report({ kind: "update", key, uuid: record?.uuid ?? "", ids, start, end: now() });
    return ids;
  }

  async #turn(key: SessionKey): Promise<void> {
    const claim = await this.#world.storage.claim(key);
    const [turn = ""] = await this.#update(key, [(id) => this.#b.user("question", { id, turn: true })], claim);
    await after(this.random.below(3));
    await this.#update(
      key,
      [(id) => this.#b.assistant("answer", { id, of: turn }), (id) => ({ ...this.#b.turn(turn), id })],
      claim,
    );
    await claim.release();
  }

  async #delete(key: SessionKey): Promise<void> {
    const start = now();
    await this.#world.report({ kind: "delete", key, start, end: undefined });
    await this.#world.storage.delete(key);
    await this.#world.report({ kind: "delete", key, start, end: now() });
  }

  async #read(key: SessionKey): Promise<void> {
    const start = now();
    const record = await this.#world.storage.read(key);
    if (record === undefined) return;
    const ids = (await collect(this.#world.storage.entries(record.uuid))).map(({ id }) => id);
    const { uuid } = record;
    await this.#world.report({
      kind: "read",
      reader: this.#name,
      uuid,
      count: ids.length,
      digest: digestOf(ids),
      start,
    });
  }

  async #readLast(key: SessionKey): Promise<void> {
    const start = now();
    const record = await this.#world.storage.read(key);
    if (record === undefined) return;
    const entries = await collect(this.#world.storage.entries(record.uuid, { last: this.random.between(1, 20) }));
    await this.#world.report({ kind: "last", uuid: record.uuid, ids: entries.map(({ id }) => id), start });
  }

  async #list(): Promise<void> {
    const start = now();
    const plain = new Set(sessions.plain);
    const keys = new Set<string>();
    for await (const { key, uuid, messageCount } of this.#world.storage.list()) {
      if (keys.has(key)) throw new Error(`${key} was listed twice`);
      keys.add(key);
      if (plain.has(key)) await this.#world.report({ kind: "listed", key, uuid, messageCount, start });
    }
  }
}
