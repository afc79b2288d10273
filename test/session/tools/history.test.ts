import { describe, expect, test } from "vitest";
import { jsonBytes } from "../../../src/core/json.js";
import type { ContentPart, JsonObject, MessageEntry, TranscriptEntry } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, tempDir, transcriptsBelow } from "../store-dir.js";
import { asKey, stage, tool } from "./cast.js";
import { populated } from "./populate.js";

const DM = "agent:main:telegram:dm:1";
const MAIN = "agent:main:main";
const SECRET = "sk-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7";

type Shown = { id: string; role: string; content: string; toolCalls?: unknown[]; toolResults?: unknown[] };
const messagesOf = (answer: JsonObject) => answer.messages as Shown[];
const textsOf = (answer: JsonObject) => messagesOf(answer).map(({ content }) => content);

const call: ContentPart = { type: "tool-call", toolCallId: "1", toolName: "read", input: { path: "x" } };
const result: ContentPart = { type: "tool-result", toolCallId: "1", toolName: "read", output: "lines" };

/** What reads a session in a store that has these entries. */
async function withHistory(entries: readonly TranscriptEntry[]) {
  const { manager } = stage({ "agent:": () => "ok" }, { storage: await populated([{ key: DM, entries }]) });
  return { manager, history: (input: object) => tool(manager, DM, "sessions_history").execute(input) };
}

