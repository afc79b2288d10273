import fc from "fast-check";
import { expect, test } from "vitest";
import { type Cause, nextHop, type SessionKey } from "../../src/core.js";

const key = (name: string) => `agent:${name}:main` as SessionKey;
const NO_CAUSE: Cause = { hops: 0, chain: [] };

test("G19 a hop adds its sender to the chain and counts", () => {
  const first = nextHop(NO_CAUSE, key("a"), key("b"), 5);
  expect(first).toEqual({ allowed: true, cause: { hops: 1, chain: [key("a")] } });
  const second = first.allowed && nextHop(first.cause, key("b"), key("c"), 5);
  expect(second).toEqual({ allowed: true, cause: { hops: 2, chain: [key("a"), key("b")] } });
});

test("G19 nobody in the chain is sent to, nor is a session by itself", () => {
  const cause = { hops: 2, chain: [key("a"), key("b")] };
  for (const target of ["a", "b", "c"])
    expect([target, nextHop(cause, key("c"), key(target), 99).allowed]).toEqual([target, false]);
  expect(nextHop(cause, key("c"), key("d"), 99).allowed).toBe(true);
});

test("G19 the limit holds over any number of sessions, and says which setting it is", () => {
  expect(nextHop({ hops: 4, chain: [] }, key("a"), key("b"), 5).allowed).toBe(true);
  expect(nextHop({ hops: 5, chain: [] }, key("a"), key("b"), 5)).toEqual({
    allowed: false,
    reason: expect.stringContaining("in a row"),
    setting: "tools.sessions.maxHops is 5",
  });
});

test("G19 however sessions send to each other, a chain ends within its limit and has nobody twice", () => {
  const anyKey = fc.constantFrom(..."abcdefgh").map(key);
  fc.assert(
    fc.property(fc.array(anyKey, { maxLength: 40 }), fc.integer({ min: 1, max: 9 }), (targets, maxHops) => {
      let cause = NO_CAUSE;
      let at = key("start");
      for (const target of targets) {
        const hop = nextHop(cause, at, target, maxHops);
        if (!hop.allowed) continue;
        ({ cause } = hop);
        at = target;
        expect(new Set(cause.chain).size).toBe(cause.chain.length);
        expect(cause.chain).not.toContain(at);
        expect(cause.hops).toBeLessThanOrEqual(maxHops);
      }
    }),
  );
});
