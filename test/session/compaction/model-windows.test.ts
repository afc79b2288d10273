import { describe, expect, test, vi } from "vitest";
import { parseConfig } from "../../../src/core/config.js";
import type { ProviderHooks } from "../../../src/index.js";
import { ModelWindows } from "../../../src/session/prompt/model-windows.js";
import { KEY } from "./conversation.js";

const HOUR = 3_600_000;

function windowsOf(contextWindow?: ProviderHooks["contextWindow"], contextTokens?: number) {
  const warn = vi.fn();
  const quiet = () => undefined;
  const logger = { debug: quiet, info: quiet, warn, error: quiet };
  const clock = { time: Date.UTC(2026, 0, 1), now: () => clock.time };
  const provider = { generate: async () => "ok", ...(contextWindow && { contextWindow }) };
  const config = parseConfig(contextTokens === undefined ? {} : { agents: { defaults: { contextTokens } } });
  const windows = new ModelWindows(config, provider, logger, clock);
  return { warn, clock, windows, inForce: (uuid = "u1", model = "m") => windows.for(uuid, model, "main", KEY) };
}

describe("G13 a window that is not known", () => {
  test("gives one warning for each model, and 200,000", () => {
    const { warn, windows } = windowsOf();
    for (let n = 0; n < 5; n += 1) {
      expect(windows.of("a", "main", KEY)).toBe(200_000);
      expect(windows.for("u1", "a", "main", KEY)).toBe(200_000);
      expect(windows.of("b", "other", KEY)).toBe(200_000);
      expect(windows.of(undefined, "main", KEY)).toBe(200_000);
    }
    expect(warn.mock.calls.map(([facts]) => (facts as { model?: string }).model)).toEqual(["a", "b", undefined]);
  });

  test("gives at most 20 warnings, whatever models are chosen", () => {
    const { warn, windows } = windowsOf();
    for (let n = 0; n < 500; n += 1) expect(windows.of(`m${n}`, "main", KEY)).toBe(200_000);
    expect(warn).toHaveBeenCalledTimes(20);
  });

  test("gives none where the host or the config names it", () => {
    const named = windowsOf(() => 8000);
    const configured = windowsOf(() => undefined, 16_000);
    for (let n = 0; n < 30; n += 1) {
      expect(named.windows.of(`m${n}`, "main", KEY)).toBe(8000);
      expect(configured.windows.of(`m${n}`, "main", KEY)).toBe(16_000);
    }
    expect(named.warn).not.toHaveBeenCalled();
    expect(configured.warn).not.toHaveBeenCalled();
  });
});

describe("G6 what was refused", () => {
  test("says nothing of a window that the host or the config names", () => {
    for (const { windows, inForce } of [windowsOf(() => 200_000), windowsOf(undefined, 200_000)]) {
      windows.refused("u1", "m", 5000);
      expect(inForce()).toBe(200_000);
    }
  });

  test("is the size of a window that nobody names: of that session, that model and for an hour", () => {
    const { windows, inForce, clock } = windowsOf();
    windows.refused("u1", "m", 5000);
    windows.refused("u1", "m", 7000);
    expect(inForce()).toBe(5000);
    expect(inForce("u2")).toBe(200_000);
    expect(inForce("u1", "n")).toBe(200_000);
    clock.time += HOUR;
    expect(inForce()).toBe(200_000);
  });

  test("was too little to be a window where it is less than 1,000 tokens", () => {
    const { windows, inForce } = windowsOf();
    windows.refused("u1", "m", 999);
    expect(inForce()).toBe(200_000);
  });

  test("is forgotten when as much has been accepted, and not before", () => {
    const { windows, inForce } = windowsOf();
    windows.refused("u1", "m", 5000);
    windows.accepted("u1", "m", 4999);
    windows.accepted("u2", "m", 9000);
    windows.accepted("u1", "large", 9000);
    expect(inForce()).toBe(5000);
    windows.accepted("u1", "m", 5000);
    expect(inForce()).toBe(200_000);
  });
});

describe("G21 media that were refused", () => {
  test("are left out of that session's prompts from the start, for an hour", () => {
    const { windows, clock } = windowsOf();
    expect(windows.mediaOf("u1")).toBe("all");
    windows.leftOutMedia("u1");
    expect([windows.mediaOf("u1"), windows.mediaOf("u2")]).toEqual(["last-turn", "all"]);
    clock.time += HOUR;
    expect(windows.mediaOf("u1")).toBe("all");
  });
});
