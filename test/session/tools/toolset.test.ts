import { describe, expect, test } from "vitest";
import {
  ClosedError,
  type GenerateRequest,
  InvalidSessionKeyError,
  type JsonObject,
  type SessionManager,
  type SessionsConfigInput,
  type SessionTool,
  sessionTools,
} from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, tempDir } from "../store-dir.js";
import { asKey, OPEN, stage, tool } from "./cast.js";
import { populated } from "./populate.js";

const DM = "agent:main:telegram:dm:1";
const CHILD = "agent:main:subagent:child";
const NAMES = ["session_status", "sessions_list", "sessions_history", "sessions_send", "sessions_spawn"];

const INPUTS: Record<string, JsonObject> = {
  session_status: {},
  sessions_list: {},
  sessions_history: { sessionKey: DM },
  sessions_send: { sessionKey: CHILD, message: "late" },
  sessions_spawn: { task: "late" },
};
const namesOf = (tools: readonly SessionTool[]) => tools.map(({ name }) => name);

/** Every schema within a schema. */
function schemasIn(schema: JsonObject): JsonObject[] {
  const inner = [...Object.values((schema.properties ?? {}) as Record<string, JsonObject>), schema.items as JsonObject];
  return [schema, ...inner.filter((one) => one !== undefined).flatMap(schemasIn)];
}

