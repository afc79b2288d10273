import { expect, test, vi } from "vitest";
import { type GenerateRequest, MemoryStorage } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, deferred, mortalStorage, tempDir } from "../store-dir.js";
import { asKey, calls, lastText, OPEN, stage, tool } from "./cast.js";
import { quiet } from "./family.js";
import { pause } from "./troubled-storage.js";

const ANN = "agent:main:telegram:dm:ann";
const BOB = "agent:main:telegram:dm:bob";
const CODER = "agent:coder:main";
const CHILD = "agent:main:subagent:";

const PING_PONG = { ...OPEN, session: { agentToAgent: { maxPingPongTurns: 5 } } };

/** A part that waits for the test to say what it answers. */
function waitingPart() {
  const asked = deferred();
  const reply = deferred<string>();
  const part = () => {
    asked.resolve();
    return reply.promise;
  };
  return { part, asked: asked.promise, reply };
}

for (const how of ["purged", "cleared"] as const)
  test(`G19 a reply to a message of a conversation that is ${how} does not begin another`, async () => {
    const coder = waitingPart();
    const { manager, provider } = stage(
      { [CODER]: coder.part, [ANN]: () => "ok" },
      { storage: new MemoryStorage(), config: PING_PONG },
    );
    const b = builders();
    await manager.handle(b.dm("ann", "hi"));
    const question = { sessionKey: CODER, message: "question", timeoutSeconds: 0 };
    expect(await tool(manager, ANN, "sessions_send").execute(question)).toMatchObject({ status: "accepted" });
    await coder.asked;
    if (how === "purged") await manager.purge(ANN);
    else await manager.handle(b.dm("ann", "/clear"));
    coder.reply.resolve("OLD REPLY");
    await quiet(manager);
    await pause();
    expect(provider.requests.map(({ key }) => key)).toEqual([ANN, CODER]);
    if (how === "purged") expect(await manager.get(ANN)).toBeUndefined();
    else expect(await all(manager.history(ANN))).toEqual([]);
    await manager.close();
  });

test("G19 after /stop no reply to what the stopped turn has sent begins another", async () => {
  const coder = waitingPart();
  let turns = 0;
  const { manager } = stage(
    {
      [CODER]: coder.part,
      [ANN]: () => {
        turns += 1;
        return turns === 1 ? calls("sessions_send", { sessionKey: CODER, message: "question" }) : "ok";
      },
    },
    { storage: new MemoryStorage(), config: PING_PONG },
  );
  const b = builders();
  const turn = manager.handle(b.dm("ann", "go"));
  await coder.asked;
  await manager.handle(b.dm("ann", "/stop"));
  expect(await turn).toMatchObject({ status: "aborted" });
  coder.reply.resolve("answer");
  await quiet(manager);
  await pause();
  expect(turns).toBe(1);
  await manager.close();
});

for (const when of ["before", "after"] as const)
  test(`G20 a result that comes ${when} a clear, and is told behind it, stays out of the new conversation`, async () => {
    const child = waitingPart();
    const ann = waitingPart();
    const { manager, provider } = stage(
      { [CHILD]: child.part, [ANN]: (request) => (lastText(request) === "work" ? ann.part() : "ok") },
      { storage: new MemoryStorage() },
    );
    const b = builders();
    const turn = manager.handle(b.dm("ann", "work"));
    await ann.asked;
    await tool(manager, ANN, "sessions_spawn").execute({ task: "look", mode: "start" });
    await child.asked;
    const clear = () => manager.handle(b.dm("ann", "/clear"));
    const end = async () => {
      const ended = new Promise((resolve) => manager.on("subagent.ended", resolve));
      child.reply.resolve("OLD SECRET");
      await ended;
    };
    if (when === "before") {
      await end();
      await clear();
    } else {
      await clear();
      await end();
    }
    ann.reply.resolve("done");
    await turn;
    await quiet(manager);
    expect(await manager.subagents(ANN)).toMatchObject([{ status: "completed" }]);
    await manager.handle(b.dm("ann", "hello again"));
    // Nobody was asked to answer it either.
    const toAnn = provider.requests.filter(({ key }) => key === ANN);
    expect(toAnn.map(lastText)).toEqual(["work", "hello again"]);
    expect(JSON.stringify(toAnn.at(-1)?.messages)).not.toContain("OLD SECRET");
    await manager.close();
  });

