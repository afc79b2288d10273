import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type JsonObject, type SessionManager, sessionTools } from "../../../src/index.js";
import { HOSTILE_IDS } from "../../core/arbitraries.js";
import { all } from "../store-dir.js";
import { stage, tool } from "./cast.js";
import { populated } from "./populate.js";

const DM = "agent:main:telegram:dm:1";
const CHILD = "agent:main:subagent:child";
const HIDDEN = ["agent:main:main", "agent:main:telegram:dm:2", "agent:coder:subagent:x", "agent:coder:main"];

const ALL_NAMES = ["session_status", "sessions_list", "sessions_history", "sessions_send", "sessions_spawn"];
const RATE = { maxSendsPerMinute: 1_000_000 };
const store = () => populated([{ key: DM }, { key: CHILD, ancestors: [DM] }, ...HIDDEN.map((key) => ({ key }))]);
const keysOf = async (manager: SessionManager) => (await all(manager.list())).map(({ key }) => key).sort();
const refused = (answer: JsonObject) => "error" in answer;

describe("G18 whatever a model puts into a tool is answered", () => {
  const text = fc.oneof(fc.constantFrom<string[]>(...HIDDEN, DM, CHILD, ...HOSTILE_IDS), fc.string());
  const value = fc.oneof(fc.jsonValue(), text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer());
  const fields = ["sessionKey", "runId", "kinds", "limit", "activeMinutes", "messageLimit", "before", "includeTools"];
  const moreFields = ["message", "task", "agentId", "label", "model", "mode", "cleanup", "__proto__", "from", "key"];
  const likely: fc.Arbitrary<object> = fc.record(
    {
      sessionKey: fc.oneof(text, value),
      runId: fc.oneof(text, value),
      kinds: fc.oneof(fc.subarray(["main", "dm", "group", "subagent"]), value),
      limit: fc.oneof(fc.integer({ min: 1, max: 200 }), value),
      activeMinutes: fc.oneof(fc.double({ min: 1e-300, max: 6e6, noNaN: true }), value),
      messageLimit: fc.oneof(fc.integer({ min: 0, max: 20 }), value),
      before: fc.oneof(text, value),
      includeTools: fc.oneof(fc.boolean(), value),
      message: fc.oneof(text, value),
      task: fc.oneof(text, value),
      agentId: fc.oneof(fc.constantFrom("main", "coder", "constructor"), text, value),
      label: fc.oneof(text, value),
      model: fc.oneof(text, value),
      mode: fc.oneof(fc.constantFrom("run", "start"), value),
      timeoutSeconds: fc.oneof(fc.constantFrom(0, 1, 30), fc.jsonValue()),
      cleanup: fc.oneof(fc.constantFrom("keep", "delete"), value),
    },
    { requiredKeys: [] },
  );
  const oneOff = fc
    .dictionary(fc.constantFrom(...fields, ...moreFields), value)
    .map((record): object => JSON.parse(JSON.stringify(record)) as object);
  // What fits each tool, with at most one thing in it that does not: what is not refused at once goes deepest.
  const fitting: Record<string, fc.Arbitrary<object>> = {
    session_status: fc.record({ sessionKey: text, runId: text }, { requiredKeys: [] }),
    sessions_list: fc.record(
      { kinds: fc.subarray(["main", "dm", "group", "subagent"]), limit: fc.integer({ min: 1, max: 200 }) },
      { requiredKeys: [] },
    ),
    sessions_history: fc.record(
      { sessionKey: text, before: text, limit: fc.integer({ min: 1, max: 200 }), includeTools: fc.boolean() },
      { requiredKeys: ["sessionKey"] },
    ),
    sessions_send: fc.record(
      { sessionKey: text, message: text, timeoutSeconds: fc.constantFrom(0, 1, 30) },
      { requiredKeys: ["sessionKey", "message"] },
    ),
    sessions_spawn: fc.record({ task: text, agentId: text, label: text, model: text }, { requiredKeys: ["task"] }),
  };

  test.each(ALL_NAMES)("%s never throws, makes nothing where it refuses, and says what JSON can", async (name) => {
    const { manager } = stage(
      { "agent:": () => "done" },
      { storage: await store(), config: { tools: { sessions: RATE } } },
    );
    await using _ = manager;
    const input = fc.oneof(value, likely, oneOff, fitting[name] ?? value);
    await fc.assert(
      fc.asyncProperty(input, async (given) => {
        const before = await keysOf(manager);
        const answer = await tool(manager, DM, name).execute(given);
        expect(JSON.parse(JSON.stringify(answer))).toStrictEqual(answer);
        if (!refused(answer)) return;
        expect(answer.error).toEqual(expect.any(String));
        expect(await keysOf(manager)).toEqual(before);
      }),
      { numRuns: 300 },
    );
  });

  test.each(ALL_NAMES)("%s refuses fields it does not have, such as who asks", async (name) => {
    const { manager } = stage({}, { storage: await store(), config: {} });
    await using _ = manager;
    for (const field of ["requester", "from", "agent", "visibility", "sandbox", "ancestors"])
      expect(await tool(manager, DM, name).execute({ [field]: "agent:main:main" })).toMatchObject({
        error: expect.stringContaining(field),
      });
  });

  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };
  const throwing = () => {
    throw new Error("not to be read");
  };
  // What a tool needs; the others need nothing.
  const REQUIRED: Record<string, object> = {
    sessions_history: { sessionKey: CHILD },
    sessions_send: { sessionKey: CHILD, message: "hi" },
    sessions_spawn: { task: "work" },
  };
  async function answersTo(inputOf: (fields: object) => unknown): Promise<[string, JsonObject][]> {
    const { manager, provider } = stage({ "agent:": () => "done" }, { storage: await store(), config: {} });
    await using _ = manager;
    const before = await keysOf(manager);
    const answers: [string, JsonObject][] = [];
    for (const { name, execute } of sessionTools(manager, DM))
      answers.push([name, await execute(inputOf(REQUIRED[name] ?? {}))]);
    expect(await keysOf(manager)).toEqual(before);
    expect(provider.requests).toEqual([]);
    return answers;
  }
  const anError = expect.objectContaining({ error: expect.any(String) });

  test.each<[string, (fields: object) => unknown]>([
    [
      "an object with a getter that throws",
      (fields) => Object.defineProperty({ ...fields }, "limit", { enumerable: true, get: throwing }),
    ],
    ["a proxy that does not say what it has", (fields) => new Proxy(fields, { ownKeys: throwing })],
    ["a proxy that does not say what it is", (fields) => new Proxy(fields, { get: throwing })],
    ["a revoked proxy", revoked],
    ["an array", (fields) => [fields]],
    ["a function", () => () => ({})],
  ])("%s is answered with an error by each tool, and nothing is made", async (_what, inputOf) => {
    const answers = await answersTo(inputOf);
    expect(answers).toEqual(ALL_NAMES.map((name) => [name, anError]));
    for (const name of ["sessions_send", "sessions_spawn"])
      expect(Object.fromEntries(answers)[name]).toMatchObject({ status: "error" });
  });

  test.each<[string, (fields: object) => unknown]>([
    ["a Map", (fields) => new Map(Object.entries(fields))],
    ["a Set", (fields) => new Set(Object.values(fields))],
    ["a Date", () => new Date(0)],
    ["an Error", () => new Error("x")],
  ])("%s is answered with an error by each tool that needs something, and nothing is made", async (_what, inputOf) => {
    const answers = (await answersTo(inputOf)).filter(([name]) => name in REQUIRED);
    expect(answers).toEqual(Object.keys(REQUIRED).map((name) => [name, anError]));
  });

  test.each([2.01, 16.1, 0.0005, 1e-9])(
    "sessions_send waits %d seconds as well as any other time",
    async (timeoutSeconds) => {
      const { manager } = stage({ "agent:": () => "done" }, { storage: await store() });
      await using _ = manager;
      const sent = await tool(manager, DM, "sessions_send").execute({
        sessionKey: CHILD,
        message: "hi",
        timeoutSeconds,
      });
      expect(["ok", "timeout"]).toContain(sent.status);
    },
  );

  test.each([2.01, 16.1])("sessions_spawn gives %d seconds as well as any other time", async (timeoutSeconds) => {
    const { manager } = stage({ "agent:": () => "done" }, { storage: await store() });
    await using _ = manager;
    const spawned = await tool(manager, DM, "sessions_spawn").execute({ task: "x", timeoutSeconds });
    expect(spawned).toMatchObject({ status: "completed", result: "done" });
  });

  test("an empty session's tools answer too, and only reading makes none", async () => {
    const { manager } = stage({}, { storage: await populated([]), config: {} });
    await using _ = manager;
    for (const { name, execute } of sessionTools(manager, DM)) {
      for (const given of [undefined, null, {}, [], "", 0, { sessionKey: DM }, { sessionKey: "main" }])
        expect([name, typeof (await execute(given))]).toEqual([name, "object"]);
    }
    expect(await keysOf(manager)).toEqual([]);
  });
});

test.each<[string, () => unknown]>([
  ["a Map", () => new Map([["sessionKey", "x"]])],
  ["a Date", () => new Date(0)],
  [
    "a revoked proxy within",
    () => {
      const { proxy, revoke } = Proxy.revocable({}, {});
      revoke();
      return { sessionKey: proxy };
    },
  ],
])("session_status answers %s with an error", async (_what, inputOf) => {
  const { manager } = stage({}, { storage: await populated([{ key: DM }]) });
  await using _ = manager;
  expect(await tool(manager, DM, "session_status").execute(inputOf())).toHaveProperty("error");
});
