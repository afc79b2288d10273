import { expect, test } from "vitest";
import { MemoryStorage, type SessionEventName, SessionManager } from "../../src/index.js";
import { builders, manualClock, scriptedProvider } from "../../src/testing.js";
import { all, linesOf, tempDir } from "./store-dir.js";

const KEY = "agent:main:telegram:dm:1";
const peer = (peerId: string) => ({ channel: "telegram", chatType: "dm" as const, peerId });

test("open makes a session once and finds it again, by address or by key", async () => {
  await using manager = new SessionManager({ dir: tempDir() });
  const made = await manager.open(peer("1"));
  expect(made.key).toBe(KEY);
  expect((await manager.open(made.key)).uuid).toBe(made.uuid);
  expect(manager.resolve(peer("1"))).toBe(made.key);
});

test("status says what the spec's session status says", async () => {
  const provider = scriptedProvider([
    { messages: [{ role: "assistant", content: "hi" }], usage: { input: 12_000, output: 5 } },
  ]);
  const config = { agents: { defaults: { model: { primary: "anthropic/claude-sonnet-4-20250514" } } } };
  await using manager = new SessionManager({ dir: tempDir(), provider, config });
  await manager.handle(builders().dm("1", "hello"));
  const session = await manager.open(peer("1"));
  expect(await session.status()).toMatchObject({
    key: KEY,
    uuid: session.uuid,
    messageCount: 2,
    model: "anthropic/claude-sonnet-4-20250514",
    tokensUsed: 12_005,
    tokensSource: "provider",
    tokensStale: false,
    contextWindow: 200_000,
    compactAt: 180_000,
    usage: { input: 12_000, output: 5, cacheRead: 0, cacheWrite: 0 },
    busy: false,
    state: {
      model: "anthropic/claude-sonnet-4-20250514",
      modelOverride: null,
      activationMode: "always",
      lastCompaction: null,
      memoryFlushed: false,
    },
  });
  await session.clear();
  expect(await session.status()).toMatchObject({ messageCount: 0, tokensUsed: 0 });
});

test("configure merges the host's settings, removes with null, and keeps the rest", async () => {
  await using manager = new SessionManager({ dir: tempDir() });
  const session = await manager.open(peer("1"));
  await session.configure({ extra: { a: 1, b: { c: [true] } } });
  await session.configure({ extra: { a: null, d: "x" }, modelOverride: "m" });
  expect((await session.status()).state).toMatchObject({ modelOverride: "m", extra: { b: { c: [true] }, d: "x" } });
  expect((await session.status()).state.extra).not.toHaveProperty("a");
});

test("appended messages are in the context and the history, and ask for no answer", async () => {
  const dir = tempDir();
  await using manager = new SessionManager({ dir });
  const session = await manager.open(peer("1"));
  await session.append(
    { role: "system", content: "Be brief." },
    { role: "user", content: "hi", providerData: { x: 1 } },
  );
  expect((await session.context()).messages).toEqual([
    { role: "system", content: "Be brief." },
    { role: "user", content: "hi", providerData: { x: 1 } },
  ]);
  expect((await manager.recover()).length).toBe(0);
  expect((await linesOf(manager, dir, session.key)).map((line) => line.role ?? line.type)).toEqual([
    "session",
    "system",
    "user",
  ]);
});

test("history gives the last so many, and what comes after a message", async () => {
  await using manager = new SessionManager({ dir: tempDir(), provider: scriptedProvider(() => "ok") });
  const { dm } = builders();
  for (const text of ["a", "b", "c"]) await manager.handle(dm("1", text));
  const session = await manager.open(peer("1"));
  const everything = await all(session.history());
  expect(everything.map((message) => message.content)).toEqual(["a", "ok", "b", "ok", "c", "ok"]);
  for (const last of [0, 1, 3, 6, 100])
    expect(await all(session.history({ last }))).toEqual(everything.slice(Math.max(0, 6 - last)));
  expect(await all(session.history({ after: everything[2]?.id }))).toEqual(everything.slice(3));
  expect(await all(session.history({ after: everything[2]?.id, last: 1 }))).toEqual(everything.slice(5));
});

test("list gives the newest first, by agent, since a time and up to a limit", async () => {
  const clock = manualClock();
  const start = clock.now();
  await using manager = new SessionManager({ dir: tempDir(), provider: scriptedProvider(() => "ok"), clock });
  const { dm } = builders();
  for (const [peerId, agentId] of [
    ["1", "main"],
    ["2", "coder"],
    ["3", "main"],
  ] as const) {
    clock.advance(60_000);
    await manager.handle(dm(peerId, "hi", { agentId }));
  }
  const keys = async (query: object) => (await all(manager.list(query))).map((record) => record.key);
  expect(await keys({})).toEqual(["agent:main:telegram:dm:3", "agent:coder:telegram:dm:2", KEY]);
  expect(await keys({ agentId: "main" })).toEqual(["agent:main:telegram:dm:3", KEY]);
  expect(await keys({ activeSince: start + 120_000 })).toEqual([
    "agent:main:telegram:dm:3",
    "agent:coder:telegram:dm:2",
  ]);
  expect(await keys({ limit: 1 })).toEqual(["agent:main:telegram:dm:3"]);
  expect(await keys({ limit: 0 })).toEqual([]);
});

test("a platform's own time is kept, and an old one does not make the session look idle", async () => {
  const clock = manualClock();
  await using manager = new SessionManager({
    storage: new MemoryStorage(),
    provider: scriptedProvider(() => "ok"),
    clock,
  });
  await manager.handle(builders().dm("1", "late", { timestamp: new Date("2020-01-01T00:00:00Z") }));
  const session = await manager.open(peer("1"));
  expect((await all(session.history()))[0]?.timestamp).toBe("2020-01-01T00:00:00.000Z");
  expect((await session.status()).lastActive).toBe(new Date(clock.now()).toISOString());
});