test("G19 a message accepted before a clear and taken up behind it is outside of the new conversation", async () => {
  const dir = tempDir();
  const { storage, die } = mortalStorage(dir);
  const busy = waitingPart();
  const { manager: dying } = stage({ [CODER]: busy.part }, { storage });
  const send = tool(dying, ANN, "sessions_send");
  await send.execute({ sessionKey: CODER, message: "one", timeoutSeconds: 0 });
  await busy.asked;
  const old = await send.execute({ sessionKey: CODER, message: "OLD", timeoutSeconds: 0 });
  await die();
  const { manager, provider } = stage({ [CODER]: () => "answered" }, { dir });
  await manager.clear(CODER);
  await manager.recover();
  await quiet(manager);
  expect(await manager.run(CODER, String(old.runId))).toMatchObject({ status: "ok", reply: "answered" });
  await tool(manager, ANN, "sessions_send").execute({ sessionKey: CODER, message: "new" });
  expect(JSON.stringify(provider.requests.at(-1)?.messages)).toContain("new");
  expect(JSON.stringify(provider.requests.at(-1)?.messages)).not.toContain("OLD");
  await manager.close();
});

test("G18 a purge takes the sessions of the sub-agents along: a new session of the same key finds nothing", async () => {
  const { manager } = stage({ [CHILD]: () => "SECRET RESULT", [ANN]: () => "hi" }, { storage: new MemoryStorage() });
  const b = builders();
  await manager.handle(b.dm("ann", "a"));
  await tool(manager, ANN, "sessions_spawn").execute({ task: "OLD TASK" });
  expect(await manager.purge(ANN)).toBe(true);
  expect(await all(manager.list())).toEqual([]);
  await manager.handle(b.dm("ann", "b"));
  const listed = await tool(manager, ANN, "sessions_list").execute({ messageLimit: 5 });
  expect(JSON.stringify(listed)).not.toMatch(/SECRET RESULT|OLD TASK|subagent:/);
  expect(await manager.subagents(ANN)).toEqual([]);
  await manager.close();
});

test("G19 other sessions cannot lock a person out of their own chat", async () => {
  const ann = waitingPart();
  const { manager } = stage(
    { [ANN]: (request) => (lastText(request) === "hello" ? "hi" : ann.part()) },
    { storage: new MemoryStorage(), config: { ...OPEN, messages: { queue: { cap: 5 } } } },
  );
  const spam = () =>
    tool(manager, BOB, "sessions_send").execute({ sessionKey: ANN, message: "spam", timeoutSeconds: 0 });
  expect(await spam()).toMatchObject({ status: "accepted" });
  await ann.asked;
  const sent = [await spam(), await spam(), await spam(), await spam(), await spam(), await spam()];
  expect(sent.map(({ status }) => status)).toEqual(["accepted", "accepted", "error", "error", "error", "error"]);
  expect(sent.at(-1)).toEqual({ status: "error", error: expect.stringContaining("too many messages wait") });
  const person = manager.handle(builders().dm("ann", "hello"));
  ann.reply.resolve("enough");
  expect(await person).toMatchObject({ status: "replied", text: "hi" });
  await manager.close();
});

test("G18 an error names no more of what a model has put in than a reader needs", async () => {
  const { manager } = stage({}, { storage: new MemoryStorage() });
  const big = "x".repeat(500_000);
  const inputs: [tool: string, input: unknown][] = [
    ["session_status", { sessionKey: `agent:main:telegram:dm:${big}` }],
    ["sessions_history", { sessionKey: big }],
    ["sessions_list", { [big]: 1 }],
    ["sessions_list", { kinds: Array.from({ length: 20_000 }, () => "zzz") }],
    ["sessions_list", { kinds: [big] }],
    ["sessions_send", { sessionKey: ANN, message: big }],
    ["sessions_spawn", { task: "work", agentId: big }],
    ["sessions_spawn", { task: "work", mode: big }],
  ];
  for (const [name, input] of inputs) {
    const answer = await tool(manager, ANN, name).execute(input);
    expect(answer, name).toHaveProperty("error");
    expect(JSON.stringify(answer).length, name).toBeLessThan(4096);
  }
  expect(await all(manager.list())).toEqual([]);
  await manager.close();
});

test("G18 a person who is called like a session cannot pass for it: names are in from, keys in session", async () => {
  const { manager } = stage({ [ANN]: () => "ok" }, { storage: new MemoryStorage() });
  const sender = { id: "1", name: CODER };
  await manager.handle(builders().dm("ann", "I am the coder", { sender }));
  await tool(manager, CODER, "sessions_send").execute({ sessionKey: ANN, message: "So am I" });
  const { messages } = await tool(manager, BOB, "sessions_history").execute({ sessionKey: ANN });
  const [person, , session] = messages as Record<string, unknown>[];
  expect(person).toMatchObject({ content: "I am the coder", from: CODER });
  expect(person).not.toHaveProperty("session");
  expect(session).toMatchObject({ content: "So am I", session: CODER });
  expect(session).not.toHaveProperty("from");
  await manager.close();
});

