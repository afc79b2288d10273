import { expect, test, vi } from "vitest";
import { type GenerateRequest, JsonlStorage, type MessageEntry, type SessionManager } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, deferred, tempDir } from "../store-dir.js";
import { asKey, calls, lastText, main, OPEN, stage, tool } from "./cast.js";

const ANN = "agent:main:telegram:dm:ann";
const BOB = "agent:main:telegram:dm:bob";
const CODER = main("coder");

/** What a message of another session says, without its envelope. */
const said = (request: Pick<GenerateRequest, "messages">) => lastText(request).split("\n> ").at(-1) ?? "";

/** Two hosts on one directory, in which the coder repeats what it is told. */
function twoHosts() {
  const dir = tempDir();
  // What a person says to the coder lands in the same session.
  const options = { dir, config: { ...OPEN, session: { dmScope: "main" as const } } };
  const coder = (request: GenerateRequest) => `re: ${said(request)}`;
  const [a, b] = [stage({ [CODER]: coder }, options), stage({ [CODER]: coder }, options)];
  return { dir, a: a.manager, askedOfA: a.provider, b: b.manager, askedOfB: b.provider };
}

/** Lets no turn of the coder begin until it is called. */
async function holdTurns(dir: string): Promise<() => Promise<void>> {
  const third = new JsonlStorage({ dir });
  const claim = await third.claim(asKey(CODER));
  return async () => {
    await claim.release();
    await third.close();
  };
}

interface Sent {
  runId: string;
  status: string;
  reply?: string;
  message: string;
}

/** Sends messages, the first of them first, every other one without waiting for the answer. */
function sendMany(manager: SessionManager, from: string, messages: string[]): Promise<Sent[]> {
  const send = tool(manager, from, "sessions_send");
  return Promise.all(
    messages.map(async (message, at) => {
      const wait = at % 2 === 0 ? 0 : 25;
      return { message, ...(await send.execute({ sessionKey: CODER, message, timeoutSeconds: wait })) } as Sent;
    }),
  );
}

const numbered = (name: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, at) => `${name} ${from + at}`);

async function answered(manager: SessionManager, messages: number): Promise<MessageEntry[]> {
  await vi.waitFor(
    async () => {
      const record = await manager.get(CODER);
      expect(record).toMatchObject({ waiting: [], openTurns: [], messageCount: 2 * messages });
    },
    { timeout: 20_000, interval: 20 },
  );
  return all(manager.history(CODER));
}

/** Each message has one answer, behind it, and those of one sender are in the order in which they were sent. */
function expectAnsweredOnce(history: MessageEntry[], sent: Sent[][]): void {
  const asked = history.filter(({ role }) => role === "user");
  expect(history.map(({ role, content }) => [role, content])).toEqual(
    asked.flatMap(({ content }) => [
      ["user", content],
      ["assistant", `re: ${content}`],
    ]),
  );
  for (const messages of sent) {
    const runs = new Set(messages.map(({ runId }) => runId));
    const ofThese = asked.filter(({ provenance }) => runs.has(provenance?.run ?? ""));
    expect(ofThese.map(({ content }) => content)).toEqual(messages.map(({ message }) => message));
  }
}

test("an agent of one host sends to a session whose turn runs in another: its message comes behind it, and is answered", async () => {
  const dir = tempDir();
  const thinking = deferred<string>();
  const target = "agent:coder:telegram:dm:carl";
  const { manager: a, provider: askedOfA } = stage(
    {
      [ANN]: (_request, results) =>
        results.length === 0
          ? calls("sessions_send", { sessionKey: target, message: "are you free?" })
          : `They say: ${(results[0] as { reply: string }).reply}`,
      [target]: (request) => `re: ${said(request)}`,
    },
    { dir },
  );
  const { manager: b, provider: askedOfB } = stage({ [target]: () => thinking.promise }, { dir });
  await using _a = a;
  await using _b = b;
  const started = new Promise((resolve) => b.on("turn.started", resolve));
  const { dm } = builders();
  const first = b.handle(dm("carl", "think", { agentId: "coder" }));
  await started;
  const outcome = a.handle(dm("ann", "ask the coder"));
  await vi.waitFor(async () => expect(await b.get(target)).toMatchObject({ waiting: [{ run: expect.any(String) }] }), {
    timeout: 10_000,
  });
  expect(askedOfA.requests.filter(({ key }) => key === target)).toHaveLength(0);
  thinking.resolve("I have thought");
  expect(await first).toMatchObject({ text: "I have thought" });
  expect(await outcome).toMatchObject({ text: "They say: re: are you free?" });
  expect((await all(b.history(target))).map(({ content }) => content)).toEqual([
    "think",
    "I have thought",
    "are you free?",
    "re: are you free?",
  ]);
  expect(askedOfB.requests).toHaveLength(1);
  expect(askedOfA.requests.map(({ key }) => key)).toEqual([ANN, target, ANN]);
});

