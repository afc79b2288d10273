import { describe, expect, test } from "vitest";
import { agentCompaction, parseConfig } from "../../../src/core/config.js";
import { MemoryStorage, type ProviderHooks, SessionManager } from "../../../src/index.js";
import { KEY } from "./conversation.js";

const floorOf = (agents: unknown, id = "other") => agentCompaction(parseConfig({ agents }), id).reserveTokensFloor;
const provider: ProviderHooks = {
  contextWindow: (model) => (model === "big" ? 200_000 : undefined),
  generate: async () => "ok",
};

async function compactAt(agents: unknown): Promise<number> {
  const config = { agents } as never;
  await using manager = new SessionManager({ storage: new MemoryStorage(), provider, config });
  return (await (await manager.open(KEY)).status()).compactAt;
}

describe("what is kept free by default", () => {
  test("is 20,000 whatever contextTokens says, for all agents or for one", () => {
    const other = { id: "other", contextTokens: 1_000_000 };
    expect(floorOf({})).toBe(20_000);
    expect(floorOf({ defaults: { contextTokens: 8000 } })).toBe(20_000);
    expect(floorOf({ list: [{ id: "other", contextTokens: 8000 }] })).toBe(20_000);
    expect(floorOf({ defaults: { contextTokens: 8000 }, list: [{ id: "main" }, other] })).toBe(20_000);
    expect(floorOf({ defaults: { contextTokens: 8000 }, list: [{ id: "main" }, other] }, "main")).toBe(20_000);
  });

  test("is as much in the window of a model that the host knows, where contextTokens is for the others", async () => {
    expect(await compactAt({ defaults: { model: "big", contextTokens: 8000 } })).toBe(180_000);
    expect(await compactAt({ defaults: { model: "big" }, list: [{ id: "main", contextTokens: 8000 }] })).toBe(180_000);
    expect(await compactAt({ defaults: { model: "none", contextTokens: 8000 } })).toBe(4000);
  });

  test("is half of a window that is smaller, also written out as a setting", () => {
    expect(() => parseConfig({ agents: { list: [{ id: "x", contextTokens: 8000 }] } })).not.toThrow();
    expect(() => parseConfig(parseConfig({ agents: { defaults: { contextTokens: 8000 } } }))).not.toThrow();
  });
});

describe("what an agent is to keep free", () => {
  const thrown = (agents: unknown) => () => parseConfig({ agents });
  const failure = (name: string, path: string) =>
    expect.objectContaining({ code: "INVALID_CONFIG", message: expect.stringMatching(`${path}.*${name}`) }) as never;

  test.each(["reserveTokens", "reserveTokensFloor"])(
    "throws above a window it inherits, and names the agent: %s",
    (name) => {
      const list = [{ id: "main" }, { id: "other", compaction: { [name]: 9000 } }];
      expect(thrown({ defaults: { contextTokens: 8000 }, list })).toThrow(failure(name, "other"));
      expect(thrown({ defaults: { contextTokens: 16_000 }, list })).not.toThrow();
      expect(thrown({ list })).not.toThrow();
    },
  );

  test.each(["reserveTokens", "reserveTokensFloor"])("throws above its own window where it inherits %s", (name) => {
    const defaults = { compaction: { [name]: 9000 } };
    expect(thrown({ defaults, list: [{ id: "other", contextTokens: 8000 }] })).toThrow(failure(name, "other"));
    expect(thrown({ defaults, list: [{ id: "other", contextTokens: 16_000 }] })).not.toThrow();
  });
});
