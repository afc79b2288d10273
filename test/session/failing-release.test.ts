import { expect, test } from "vitest";
import { type Logger, MemoryStorage, SessionManager } from "../../src/index.js";
import { builders, scriptedProvider } from "../../src/testing.js";
import { stage, tool } from "./tools/cast.js";
import { quiet } from "./tools/family.js";

/** A storage that lets go of a claim only when it is asked so often. */
class Reluctant extends MemoryStorage {
  failures = 0;
  /** Each claim fails at letting go so many times first. */
  readonly #times: number;

  constructor(times: number) {
    super();
    this.#times = times;
  }

  override async claim(...args: Parameters<MemoryStorage["claim"]>) {
    const claim = await super.claim(...args);
    let asked = 0;
    const release = async () => {
      asked += 1;
      if (asked > this.#times) return claim.release();
      this.failures += 1;
      throw new Error("EIO");
    };
    return { ...claim, release, [Symbol.asyncDispose]: release };
  }
}

test("a claim that is let go at the second attempt neither turns an answer into a failure nor keeps the next message waiting", async () => {
  const storage = new Reluctant(1);
  await using manager = new SessionManager({ storage, provider: scriptedProvider(() => "answered") });
  const { dm } = builders();
  expect(await manager.handle(dm("1", "one"))).toMatchObject({ status: "replied", text: "answered" });
  expect(storage.failures).toBe(1);
  expect(await manager.handle(dm("1", "two"))).toMatchObject({ status: "replied", text: "answered" });
  expect(storage.failures).toBe(2);
});

test("a claim that cannot be let go costs no answer, and the operator is told", async () => {
  const told: string[] = [];
  const logger: Logger = { debug() {}, info() {}, warn() {}, error: (_facts, message) => void told.push(message) };
  const storage = new Reluctant(Number.POSITIVE_INFINITY);
  const manager = new SessionManager({ storage, logger, provider: scriptedProvider(() => "answered") });
  expect(await manager.handle(builders().dm("1", "one"))).toMatchObject({ status: "replied", text: "answered" });
  expect(told).toEqual(["the claim of a session could not be released"]);
  await manager.close();
});

test("G20 a sub-agent whose claim is let go at the second attempt is used again, and deleted where it is not kept", async () => {
  const storage = new Reluctant(1);
  const { manager } = stage({ "agent:main:subagent:": () => "done" }, { storage });
  await using _ = manager;
  const spawn = tool(manager, "agent:main:main", "sessions_spawn");
  const kept = await spawn.execute({ task: "work" });
  const deleted = await spawn.execute({ task: "work", cleanup: "delete" });
  expect([kept.status, deleted.status]).toEqual(["completed", "completed"]);
  const sent = await tool(manager, "agent:main:main", "sessions_send").execute({
    sessionKey: kept.childSessionKey,
    message: "and?",
  });
  expect(sent).toMatchObject({ status: "ok", reply: "done" });
  await quiet(manager);
  expect(await manager.get(String(deleted.childSessionKey))).toBeUndefined();
});