describe("a session's tools", () => {
  test("are five, each with words for the model and a plain JSON Schema", async () => {
    const { manager } = stage({}, { dir: tempDir() });
    await using _ = manager;
    const tools = sessionTools(manager, DM);
    expect(namesOf(tools)).toEqual(NAMES);
    for (const { description, inputSchema } of tools) {
      expect(description.length).toBeGreaterThan(40);
      expect(JSON.parse(JSON.stringify(inputSchema))).toStrictEqual(inputSchema);
      expect(inputSchema).toMatchObject({ type: "object", additionalProperties: false });
      expect(JSON.stringify(inputSchema)).not.toMatch(/\$schema|\$ref|9007199254740991/);
      for (const field of Object.values(inputSchema.properties as Record<string, JsonObject>))
        expect(String(field.description).length).toBeGreaterThan(10);
      for (const schema of schemasIn(inputSchema))
        expect(["object", "string", "integer", "number", "boolean", "array"]).toContain(schema.type);
      // Nothing in it says who asks.
      expect(Object.keys(inputSchema.properties as object).join()).not.toMatch(/requester|caller|from|parent|visib/i);
    }
    const required = Object.fromEntries(tools.map(({ name, inputSchema }) => [name, inputSchema.required ?? []]));
    expect(required).toEqual({
      session_status: [],
      sessions_list: [],
      sessions_history: ["sessionKey"],
      sessions_send: ["sessionKey", "message"],
      sessions_spawn: ["task"],
    });
  });

  test("are without those denied to all and to the agent, also in a request", async () => {
    const config: SessionsConfigInput = {
      ...OPEN,
      agents: { list: [{ id: "main", tools: { deny: ["sessions_send", "others_tool"] } }, { id: "coder" }] },
      tools: { ...OPEN.tools, deny: ["sessions_spawn"] },
    };
    const { manager, provider } = stage({ "agent:": () => "ok" }, { dir: tempDir(), config });
    await using _ = manager;
    const forMain = ["session_status", "sessions_list", "sessions_history"];
    const forCoder = [...forMain, "sessions_send"];
    expect(namesOf(sessionTools(manager, DM))).toEqual(forMain);
    expect(namesOf(sessionTools(manager, "agent:main:subagent:s"))).toEqual(forMain);
    expect(namesOf(sessionTools(manager, "agent:coder:main"))).toEqual(forCoder);
    await manager.handle(builders().dm("1", "hi"));
    await manager.handle(builders().dm("1", "hi", { agentId: "coder" }));
    expect(provider.requests.map(({ tools }) => namesOf(tools))).toEqual([forMain, forCoder]);
  });

  test.each<[string, string[]]>([
    ["*", []],
    ["group:sessions", []],
    ["sessions_*", ["session_status"]],
    ["session*s*", []],
    ["*_s*", ["sessions_list", "sessions_history"]],
    ["session_*", ["sessions_list", "sessions_history", "sessions_send", "sessions_spawn"]],
    ["group:fs", NAMES],
    ["other_*", NAMES],
  ])("are without those that a pattern or a group denies: %s leaves %j", async (denied, left) => {
    const deny = [denied];
    const toAll: SessionsConfigInput = { tools: { deny } };
    const toOne: SessionsConfigInput = { agents: { list: [{ id: "main", tools: { deny } }, { id: "coder" }] } };
    for (const [config, forCoder] of [
      [toAll, left],
      [toOne, NAMES],
    ] as const) {
      const { manager, provider } = stage({ "agent:": () => "ok" }, { storage: await populated([]), config });
      await using _ = manager;
      expect(namesOf(sessionTools(manager, DM))).toEqual(left);
      expect(namesOf(sessionTools(manager, CHILD))).toEqual(left);
      expect(namesOf(sessionTools(manager, "agent:coder:main"))).toEqual(forCoder);
      await manager.handle(builders().dm("1", "hi"));
      await manager.handle(builders().dm("1", "hi", { agentId: "coder" }));
      expect(provider.requests.map(({ tools }) => namesOf(tools))).toEqual([left, forCoder]);
    }
  });

  test("in a request are those of its session, whoever's message it is", async () => {
    const seen: unknown[] = [];
    const { manager } = stage(
      {
        "agent:": async ({ tools }) => {
          seen.push((await tools.find(({ name }) => name === "session_status")?.execute({}))?.key);
          return "ok";
        },
      },
      { dir: tempDir() },
    );
    await using _ = manager;
    await manager.handle(builders().dm("1", "hi"));
    await tool(manager, DM, "sessions_send").execute({ sessionKey: "agent:coder:main", message: "hi" });
    const spawned = await tool(manager, DM, "sessions_spawn").execute({ task: "go" });
    expect(seen).toEqual([DM, "agent:coder:main", spawned.childSessionKey]);
  });

  test("are not given to a summary or a memory flush", async () => {
    const { manager, provider } = stage(
      { "agent:": ({ purpose }) => (purpose === "summary" ? "They counted for a while." : "ok") },
      { dir: tempDir(), config: { agents: { defaults: { compaction: { keepRecentTokens: 50 } } } } },
    );
    await using _ = manager;
    const session = await manager.open(asKey(DM));
    for (let n = 0; n < 20; n += 1)
      await session.append(
        { role: "user", content: `${n} and on `.repeat(50) },
        { role: "assistant", content: `${n}` },
      );
    expect(await session.compact()).toMatchObject({ status: "compacted" });
    await session.flushMemory();
    const purposes = provider.requests.map(({ purpose }) => purpose);
    expect(new Set(purposes)).toEqual(new Set(["memory-flush", "summary"]));
    expect(provider.requests.map(({ tools }) => tools)).toEqual(purposes.map(() => []));
  });

  test.each(NAMES)("%s of a request does nothing any more when the turn has ended", async (name) => {
    const kept: GenerateRequest[] = [];
    const storage = await populated([{ key: DM }, { key: CHILD, ancestors: [DM] }]);
    const { manager, provider } = stage({ "agent:": (request) => `${kept.push(request)}` }, { storage });
    await using _ = manager;
    await manager.handle(builders().dm("1", "hi"));
    const before = await all(manager.list());
    const late = kept[0]?.tools.find((one) => one.name === name);
    const answer = await late?.execute(INPUTS[name]).catch((error: unknown) => ({ error }));
    expect(answer).toHaveProperty("error");
    expect(await all(manager.list())).toEqual(before);
    expect(provider.requests).toHaveLength(1);
  });

  test.each(["", "main", "agent:main", "agent:Main:main", `${DM}:x`, "agent:main:main ", "../x"])(
    "a requester that is no key throws: %j",
    async (requester) => {
      const { manager } = stage({}, { dir: tempDir() });
      await using _ = manager;
      expect(() => sessionTools(manager, requester)).toThrow(InvalidSessionKeyError);
    },
  );

  test("what is no manager is a TypeError", () => {
    for (const wrong of [{}, undefined, null, "manager", { list: () => [] }])
      expect(() => sessionTools(wrong as unknown as SessionManager, DM)).toThrow(TypeError);
  });

  test.each(NAMES)("%s rejects with ClosedError once the manager is closed", async (name) => {
    const { manager } = stage({}, { storage: await populated([{ key: DM }, { key: CHILD, ancestors: [DM] }]) });
    const kept = tool(manager, DM, name);
    await manager.close();
    await expect(kept.execute(INPUTS[name])).rejects.toThrow(ClosedError);
    await expect(tool(manager, DM, name).execute(INPUTS[name])).rejects.toThrow(ClosedError);
  });

  test("a sub-agent that has been removed has tools that do nothing", async () => {
    const { manager } = stage({}, { storage: await populated([{ key: DM }]) });
    await using _ = manager;
    for (const { name, execute } of sessionTools(manager, CHILD))
      expect([name, await execute(INPUTS[name])]).toEqual([
        name,
        expect.objectContaining({ error: expect.any(String) }),
      ]);
    expect((await all(manager.list())).map(({ key }) => key)).toEqual([DM]);
  });
});
