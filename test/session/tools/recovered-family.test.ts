import { expect, test } from "vitest";
import {
  type Claim,
  JsonlStorage,
  type ListQuery,
  MemoryStorage,
  type RecoveryError,
  SessionManager,
  type TranscriptEntry,
} from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { Random } from "../../processes/random.js";
import { all, deferred, mortalStorage, tempDir } from "../store-dir.js";
import { asKey, calls, lastText, OPEN, stage, tool } from "./cast.js";
import { quiet, toldOf } from "./family.js";
import { type Inhabitant, populated } from "./populate.js";
import { pause } from "./troubled-storage.js";

const ANN = asKey("agent:main:telegram:dm:ann");
const MAIN = "agent:main:main";
const CHILD = "agent:main:subagent:";
const OUTER = asKey(`${CHILD}outer`);
const INNER = asKey(`${CHILD}inner`);

const never = () => new Promise<never>(() => {});

/** What a process leaves that dies while all three are at work: Ann, her sub-agent, and that one's. */
function leftAtWork(cleanup: "delete" | undefined): Inhabitant[] {
  const { user } = builders();
  const timestamp = "2026-03-18T10:00:00.000Z";
  const spawnOf = (child: string): TranscriptEntry => ({
    ...{
      type: "spawn",
      id: `spawn of ${child}`,
      timestamp,
      child: asKey(child),
      run: `task of ${child}`,
      mode: "start",
    },
    ...(cleanup === undefined ? {} : { cleanup }),
  });
  const begun = () => user("work", { turn: true });
  return [
    { key: ANN, entries: [begun(), spawnOf(OUTER)] },
    { key: OUTER, ancestors: [ANN], entries: [begun(), spawnOf(INNER)] },
    { key: INNER, ancestors: [OUTER, ANN], entries: [begun()] },
  ];
}

/** A storage that is slow to write into one session: so slow that whoever waits for its claim meanwhile gives up. */
class SlowToWrite extends MemoryStorage {
  slow: string | undefined;
  readonly #waiting = new Set<Promise<Claim>>();

  override async claim(...args: Parameters<MemoryStorage["claim"]>) {
    const claim = super.claim(...args);
    if (args[0] !== this.slow) return claim;
    this.#waiting.add(claim);
    void Promise.allSettled([claim]).then(() => this.#waiting.delete(claim));
    return claim;
  }

  override async update(...args: Parameters<MemoryStorage["update"]>) {
    if (args[0] === this.slow) {
      // All else that can be done is done, also by whoever comes for the claim.
      await pause();
      await Promise.allSettled(this.#waiting);
    }
    return super.update(...args);
  }
}

for (const slow of [OUTER, INNER])
  test(`G5 G20 one recover() ends all that a dead process has left at work, also where it takes long to write into ${slow}`, async () => {
    const storage = new SlowToWrite();
    await populated(leftAtWork(undefined), storage);
    storage.slow = slow;
    await using manager = new SessionManager({ storage });
    const ends: object[] = [];
    manager.on("subagent.ended", ({ key, child, status }) => ends.push({ key, child, status }));
    const found = await manager.recover();
    expect(found.map(({ key }) => key).sort()).toEqual([INNER, OUTER, ANN].sort());
    for (const record of await all(manager.list()))
      expect(record).toMatchObject({ openTurns: [], subagents: [], waiting: [], toDelete: [] });
    for (const [parent, child] of [
      [ANN, OUTER],
      [OUTER, INNER],
    ] as const) {
      expect(await manager.subagents(parent)).toMatchObject([{ key: child, status: "orphaned" }]);
      expect(await toldOf(manager, parent)).toMatchObject([{ provenance: { from: child, status: "orphaned" } }]);
      expect(ends).toContainEqual({ key: parent, child, status: "orphaned" });
    }
    expect(ends).toHaveLength(2);
  });

/** A storage in which one call fails, as long as it says so. */
class Failing extends MemoryStorage {
  fails: { call: "update" | "delete"; key: string } | undefined;

  #check(call: "update" | "delete", key: string): void {
    if (this.fails?.call === call && this.fails.key === key) throw new Error("EIO");
  }

  override async update(...args: Parameters<MemoryStorage["update"]>) {
    this.#check("update", args[0]);
    return super.update(...args);
  }

  override async delete(...args: Parameters<MemoryStorage["delete"]>) {
    this.#check("delete", args[0]);
    return super.delete(...args);
  }
}

for (const [call, key] of [
  ["update", ANN],
  ["update", OUTER],
  ["update", INNER],
  ["delete", OUTER],
  ["delete", INNER],
] as const)
  test(`G5 no turn is lost to who recovers a family in which the ${call} of ${key} fails`, async () => {
    const storage = new Failing();
    await populated(leftAtWork(call === "delete" ? "delete" : undefined), storage);
    storage.fails = { call, key };
    await using manager = new SessionManager({ storage });
    const marked: string[] = [];
    manager.on("turn.interrupted", (turn) => marked.push(turn.key));
    const error = (await manager.recover().catch((thrown: unknown) => thrown)) as RecoveryError;
    expect(error).toMatchObject({ code: "RECOVERY" });
    const found = error.recovered.map((turn) => turn.key);
    expect(found).toEqual(marked);
    // What fails in one of them keeps none of the others.
    expect(found.sort()).toEqual([INNER, OUTER, ANN].filter((one) => call === "delete" || one !== key).sort());
    storage.fails = undefined;
    found.push(...(await manager.recover()).map((turn) => turn.key));
    expect(found.sort()).toEqual([INNER, OUTER, ANN].sort());
    expect(marked.sort()).toEqual(found);
    for (const record of await all(manager.list()))
      expect(record).toMatchObject({ openTurns: [], subagents: [], waiting: [], toDelete: [] });
  });

/** A storage each of whose steps takes some time, another each time. */
class Unsteady extends MemoryStorage {
  random: Random | undefined;

