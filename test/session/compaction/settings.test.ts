import { describe, expect, test } from "vitest";
import { MemoryStorage, SessionManager } from "../../../src/index.js";
import { hostOf, KEY } from "./conversation.js";
import { limitedModel } from "./limited-model.js";

const construct = (agents: unknown) => () =>
  new SessionManager({ storage: new MemoryStorage(), config: { agents } as never });

describe("settings of compaction", () => {
  test.each<[string, unknown, string]>([
    ["a strategy that is none", { strategy: "summarise" }, "summarize"],
    ["a misspelt name", { keepRecentToken: 100 }, "keepRecentTokens"],
    ["a misspelt name of the flush", { memoryFlush: { enable: true } }, "enabled"],
    ["tokens below 0", { reserveTokens: -1 }, "reserveTokens"],
    ["tokens that are a text", { keepRecentTokens: "20k" }, "keepRecentTokens"],
    ["a share that is all", { minReduction: 1 }, "minReduction"],
    ["no time at all", { timeoutSeconds: 0 }, "timeoutSeconds"],
    ["a switch that is a text", { enabled: "no" }, "enabled"],
    ["a policy that is none", { memoryFlush: { onFailure: "retry" } }, "onFailure"],
    ["an empty prompt", { memoryFlush: { prompt: "  " } }, "prompt"],
    ["a model without a name", { model: "" }, "model"],
  ])("that are wrong throw when the host is made: %s", (_what, compaction, name) => {
    const failure = expect.objectContaining({ code: "INVALID_CONFIG", message: expect.stringContaining(name) });
    expect(construct({ defaults: { compaction } })).toThrow(failure as never);
    expect(construct({ list: [{ id: "main", compaction }] })).toThrow(failure as never);
  });

  test("a floor that leaves nothing of the window beside it throws as well", () => {
    const compaction = { reserveTokensFloor: 24_000 };
    expect(construct({ defaults: { contextTokens: 16_000, compaction } })).toThrow(/reserveTokensFloor/);
    expect(construct({ list: [{ id: "main", contextTokens: 16_000, compaction }] })).toThrow(/reserveTokensFloor/);
    expect(construct({ defaults: { contextTokens: 32_000, compaction } })).not.toThrow();
  });

  test("give the thresholds that the status tells", async () => {
    const statusWith = async (window: number, compaction: object) => {
      await using manager = hostOf(limitedModel({ window }), compaction);
      return (await manager.open(KEY)).status();
    };
    expect(await statusWith(200_000, {})).toMatchObject({ contextWindow: 200_000, compactAt: 180_000 });
    expect(await statusWith(32_000, {})).toMatchObject({ compactAt: 16_000 });
    expect(await statusWith(100_000, { reserveTokens: 30_000 })).toMatchObject({ compactAt: 70_000 });
    expect(await statusWith(100_000, { reserveTokens: 5000 })).toMatchObject({ compactAt: 80_000 });
    expect(await statusWith(100_000, { reserveTokens: 5000, reserveTokensFloor: 0 })).toMatchObject({
      compactAt: 95_000,
    });
    expect(await statusWith(8000, { reserveTokensFloor: 0 })).toMatchObject({ compactAt: 8000 });
  });
});