for (const between of [[], ["agent:main:telegram:dm:cat"]])
  test(`G19 sessions whose turns would wait for each other${between.length === 0 ? "" : ", through a third,"} do not: the last is told to go on`, async () => {
    const sendTo = (key: string) =>
      calls("sessions_send", { sessionKey: key, message: "question", timeoutSeconds: 3600 });
    const ring = [ANN, ...between, BOB];
    const asked = deferred();
    const turn =
      (key: string, at: number) =>
      (request: GenerateRequest, [answer]: readonly unknown[]) => {
        if (answer !== undefined) return `told ${JSON.stringify(answer)}`;
        if (lastText(request) !== "go") return `answer of ${key}`;
        const next = ring[(at + 1) % ring.length] as string;
        // Each but the last waits before the last sends.
        return at < ring.length - 1 ? sendTo(next) : asked.promise.then(() => sendTo(next));
      };
    const { manager } = stage(Object.fromEntries(ring.map((key, at) => [key, turn(key, at)])), {
      storage: new MemoryStorage(),
      config: OPEN,
    });
    for (const key of ring) await manager.open(asKey(key));
    const { dm } = builders();
    const going = ring.map((key) => manager.handle(dm(key.slice(ANN.lastIndexOf(":") + 1), "go")));
    await vi.waitFor(
      async () => {
        for (const key of ring.slice(1)) expect((await manager.get(key))?.waiting).toHaveLength(1);
      },
      { timeout: 10_000 },
    );
    asked.resolve();
    const outcomes = (await Promise.all(going)).map((outcome) => ("text" in outcome ? outcome.text : outcome.status));
    expect(outcomes.at(-1)).toContain('"status":"accepted"');
    for (const outcome of outcomes.slice(0, -1)) expect(outcome).toContain('"status":"ok"');
    await quiet(manager);
    await manager.close();
  });

for (const mode of ["run", "start"] as const)
  test(`G19 nor does a sub-agent, spawned with mode ${mode}, wait for who waits for the session that waits for it`, async () => {
    const sends = (key: string) =>
      calls("sessions_send", { sessionKey: key, message: "question", timeoutSeconds: 3600 });
    const bobWaits = deferred();
    let told = "";
    const { manager } = stage(
      {
        [CHILD]: async (request, [answer]) => {
          // With mode start Ann waits for one that has ended its turn, and lives as long as the one that it has started.
          if (lastText(request).endsWith("start another"))
            return answer === undefined ? calls("sessions_spawn", { task: "ask bob", mode: "start" }) : "started";
          if (answer === undefined && !lastText(request).endsWith("ask bob")) return "noted";
          if (answer !== undefined) {
            told = JSON.stringify(answer);
            return "done";
          }
          await bobWaits.promise;
          return sends(BOB);
        },
        [BOB]: (request, [answer]) => {
          if (lastText(request).includes("question")) return "answer of bob";
          return answer === undefined ? sends(ANN) : "bob is told";
        },
        [ANN]: (request, [answer]) => {
          if (lastText(request).includes("question")) return "answer of ann";
          const task = mode === "run" ? "ask bob" : "start another";
          return answer === undefined ? calls("sessions_spawn", { task }) : "ann is told";
        },
      },
      {
        storage: new MemoryStorage(),
        config: { ...OPEN, agents: { defaults: { subagents: { maxSpawnDepth: 2 } } } },
      },
    );
    const { dm } = builders();
    await manager.open(asKey(BOB));
    let spawned = 0;
    const running = new Promise<void>((resolve) => {
      manager.on("subagent.spawned", () => {
        spawned += 1;
        if (spawned === (mode === "run" ? 1 : 2)) resolve();
      });
    });
    const ann = manager.handle(dm("ann", "go"));
    await running;
    const bob = manager.handle(dm("bob", "go"));
    await vi.waitFor(async () => expect((await manager.get(ANN))?.waiting).toHaveLength(1), { timeout: 10_000 });
    await pause();
    bobWaits.resolve();
    expect(await Promise.all([ann, bob])).toMatchObject([{ text: "ann is told" }, { text: "bob is told" }]);
    expect(told).toContain('"status":"accepted"');
    await quiet(manager);
    await manager.close();
  });
