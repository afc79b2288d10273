import { describe, expect, test, vi } from "vitest";
import type { MessageEntry, SessionKey } from "../../../src/index.js";
import { type Counted, TokenGauge } from "../../../src/session/prompt/token-gauge.js";
import { KEY, words } from "./conversation.js";
import { tokensOf } from "./limited-model.js";

const counted = (uuid = "u1"): Counted => ({
  key: KEY as SessionKey,
  uuid,
  model: undefined,
  nameSenders: false,
  maxResultCharacters: 10_000,
});
const entry = (id: string, content: string): MessageEntry =>
  ({ type: "message", id, timestamp: "2026-01-01T00:00:00.000Z", role: "user", content }) as MessageEntry;

function gaugeThat(load: () => Promise<never>) {
  const warn = vi.fn();
  const quiet = () => undefined;
  const loader = vi.fn(load);
  const logger = { debug: quiet, info: quiet, warn, error: quiet };
  return { warn, loader, gauge: new TokenGauge(loader, undefined, logger) };
}

describe("G13 a tokeniser that cannot be loaded", () => {
  test.each<[string, () => Promise<never>]>([
    ["an error", () => Promise.reject(new Error("tiktoken_bg.wasm: secret path"))],
    ["no error", () => Promise.reject("wasm")],
    [
      "an error at once",
      () => {
        throw new TypeError("no WebAssembly");
      },
    ],
  ])("with %s costs a warning and never rejects: tokens are counted roughly", async (_what, load) => {
    const { gauge, warn, loader } = gaugeThat(load);
    const texts = [words("q1.", 200), "Wie geht es dir heute, und was machst du am Wochenende? ".repeat(20), "ok"];
    const entries = texts.map((text, at) => entry(`m${at}`, text));
    const sizes = await gauge.sizes(entries, counted());
    for (const [at, content] of texts.entries()) {
      const real = await tokensOf([{ role: "user", content }]);
      expect(sizes[at]).toBeGreaterThanOrEqual(real * 0.6);
      expect(sizes[at]).toBeLessThanOrEqual(real * 2.5);
    }
    expect(await gauge.size({ role: "user", content: "あいう".repeat(100) }, counted())).toBeGreaterThanOrEqual(300);
    expect(await gauge.sizes(entries, counted("u2"))).toEqual(sizes);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(loader).toHaveBeenCalledTimes(1);
    expect(JSON.stringify(warn.mock.calls)).toContain("tiktoken");
    expect(JSON.stringify(warn.mock.calls)).not.toContain("secret");
  });

  test("warns once also where many count at the same time", async () => {
    const { gauge, warn } = gaugeThat(() => Promise.reject(new Error("no wasm")));
    const work = Array.from({ length: 8 }, (_, at) => gauge.sizes([entry(`m${at}`, "hello there")], counted()));
    const sizes = await Promise.all(work);
    expect(new Set(sizes.flat()).size).toBe(1);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  test("says nothing while nothing has to be counted", async () => {
    const { gauge, warn, loader } = gaugeThat(() => Promise.reject(new Error("no wasm")));
    expect(gauge.most([entry("m1", "hello")], counted())).toBeGreaterThan(0);
    expect(await gauge.sizes([], counted())).toEqual([]);
    expect(loader).not.toHaveBeenCalled();
    expect(warn).not.toHaveBeenCalled();
  });
});
