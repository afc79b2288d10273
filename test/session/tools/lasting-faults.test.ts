import { expect, test } from "vitest";
import { MemoryStorage, type SessionManager } from "../../../src/index.js";
import { builders, manualClock } from "../../../src/testing.js";
import { all, deferred } from "../store-dir.js";
import { OPEN, stage, tool } from "./cast.js";
import { quiet } from "./family.js";
import { pause } from "./troubled-storage.js";

const CODER = "agent:coder:main";

// More than any number of attempts that is bounded, and few enough for the test to see what is not.
const ENOUGH = 200;

/** A storage that cannot write into one session for as long as that lasts. */
class Faulty extends MemoryStorage {
  isFaulty = false;
  attempts = 0;

  override async update(...args: Parameters<MemoryStorage["update"]>) {
    if (!this.isFaulty || args[0] !== CODER) return super.update(...args);
    this.attempts += 1;
    await new Promise(setImmediate);
    if (this.attempts > ENOUGH) return new Promise<never>(() => {});
    throw new Error("EIO");
  }
}

const send = (manager: SessionManager, message: string) =>
  tool(manager, "agent:main:main", "sessions_send").execute({ sessionKey: CODER, message, timeoutSeconds: 0 });

for (const how of ["the next message 30 seconds later", "recover()"] as const)
  test(`G19 two messages that cannot be begun for as long as a fault lasts are tried a few times, and answered once after ${how}`, async () => {
    const storage = new Faulty();
    const clock = manualClock();
    const answer = deferred<string>();
    const { manager } = stage(
      { [CODER]: () => answer.promise },
      { storage, clock, config: { ...OPEN, session: { dmScope: "main" } } },
    );
    const b = builders();
    const use = (words: string) => manager.handle(b.dm("1", words, { agentId: "coder" }));
    const turn = use("hello");
    const sent = [await send(manager, "first"), await send(manager, "second")].map(({ runId }) => String(runId));
    // From the end of the turn that runs on.
    manager.on("turn.completed", () => {
      storage.isFaulty = storage.attempts === 0;
    });
    answer.resolve("ok");
    await turn;
    for (let rounds = 0; rounds < 10; rounds += 1) await pause();
    expect(storage.attempts).toBeGreaterThanOrEqual(2);
    expect(storage.attempts).toBeLessThanOrEqual(8);
    await expect(use("lost")).rejects.toThrow();
    for (let rounds = 0; rounds < 10; rounds += 1) await pause();
    expect(storage.attempts).toBeLessThanOrEqual(12);
    for (const run of sent) expect(await manager.run(CODER, run)).toEqual({ status: "waiting" });

    storage.isFaulty = false;
    if (how === "recover()") await manager.recover();
    else {
      clock.advance(30_001);
      expect(await use("next")).toMatchObject({ status: "replied" });
    }
    await quiet(manager);
    for (const run of sent) expect(await manager.run(CODER, run)).toEqual({ status: "ok", reply: "ok" });
    const said = (await all(manager.history(CODER))).map(({ content }) => content);
    for (const words of ["first", "second"]) expect(said.filter((content) => content === words)).toEqual([words]);
    await manager.close();
  });
