import { describe, expect, test } from "vitest";
import { jsonBytes } from "../../../src/core/json.js";
import type { ContentPart, JsonObject } from "../../../src/index.js";
import { builders, manualClock } from "../../../src/testing.js";
import { tempDir } from "../store-dir.js";
import { OPEN, stage, tool } from "./cast.js";
import { populated } from "./populate.js";

const DM = "agent:main:telegram:dm:1";
const MAIN = "agent:main:main";

type Shown = { content: string };
const keysOf = (answer: JsonObject) => (answer.sessions as { key: string }[]).map(({ key }) => key);

const call: ContentPart = { type: "tool-call", toolCallId: "1", toolName: "read", input: { path: "x" } };
const result: ContentPart = { type: "tool-result", toolCallId: "1", toolName: "read", output: "lines" };

describe("sessions_list", () => {
  test("tells of each session its key, kind, last activity, messages and model, the latest active first", async () => {
    const clock = manualClock();
    const { manager } = stage(
      { "agent:": () => "ok" },
      { dir: tempDir(), clock, config: { ...OPEN, agents: { defaults: { model: "m-1" } } } },
    );
    await using _ = manager;
    await manager.handle(builders().dm("1", "hello"));
    clock.advance(60_000);
    await manager.handle(builders().inGroup("-100", "Ann", "hello", { mentioned: true }));
    expect(await tool(manager, DM, "sessions_list").execute({})).toEqual({
      count: 2,
      sessions: [
        {
          key: "agent:main:telegram:group:-100",
          kind: "group",
          lastActive: "2026-03-18T10:01:00.000Z",
          messageCount: 2,
          model: "m-1",
        },
        { key: DM, kind: "dm", lastActive: "2026-03-18T10:00:00.000Z", messageCount: 2, model: "m-1" },
      ],
    });
  });

  test("lists some kinds, and an unknown one is an error that names those there are", async () => {
    const keys = [MAIN, DM, "agent:main:dm:ann", "agent:main:telegram:group:-1", "agent:main:subagent:s"];
    const { manager } = stage({}, { storage: await populated(keys.map((key) => ({ key }))) });
    await using _ = manager;
    const list = (input: object) => tool(manager, MAIN, "sessions_list").execute(input);
    const kinds = async (...some: string[]) => keysOf(await list({ kinds: some })).sort();
    expect(await kinds("main")).toEqual([MAIN]);
    expect(await kinds("dm")).toEqual(["agent:main:dm:ann", DM]);
    expect(await kinds("group", "subagent")).toEqual(["agent:main:subagent:s", "agent:main:telegram:group:-1"]);
    expect(await kinds()).toEqual([...keys].sort());
    expect(await kinds("main", "dm", "group", "subagent")).toEqual([...keys].sort());
    for (const kind of ["cron", "DM", "", "other"]) {
      const { error, ...rest } = await list({ kinds: [kind] });
      expect(rest).toEqual({});
      for (const known of ["main", "dm", "group", "subagent"]) expect(error).toContain(`"${known}"`);
    }
  });

  test("shows 50 where no limit is given, and says that there are more", async () => {
    const people = Array.from({ length: 60 }, (_, n) => ({ key: `agent:main:telegram:dm:${n}` }));
    const { manager } = stage({}, { storage: await populated(people) });
    await using _ = manager;
    const list = (input: object) => tool(manager, DM, "sessions_list").execute(input);
    for (const [input, count, more] of [
      [{}, 50, true],
      [{ limit: 59 }, 59, true],
      [{ limit: 60 }, 60, undefined],
      [{ limit: 200 }, 60, undefined],
      [{ limit: 1 }, 1, true],
    ] as const) {
      const answer = await list(input);
      expect([input, answer.count, keysOf(answer).length, answer.more]).toEqual([input, count, count, more]);
    }
    // Some frameworks hand on what was left out as null.
    expect((await list({ limit: null })).count).toBe(50);
    for (const limit of [0, -1, 1.5, 201, "5"]) expect(await list({ limit })).toHaveProperty("error");
  });

  test("activeMinutes counts back from now, by the host's clock", async () => {
    const clock = manualClock();
    const { manager } = stage({ "agent:": () => "ok" }, { dir: tempDir(), clock });
    await using _ = manager;
    for (const peer of ["1", "2", "3"]) {
      await manager.handle(builders().dm(peer, "hello"));
      clock.advance(10 * 60_000);
    }
    const active = async (activeMinutes: number) =>
      keysOf(await tool(manager, DM, "sessions_list").execute({ activeMinutes })).map((key) => key.at(-1));
    expect(await active(9.99)).toEqual([]);
    expect(await active(10)).toEqual(["3"]);
    expect(await active(25)).toEqual(["3", "2"]);
    expect(await active(5_256_000)).toEqual(["3", "2", "1"]);
    for (const wrong of [0, -5, "10", 5_256_001])
      expect(await tool(manager, DM, "sessions_list").execute({ activeMinutes: wrong })).toHaveProperty("error");
  });

  test("messageLimit adds the last messages of each, without tools and what was cleared", async () => {
    const { user, assistant, tool: toolMessage, clear } = builders();
    const entries = [
      user("old"),
      clear(),
      user("one"),
      assistant([call]),
      toolMessage([result]),
      assistant("two"),
      user("three"),
    ];
    const storage = await populated([{ key: DM, entries: [...entries, user("gone", { cleared: true })] }]);
    const { manager } = stage({}, { storage });
    await using _ = manager;
    const list = (input: object) => tool(manager, DM, "sessions_list").execute(input);
    const shown = async (input: object) =>
      ((await list(input)).sessions as { messages?: Shown[] }[])[0]?.messages?.map(({ content }) => content);
    expect(await shown({})).toBeUndefined();
    expect(await shown({ messageLimit: 0 })).toBeUndefined();
    expect(await shown({ messageLimit: 2 })).toEqual(["two", "three"]);
    expect(await shown({ messageLimit: 20 })).toEqual(["one", "two", "three"]);
    expect(await list({ messageLimit: 21 })).toHaveProperty("error");
  });

  test.each([1, 10, 60, 200])("the messages of %d sessions take no more than 64 KiB together", async (count) => {
    const { user } = builders();
    const people = Array.from({ length: count }, (_, n) => ({
      key: `agent:main:telegram:dm:${n}`,
      entries: Array.from({ length: 20 }, () => user("ü".repeat(5000))),
    }));
    const { manager } = stage({}, { storage: await populated(people) });
    await using _ = manager;
    const { sessions } = await tool(manager, DM, "sessions_list").execute({ messageLimit: 20, limit: 200 });
    const lists = (sessions as { messages: Shown[] }[]).map(({ messages }) => messages);
    expect(lists).toHaveLength(count);
    for (const messages of lists) expect(messages.length).toBeGreaterThan(0);
    expect(lists.reduce((sum, messages) => sum + jsonBytes(messages), 0)).toBeLessThanOrEqual(65_536);
  });
});

