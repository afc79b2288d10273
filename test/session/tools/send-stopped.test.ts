import { expect, test } from "vitest";
import { MemoryStorage, type SessionKey } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, deferred } from "../store-dir.js";
import { asKey, calls, OPEN, stage } from "./cast.js";
import { quiet } from "./family.js";
import { populated } from "./populate.js";
import { pause } from "./troubled-storage.js";

const ANN = "agent:main:telegram:dm:ann";
const CODER = "agent:coder:main";

/** A storage that finds a session only when it is let. */
class SlowToFind extends MemoryStorage {
  readonly asked = deferred();
  readonly found = deferred();
  slow: string | undefined;

  override async read(key: SessionKey) {
    if (key === this.slow) {
      this.asked.resolve();
      await this.found.promise;
    }
    return super.read(key);
  }
}

for (const isThere of [true, false])
  test(`G19 /stop while a send looks for its target sends nothing, ${isThere ? "where it is there" : "and makes none"}`, async () => {
    const storage = new SlowToFind();
    if (isThere) await populated([{ key: CODER }], storage);
    const { manager, provider } = stage(
      {
        [ANN]: (_request, results) =>
          results.length === 0 ? calls("sessions_send", { sessionKey: CODER, message: "go on" }) : "ok",
        [CODER]: () => "I go on.",
      },
      { storage, config: OPEN },
    );
    await using _ = manager;
    const b = builders();
    storage.slow = CODER;
    const turn = manager.handle(b.dm("ann", "tell the coder"));
    await storage.asked.promise;
    expect(await manager.handle(b.dm("ann", "/stop"))).toMatchObject({ status: "command" });
    storage.found.resolve();
    expect(await turn).toMatchObject({ status: "aborted" });
    await pause();
    await quiet(manager);
    expect(provider.requests.map(({ key }) => key)).toEqual([ANN]);
    const record = await manager.get(asKey(CODER));
    expect(record === undefined).toBe(!isThere);
    const entries = record === undefined ? [] : await all(storage.entries(record.uuid));
    expect(entries.filter((entry) => "type" in entry && entry.type === "run")).toEqual([]);
  });