  async #pass(): Promise<void> {
    for (let left = this.random?.below(6) ?? 0; left > 0; left -= 1) await new Promise(setImmediate);
  }

  override async read(...args: Parameters<MemoryStorage["read"]>) {
    await this.#pass();
    return super.read(...args);
  }

  override async update(...args: Parameters<MemoryStorage["update"]>) {
    await this.#pass();
    return super.update(...args);
  }

  override async claim(...args: Parameters<MemoryStorage["claim"]>) {
    await this.#pass();
    return super.claim(...args);
  }

  override async delete(...args: Parameters<MemoryStorage["delete"]>) {
    await this.#pass();
    return super.delete(...args);
  }
}

test("G20 recover() says once of each sub-agent that it has ended, also where those above it are deleted meanwhile", async () => {
  const first = Number(process.env.SESSIONS_SEED ?? Date.now() % 1_000_000);
  for (let seed = first; seed < first + 60; seed += 1) {
    const about = `seed ${seed}`;
    const storage = new Unsteady();
    await populated(leftAtWork("delete"), storage);
    storage.random = new Random(seed);
    await using manager = new SessionManager({ storage });
    const ends: string[] = [];
    manager.on("subagent.ended", ({ child, status }) => ends.push(`${child} ${status}`));
    await manager.recover();
    expect(ends.sort(), about).toEqual([`${INNER} orphaned`, `${OUTER} orphaned`]);
    const left = await all(manager.list());
    expect(
      left.map(({ key }) => key),
      about,
    ).toEqual([ANN]);
    expect(left, about).toMatchObject([{ openTurns: [], subagents: [], waiting: [], toDelete: [] }]);
    expect(await toldOf(manager, ANN), about).toHaveLength(1);
  }
});

/** A storage that lists who spawns before who was spawned. */
class ParentsFirst extends JsonlStorage {
  override async *list(query?: ListQuery) {
    yield* (await all(super.list(query))).sort((a, b) => a.ancestors.length - b.ancestors.length);
  }
}

for (const how of ["open()", "recover()"] as const)
  test(`G20 a sub-agent that had done its task, which could not be noted with its parent, and whose process died while it was asked something else, is told as completed by ${how}`, async () => {
    const dir = tempDir();
    const { storage, die } = mortalStorage(dir);
    let isFaulty = false;
    const [atWork, isLost, asked] = [deferred(), deferred(), deferred()];
    const finish = deferred();
    const { manager: dying } = stage(
      {
        [ANN]: (_request, results) =>
          results.length > 0 ? "ok" : calls("sessions_spawn", { task: "T", mode: "start" }),
        [CHILD]: async (request) => {
          if (lastText(request).includes("hey")) {
            asked.resolve();
            return never();
          }
          atWork.resolve();
          await finish.promise;
          isFaulty = true;
          return "PRECIOUS";
        },
      },
      {
        config: OPEN,
        storage: {
          ...storage,
          update: async (key, ...rest) => {
            if (isFaulty && key === ANN) throw new Error("EIO");
            return storage.update(key, ...rest);
          },
        },
        logger: { debug() {}, info() {}, warn() {}, error: () => isLost.resolve() },
      },
    );
    await dying.handle(builders().dm("ann", "go"));
    await atWork.promise;
    finish.resolve();
    await isLost.promise;
    const [child = ""] = (await dying.get(ANN))?.subagents.map(({ key }) => key) ?? [];
    const input = { sessionKey: child, message: "hey", timeoutSeconds: 0 };
    expect(await tool(dying, MAIN, "sessions_send").execute(input)).toMatchObject({ status: "accepted" });
    await asked.promise;
    await die();

    const { manager, provider } = stage(
      { "agent:": () => "noted" },
      { storage: new ParentsFirst({ dir }), config: OPEN },
    );
    await using _ = manager;
    if (how === "open()") await manager.open(ANN);
    else expect(await manager.recover()).toMatchObject([{ key: child }]);
    await quiet(manager);
    expect(await manager.subagents(ANN)).toMatchObject([{ key: child, status: "completed" }]);
    expect(await toldOf(manager, ANN)).toMatchObject([{ content: "PRECIOUS", provenance: { status: "completed" } }]);
    expect(provider.requests.map(lastText)).toEqual([]);
  });