describe("session_status", () => {
  test("tells of the session itself where no key is given, and of others by key", async () => {
    const { manager } = stage(
      { "agent:": () => ({ messages: [{ role: "assistant", content: "hi" }], usage: { input: 1200, output: 30 } }) },
      { dir: tempDir(), config: { ...OPEN, agents: { defaults: { model: "m-1", contextTokens: 50_000 } } } },
    );
    await using _ = manager;
    await manager.handle(builders().dm("1", "hello"));
    const own = await tool(manager, DM, "session_status").execute({});
    expect(own).toEqual({
      key: DM,
      messageCount: 2,
      model: "m-1",
      tokensUsed: expect.any(Number),
      contextWindow: 50_000,
      lastActive: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      busy: false,
    });
    expect(own.tokensUsed).toBeGreaterThanOrEqual(1200);
    expect(own.tokensUsed).toBeLessThanOrEqual(1230);
    const other = "agent:coder:telegram:dm:2";
    expect(await tool(manager, other, "session_status").execute({ sessionKey: DM })).toEqual(own);
    expect(await tool(manager, other, "session_status").execute({})).toEqual({
      key: other,
      messageCount: 0,
      model: null,
      tokensUsed: 0,
    });
    expect(await tool(manager, other, "session_status").execute({ sessionKey: DM, runId: "nothing" })).toEqual({
      error: expect.stringContaining("runId"),
    });
    expect(await manager.get(other)).toBeUndefined();
  });
});