test("purge removes a session and its transcript; the next message begins a new one", async () => {
  const dir = tempDir();
  await using manager = new SessionManager({
    dir,
    provider: scriptedProvider(({ messages }) => String(messages.length)),
  });
  const { dm } = builders();
  await manager.handle(dm("1", "hi"));
  const before = await manager.get(KEY);
  expect(await manager.purge(KEY)).toBe(true);
  expect(await manager.purge(KEY)).toBe(false);
  expect(await manager.get(KEY)).toBeUndefined();
  expect(await manager.handle(dm("1", "hi"))).toMatchObject({ text: "1" });
  expect((await manager.get(KEY))?.uuid).not.toBe(before?.uuid);
});

test("events tell what happens in order, and none of them but turn.text carries what was said", async () => {
  const dir = tempDir();
  const names: SessionEventName[] = [
    "session.created",
    "session.loaded",
    "session.cleared",
    "state.changed",
    "message.recorded",
    "message.duplicate",
    "command.executed",
    "command.refused",
    "turn.started",
    "turn.text",
    "turn.completed",
    "turn.failed",
  ];
  const seen: string[] = [];
  const told: unknown[] = [];
  const listen = (manager: SessionManager) => {
    for (const name of names) {
      manager.on(name, (event) => {
        seen.push(name);
        if (name !== "turn.text") told.push(event);
      });
    }
  };
  const logged: unknown[] = [];
  const log = (facts: object, message: string) => void logged.push([facts, message]);
  const logger = { debug: log, info: log, warn: log, error: log };
  const provider = scriptedProvider([
    async ({ emit }) => {
      emit("WORDS");
      return "WORDS";
    },
    new Error("down"),
  ]);
  const { dm, inGroup } = builders();
  const first = new SessionManager({ dir, provider, logger });
  listen(first);
  const message = dm("1", "WORDS");
  await first.handle(message);
  await first.handle(message);
  await first.handle(dm("1", "/model gpt-4o"));
  await first.handle(dm("1", "/clear"));
  await first.handle(dm("1", "WORDS")).catch(() => "expected");
  await first.handle(inGroup("-1", "ann", "WORDS"));
  await first.handle(inGroup("-1", "ann", "/clear"));
  await first.close();
  await using second = new SessionManager({ dir, logger });
  listen(second);
  await second.open(peer("1"));
  expect(seen).toEqual([
    "session.created",
    "turn.started",
    "turn.text",
    "turn.completed",
    "message.duplicate",
    "command.executed",
    "state.changed",
    "command.executed",
    "session.cleared",
    "turn.started",
    "turn.failed",
    "session.created",
    "message.recorded",
    "command.refused",
    "session.loaded",
  ]);
  expect(JSON.stringify(told)).not.toContain("WORDS");
  expect(JSON.stringify(logged)).not.toContain("WORDS");
  expect(logged).not.toEqual([]);
});

test("a listener that throws is logged and disturbs nobody; off takes a listener away", async () => {
  const errors: unknown[] = [];
  const quiet = () => undefined;
  const logger = { debug: quiet, info: quiet, warn: quiet, error: (facts: object) => void errors.push(facts) };
  await using manager = new SessionManager({ dir: tempDir(), provider: scriptedProvider(() => "ok"), logger });
  const { dm } = builders();
  let heard = 0;
  manager.on("turn.completed", () => {
    throw new Error("listener bug");
  });
  const off = manager.on("turn.completed", () => {
    heard += 1;
  });
  expect(await manager.handle(dm("1", "hi"))).toMatchObject({ status: "replied" });
  off();
  await manager.handle(dm("1", "hi"));
  expect(heard).toBe(1);
  expect(errors).toHaveLength(2);
});

test("a pino logger is a logger", async () => {
  const { pino } = await import("pino");
  const lines: string[] = [];
  const logger = pino({ level: "debug" }, { write: (line: string) => void lines.push(line) });
  await using manager = new SessionManager({ dir: tempDir(), provider: scriptedProvider([new Error("down")]), logger });
  await manager.handle(builders().dm("1", "hi")).catch(() => "expected");
  const failed = lines
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .find((line) => line.msg === "turn.failed");
  expect(failed).toMatchObject({ level: 40, event: "turn.failed", key: KEY });
});

test("the agent named by the config's default answers an address that names none", async () => {
  const config = { agents: { list: [{ id: "helper" }, { id: "coder", default: true, model: "code-1" }] } };
  const provider = scriptedProvider(({ agentId, model }) => `${agentId} ${model}`);
  await using manager = new SessionManager({ dir: tempDir(), provider, config });
  const outcome = await manager.handle(builders().dm("1", "hi"));
  expect(outcome).toMatchObject({ key: "agent:coder:telegram:dm:1", text: "coder code-1" });
});

test("two managers on one directory, one after the other, find each other's new sessions", async () => {
  const dir = tempDir();
  const provider = scriptedProvider(({ messages }) => `n=${messages.length}`);
  await using a = new SessionManager({ dir, provider });
  await using b = new SessionManager({ dir, provider });
  const { dm } = builders();
  await a.handle(dm("0", "load both indexes"));
  await b.handle(dm("0", "load both indexes"));
  expect(await a.handle(dm("1", "hi"))).toMatchObject({ text: "n=1" });
  expect(await b.handle(dm("1", "hi again"))).toMatchObject({ text: "n=3" });
  expect(await a.handle(dm("1", "and again"))).toMatchObject({ text: "n=5" });
  expect((await all(a.list())).map((record) => record.key).sort()).toEqual(
    (await all(b.list())).map((record) => record.key).sort(),
  );
});
