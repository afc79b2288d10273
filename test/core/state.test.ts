import { describe, expect, test } from "vitest";
import { applyPatch, checkPatch, initialState, isModelName } from "../../src/core/state.js";
import { InvalidConfigError, MAX_EXTRA_BYTES, readEntry, type SessionState } from "../../src/core.js";

const fresh = initialState("dm");

test("nothing is set at first; a group waits to be mentioned, everything else answers", () => {
  expect(fresh).toEqual({
    model: null,
    modelOverride: null,
    activationMode: "always",
    lastCompaction: null,
    memoryFlushed: false,
    extra: {},
  });
  expect(initialState("group")).toEqual({ ...fresh, activationMode: "mention" });
  expect(initialState("main")).toEqual(fresh);
  expect(initialState("subagent")).toEqual(fresh);
});

describe("applyPatch", () => {
  test("changes what the patch names and leaves the rest", () => {
    const state = applyPatch(fresh, { modelOverride: "gpt-4o", extra: { lang: "de", style: ["short"] } });
    expect(state).toEqual({ ...fresh, modelOverride: "gpt-4o", extra: { lang: "de", style: ["short"] } });
    expect(applyPatch(state, { extra: { lang: "fr" } }).extra).toEqual({ lang: "fr", style: ["short"] });
    expect(applyPatch(state, { activationMode: "mention" })).toEqual({ ...state, activationMode: "mention" });
    expect(applyPatch(state, {})).toEqual(state);
  });

  test("null unsets", () => {
    const state = applyPatch(fresh, { model: "a", modelOverride: "b", extra: { x: 1, y: { z: null } } });
    expect(applyPatch(state, { modelOverride: null, extra: { x: null, unknown: null } })).toEqual({
      ...state,
      modelOverride: null,
      extra: { y: { z: null } },
    });
  });

  test("does not change the state it was given", () => {
    const state: SessionState = Object.freeze({ ...fresh, extra: Object.freeze({ a: 1 }) });
    expect(applyPatch(state, { extra: { a: null, b: 2 } }).extra).toEqual({ b: 2 });
    expect(state.extra).toEqual({ a: 1 });
  });

  test("settings named like the insides of an object are only names", () => {
    const { extra } = applyPatch(fresh, { extra: { constructor: 1, toString: "x" } });
    expect(Object.entries(extra)).toEqual([
      ["constructor", 1],
      ["toString", "x"],
    ]);
  });
});

describe("checkPatch", () => {
  test("accepts what a host may set", () => {
    const patch = { modelOverride: "gpt-4o", activationMode: "mention", extra: { a: [1, "x", null, { b: true }] } };
    expect(checkPatch(patch, fresh)).toEqual(patch);
    expect(checkPatch({ modelOverride: null }, fresh)).toEqual({ modelOverride: null });
    expect(checkPatch({}, fresh)).toEqual({});
  });

  const circular: Record<string, unknown> = {};
  circular.self = circular;
  test.each<[what: string, patch: unknown, named: string]>([
    ["an unknown setting", { modelOveride: "x" }, "modelOveride"],
    ["a setting that is not the host's", { memoryFlushed: true }, "memoryFlushed"],
    ["the configured model", { model: "x" }, "model"],
    ["a model that is no text", { modelOverride: 5 }, "modelOverride"],
    ["an empty model", { modelOverride: "" }, "modelOverride"],
    ["an endless model", { modelOverride: "x".repeat(257) }, "modelOverride"],
    ["an activation mode that is none", { activationMode: "never" }, "activationMode"],
    ["extra that is no object", { extra: [1] }, "extra"],
    ["a value JSON cannot hold", { extra: { at: new Date(0) } }, "extra.at"],
    ["NaN", { extra: { n: Number.NaN } }, "extra.n"],
    ["a BigInt", { extra: { n: 1n } }, "extra"],
    ["a circle", { extra: { circular } }, "extra"],
    ["endless nesting", { extra: { deep: JSON.parse("[".repeat(50_000) + "]".repeat(50_000)) } }, "extra"],
    ["a name that objects swallow", { extra: JSON.parse('{"__proto__": 1}') }, "__proto__"],
    ["no object", "modelOverride", "the value"],
    ["null", null, "the value"],
  ])("refuses %s with a typed error that names it", (_what, patch, named) => {
    expect(() => checkPatch(patch, fresh)).toThrow(InvalidConfigError);
    expect(() => checkPatch(patch, fresh)).toThrow(named);
  });

  test("G16 settings take at most 4,096 bytes of JSON, its name included", () => {
    const room = MAX_EXTRA_BYTES - '{"a":""}'.length;
    expect(checkPatch({ extra: { a: "x".repeat(room) } }, fresh).extra).toBeDefined();
    expect(() => checkPatch({ extra: { a: "x".repeat(room + 1) } }, fresh)).toThrow("extra.a");
    expect(() => checkPatch({ extra: { a: "ü".repeat(room / 2 + 1) } }, fresh)).toThrow(InvalidConfigError);
    expect(() => checkPatch({ extra: { ["n".repeat(5000)]: 1 } }, fresh)).toThrow(InvalidConfigError);
  });

  test("G16 that is the sum of all of them; one that is removed makes room, and one too large from before may shrink", () => {
    const half = "x".repeat(MAX_EXTRA_BYTES / 2);
    const full = applyPatch(fresh, checkPatch({ extra: { a: half } }, fresh));
    expect(() => checkPatch({ extra: { b: half } }, full)).toThrow("extra.b");
    expect(checkPatch({ extra: { b: half, a: null } }, full)).toBeDefined();
    const overfull = { ...fresh, extra: { a: half, b: half, c: half } };
    expect(checkPatch({ extra: { c: null } }, overfull)).toBeDefined();
    expect(checkPatch({ modelOverride: "m" }, overfull)).toBeDefined();
    expect(() => checkPatch({ extra: { d: 1 } }, overfull)).toThrow(InvalidConfigError);
  });
});

describe("a model's name", () => {
  test.each<[what: string, name: unknown, kept: boolean]>([
    ["one character", "x", true],
    ["a provider's name", "anthropic/claude-sonnet-4-20250514", true],
    ["256 bytes", "x".repeat(256), true],
    ["257 bytes", "x".repeat(257), false],
    ["255 bytes in 85 characters", "模".repeat(85), true],
    ["258 bytes in 86 characters", "模".repeat(86), false],
    ["43 control characters, six bytes each in JSON", "\u0001".repeat(43), false],
    ["nothing", "", false],
    ["undefined", undefined, false],
    ["a number", 5, false],
  ])("that is %s is kept or refused", (_what, name, kept) => {
    expect(isModelName(name)).toBe(kept);
  });

  test("what is kept reads back from a transcript", () => {
    const line = { type: "state", id: "1", timestamp: "", patch: { modelOverride: "模".repeat(85) } };
    expect(readEntry(JSON.parse(JSON.stringify(line)), "@0")).toEqual(line);
  });
});