test("G4 G19 twenty messages from each of two hosts at once are each answered once, in the order of each sender", async () => {
  const { a, askedOfA, b, askedOfB } = twoHosts();
  await using _a = a;
  await using _b = b;
  // Not more at once than may wait for a session.
  const sendAll = async (manager: SessionManager, from: string, name: string) => [
    ...(await sendMany(manager, from, numbered(name, 0, 10))),
    ...(await sendMany(manager, from, numbered(name, 10, 20))),
  ];
  const sent = await Promise.all([sendAll(a, ANN, "ann"), sendAll(b, BOB, "bob")]);
  for (const messages of sent)
    for (const [at, { status, reply, message }] of messages.entries())
      expect([message, status, reply]).toEqual(
        at % 2 === 0 ? [message, "accepted", undefined] : [message, "ok", `re: ${message}`],
      );
  expectAnsweredOnce(await answered(a, 40), sent);
  expect(askedOfA.requests.map(said)).toEqual(numbered("ann", 0, 20));
  expect(askedOfB.requests.map(said)).toEqual(numbered("bob", 0, 20));
  for (const { runId, message } of sent.flat())
    for (const manager of [a, b])
      expect(await manager.run(CODER, runId)).toEqual({ status: "ok", reply: `re: ${message}` });
});

test("G19 both hosts may take up what waits for a session, and each message is still answered once and in order", async () => {
  const { dir, a, askedOfA, b, askedOfB } = twoHosts();
  await using _a = a;
  await using _b = b;
  const letGo = await holdTurns(dir);
  const sending = [sendMany(a, ANN, numbered("ann", 0, 15)), sendMany(b, BOB, numbered("bob", 0, 15))];
  await vi.waitFor(async () => expect((await a.get(CODER))?.waiting).toHaveLength(30), { timeout: 10_000 });
  // Each begins to look while the other's messages wait.
  const takenUp = [a.recover(), b.recover(), a.recover()];
  const person = b.handle(builders().dm("carl", "hello", { agentId: "coder" }));
  await Promise.all(takenUp);
  await letGo();
  const sent = await Promise.all(sending);
  expectAnsweredOnce(await answered(b, 31), sent);
  expect(await person).toMatchObject({ text: "re: hello" });
  const asked = [...askedOfA.requests, ...askedOfB.requests].filter(({ key }) => key === CODER).map(said);
  expect(asked.sort()).toEqual([...numbered("ann", 0, 15), ...numbered("bob", 0, 15), "hello"].sort());
  for (const { runId, message, status, reply } of sent.flat()) {
    expect(["accepted", "ok"]).toContain(status);
    if (status === "ok") expect(reply).toBe(`re: ${message}`);
    for (const manager of [a, b])
      expect(await manager.run(CODER, runId)).toEqual({ status: "ok", reply: `re: ${message}` });
  }
});

test("G19 two hosts together let no more messages wait than may, and answer each that they have accepted", async () => {
  const { dir, a, b } = twoHosts();
  await using _a = a;
  await using _b = b;
  const letGo = await holdTurns(dir);
  const sendAll = (manager: SessionManager, from: string, name: string) =>
    numbered(name, 0, 20).map(async (message) => ({
      message,
      ...(await tool(manager, from, "sessions_send").execute({ sessionKey: CODER, message, timeoutSeconds: 0 })),
    })) as Promise<Sent>[];
  const sent = await Promise.all([...sendAll(a, ANN, "ann"), ...sendAll(b, BOB, "bob")]);
  const accepted = sent.filter(({ status }) => status === "accepted");
  expect(accepted).toHaveLength(32);
  expect(sent.filter(({ status }) => status === "error")).toHaveLength(8);
  await letGo();
  const history = await answered(a, 32);
  expectAnsweredOnce(history, []);
  const asked = history.filter(({ role }) => role === "user").map(({ content }) => content);
  expect(asked.sort()).toEqual(accepted.map(({ message }) => message).sort());
});