describe("sessions_history", () => {
  test("gives the last 50 messages of a session by its key, oldest first", async () => {
    const { user, assistant } = builders();
    const entries = Array.from({ length: 60 }, (_, n) => (n % 2 === 0 ? user(`${n}`) : assistant(`${n}`)));
    const { manager, history } = await withHistory(entries);
    await using _ = manager;
    const page = await history({ sessionKey: DM });
    expect(Object.keys(page).sort()).toEqual(["messages", "sessionKey", "truncated"]);
    expect(page).toMatchObject({ sessionKey: DM, truncated: true });
    expect(textsOf(page)).toEqual(Array.from({ length: 50 }, (_, n) => `${n + 10}`));
    const { id, timestamp } = entries[59] as MessageEntry;
    expect(messagesOf(page).at(-1)).toEqual({ id, role: "assistant", timestamp, content: "59" });
    expect(await history({ sessionKey: DM, limit: 60 })).toMatchObject({ truncated: false });
    for (const limit of [0, -1, 0.5, 201, "7"])
      expect(await history({ sessionKey: DM, limit })).toHaveProperty("error");
  });

  test.each([
    [7, false],
    [50, false],
    [200, true],
    [1, true],
    [13, true],
  ])("pages of %d, with tools %s, give each of 300 messages once and in order", async (limit, includeTools) => {
    const { user, assistant, tool: toolMessage, state, turn } = builders();
    const entries = Array.from({ length: 100 }, (_, n): TranscriptEntry[] => [
      user(`question ${n}`),
      ...(n % 3 === 0 ? [state({ extra: { n } })] : []),
      assistant(n % 2 === 0 ? [{ type: "text", text: `I look ${n}` }, call] : [call]),
      toolMessage([result]),
      assistant(n % 5 === 0 ? "long ".repeat(2000) : `answer ${n}`),
      turn(`e${n}`),
    ]).flat();
    const { manager, history } = await withHistory(entries);
    await using _ = manager;
    const messages = entries.filter((entry): entry is MessageEntry => "role" in entry);
    const wanted = messages.filter(
      ({ role, content }) =>
        includeTools ||
        (role !== "tool" && (typeof content === "string" || content.some(({ type }) => type === "text"))),
    );
    const read: string[] = [];
    for (let before: string | undefined; ; before = read[0]) {
      const page = await history({ sessionKey: DM, limit, includeTools, ...(before === undefined ? {} : { before }) });
      const ids = messagesOf(page).map(({ id }) => id);
      expect(ids.length).toBeLessThanOrEqual(limit);
      if (ids.length === 0) break;
      read.unshift(...ids);
      expect(read.length === wanted.length || page.truncated).toBe(true);
    }
    expect(read).toEqual(wanted.map(({ id }) => id));
  });

  test.each<[string, boolean, ContentPart[]]>([
    ["with a blank text beside their calls", false, [{ type: "text", text: "\n\n" }, call]],
    ["that only thought", true, [{ type: "reasoning", text: "hm" }]],
  ])("a page is not empty while there are earlier messages: steps %s", async (_name, includeTools, content) => {
    const { user, assistant } = builders();
    const { manager, history } = await withHistory([
      user("hello"),
      ...Array.from({ length: 60 }, () => assistant(content)),
    ]);
    await using _ = manager;
    expect(await history({ sessionKey: DM, includeTools })).toMatchObject({
      messages: [{ content: "hello" }],
      truncated: false,
    });
  });

  test("shows calls and results of tools only where they are asked for", async () => {
    const { user, assistant, tool: toolMessage } = builders();
    const { manager, history } = await withHistory([
      user("look"),
      assistant([call]),
      toolMessage([result]),
      assistant("done"),
    ]);
    await using _ = manager;
    expect(textsOf(await history({ sessionKey: DM }))).toEqual(["look", "done"]);
    const [, calling, answering] = messagesOf(await history({ sessionKey: DM, includeTools: true }));
    expect(calling?.toolCalls).toEqual([{ toolName: "read", input: { path: "x" } }]);
    expect(answering?.toolResults).toEqual([{ toolName: "read", output: "lines" }]);
  });

  test("never shows what was cleared, also not as what stands before a message", async () => {
    const { user, assistant, clear } = builders();
    const old = [user("old one"), assistant("old two"), user("old three")];
    const late = assistant("too late", { cleared: true });
    const now = [user("new one"), late, assistant("new two")];
    const { manager, history } = await withHistory([...old, clear(), ...now]);
    await using _ = manager;
    for (const before of [undefined, ...[...old, ...now].map(({ id }) => id)])
      for (const limit of [1, 2, 200]) {
        const page = await history({ sessionKey: DM, limit, includeTools: true, ...(before ? { before } : {}) });
        expect(JSON.stringify(page)).not.toMatch(/old|too late/);
      }
    expect(await history({ sessionKey: DM })).toMatchObject({
      messages: [{ content: "new one" }, { content: "new two" }],
      truncated: false,
    });
    await manager.clear(DM);
    expect(await history({ sessionKey: DM })).toEqual({ sessionKey: DM, messages: [], truncated: false });
  });

  test("a `before` that no message has is an error that says so", async () => {
    const { user } = builders();
    const { manager, history } = await withHistory([user("one"), user("two")]);
    await using _ = manager;
    expect(await history({ sessionKey: DM, before: "nobody" })).toEqual({ error: expect.stringContaining("before") });
  });

  test("is capped in bytes, cuts long texts with a marker, and goes on before the page", async () => {
    const { user } = builders();
    const entries = Array.from({ length: 100 }, (_, n) => user(`${n} ${"ü".repeat(6000)}`));
    const { manager, history } = await withHistory(entries);
    await using _ = manager;
    const page = await history({ sessionKey: DM, limit: 100 });
    expect(jsonBytes(page.messages)).toBeLessThanOrEqual(65_536);
    expect(page.truncated).toBe(true);
    for (const text of textsOf(page)) expect(text).toMatch(/\[… \d+ characters left out/);
    const [first] = messagesOf(page);
    const earlier = await history({ sessionKey: DM, limit: 100, before: first?.id });
    const at = entries.findIndex(({ id }) => id === first?.id);
    expect(messagesOf(earlier).at(-1)?.id).toBe(entries[at - 1]?.id);
  });

  test("G22 masks secrets in its view alone: neither on disk nor in the session's own context", async () => {
    const dir = tempDir();
    const { manager, provider } = stage({ "agent:": () => `I keep ${SECRET}.` }, { dir });
    await using _ = manager;
    await manager.handle(builders().dm("1", `My key is ${SECRET}`));
    for (const name of ["sessions_history", "sessions_list"] as const) {
      const input = name === "sessions_history" ? { sessionKey: DM, includeTools: true } : { messageLimit: 5 };
      const shown = JSON.stringify(await tool(manager, DM, name).execute(input));
      expect(shown).not.toContain(SECRET);
      expect(shown.split("sk-***")).toHaveLength(3);
    }
    const [transcript = ""] = transcriptsBelow(dir).values();
    expect(transcript.split(SECRET)).toHaveLength(3);
    const context = await (await manager.open(asKey(DM))).context();
    expect(JSON.stringify(context.messages).split(SECRET)).toHaveLength(3);
    expect(JSON.stringify(await all(manager.history(DM))).split(SECRET)).toHaveLength(3);
    await manager.handle(builders().dm("1", "and now?", { messageId: "second" }));
    expect(JSON.stringify(provider.requests[1]?.messages).split(SECRET)).toHaveLength(3);
  });

  test("knows the agent's main session as main, and its own before there is one", async () => {
    const { user } = builders();
    const keys = [
      { key: MAIN, entries: [user("in main")] },
      { key: "agent:coder:main", entries: [user("in coder")] },
    ];
    const { manager } = stage({}, { storage: await populated(keys) });
    await using _ = manager;
    const of = (key: string, sessionKey: string) => tool(manager, key, "sessions_history").execute({ sessionKey });
    expect(await of(DM, "main")).toMatchObject({ sessionKey: MAIN, messages: [{ content: "in main" }] });
    expect(await of("agent:coder:x:dm:1", "main")).toMatchObject({ messages: [{ content: "in coder" }] });
    expect(await of(DM, DM)).toEqual({ sessionKey: DM, messages: [], truncated: false });
    expect(await of("agent:ops:main", "main")).toMatchObject({ sessionKey: "agent:ops:main", messages: [] });
    expect(await of(DM, "agent:ops:main")).toHaveProperty("error");
    expect(await all(manager.list())).toHaveLength(2);
  });
});
