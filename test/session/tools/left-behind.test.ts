import { expect, test } from "vitest";
import { MemoryStorage, type SessionManager } from "../../../src/index.js";
import { builders, manualClock } from "../../../src/testing.js";
import { all, deferred, mortalStorage, tempDir } from "../store-dir.js";
import { lastText, OPEN, stage, tool } from "./cast.js";
import { quiet, toldOf } from "./family.js";
import { pause, TroubledStorage } from "./troubled-storage.js";

const ANN = "agent:main:telegram:dm:ann";
const CODER = "agent:coder:main";
const CHILD = "agent:main:subagent:";

const never = () => new Promise<never>(() => {});
const send = (manager: SessionManager, sessionKey: string, message: string, timeoutSeconds = 0) =>
  tool(manager, "agent:main:main", "sessions_send").execute({ sessionKey, message, timeoutSeconds });
const timesSaid = async (manager: SessionManager, key: string, words: string) =>
  (await all(manager.history(key))).filter(({ content }) => content === words).length;

test("G19 a message whose turn a passing fault kept from beginning is accepted, and run once when its session is used", async () => {
  const storage = new TroubledStorage();
  const { manager } = stage({ [CODER]: () => "hi" }, { storage, config: { ...OPEN, session: { dmScope: "main" } } });
  const b = builders();
  const use = (words: string) => manager.handle(b.dm("1", words, { agentId: "coder" }));
  await use("first");
  storage.failNext("claim", (key) => key === CODER);
  const sent = await send(manager, CODER, "important", 30);
  expect(sent).toEqual({ runId: expect.any(String), status: "accepted" });
  expect(await manager.run(CODER, String(sent.runId))).toEqual({ status: "waiting" });
  expect(await use("second")).toMatchObject({ status: "replied" });
  await quiet(manager);
  expect(await manager.run(CODER, String(sent.runId))).toEqual({ status: "ok", reply: "hi" });
  await use("third");
  await quiet(manager);
  await pause();
  expect(await timesSaid(manager, CODER, "important")).toBe(1);
  await manager.close();
});

/** What a process leaves that dies: a message whose turn has begun, one that waits, and a sub-agent, all of Ann's session. */
async function leaveBehind(dir: string, clock = manualClock()): Promise<{ waiting: string; child: string }> {
  const { storage, die } = mortalStorage(dir);
  const { manager } = stage({ [ANN]: never, [CHILD]: never }, { storage, clock });
  let begun = 0;
  const bothRun = new Promise<void>((resolve) => {
    manager.on("turn.started", () => {
      begun += 1;
      if (begun === 2) resolve();
    });
  });
  const { childSessionKey } = await tool(manager, ANN, "sessions_spawn").execute({ task: "work", mode: "start" });
  await send(manager, ANN, "begun");
  await bothRun;
  const { runId } = await send(manager, ANN, "waiting");
  await die();
  return { waiting: String(runId), child: String(childSessionKey) };
}

for (const how of ["a use of it more than 30 seconds later", "recover()"] as const)
  test(`G19 G20 what a dead process has left in a session that a living one knows is dealt with at ${how}`, async () => {
    const dir = tempDir();
    const clock = manualClock();
    const { manager } = stage({ [ANN]: () => "hi" }, { dir, clock });
    const b = builders();
    await manager.handle(b.dm("ann", "first"));
    const { waiting, child } = await leaveBehind(dir, clock);
    if (how === "recover()") await manager.recover();
    else {
      clock.advance(30_001);
      await manager.handle(b.dm("ann", "second"));
    }
    await quiet(manager);
    expect(await manager.run(ANN, waiting)).toEqual({ status: "ok", reply: "hi" });
    expect(await timesSaid(manager, ANN, "waiting")).toBe(1);
    expect(await manager.subagents(ANN)).toMatchObject([{ key: child, status: "orphaned" }]);
    expect(await toldOf(manager, ANN)).toMatchObject([{ provenance: { from: child, status: "orphaned" } }]);
    await manager.close();
  });

test("G20 a result whose process died before its parent answered is told without a turn, and the next turn knows it", async () => {
  const dir = tempDir();
  const { storage, die } = mortalStorage(dir);
  const busy = deferred();
  const { manager: dying } = stage(
    {
      [ANN]: () => {
        busy.resolve();
        return never();
      },
      [CHILD]: () => "RESULT",
    },
    { storage },
  );
  const b = builders();
  void dying.handle(b.dm("ann", "go"));
  await busy.promise;
  const ended = new Promise((resolve) => dying.on("subagent.ended", resolve));
  await tool(dying, ANN, "sessions_spawn").execute({ task: "work", mode: "start" });
  await ended;
  await die();

  const { manager, provider } = stage({ [ANN]: () => "It is here." }, { dir });
  expect(await manager.get(ANN)).toMatchObject({ waiting: [{ run: expect.any(String) }] });
  await manager.recover();
  await quiet(manager);
  expect(await toldOf(manager, ANN)).toMatchObject([{ content: "RESULT", provenance: { status: "completed" } }]);
  expect(provider.requests).toEqual([]);
  expect(await manager.handle(b.dm("ann", "news?"))).toMatchObject({ status: "replied" });
  const [request] = provider.requests;
  expect(lastText(request as never)).toBe("news?");
  expect(JSON.stringify(request?.messages)).toContain("> RESULT");
  expect(await toldOf(manager, ANN)).toHaveLength(1);
  await manager.close();
});

test("G20 more results than a line takes all come to the parent, and keep no person out of it", async () => {
  const most = 14;
  const answer = deferred<string>();
  const { manager } = stage(
    { [ANN]: (request) => (lastText(request) === "go" ? answer.promise : "noted"), [CHILD]: () => "R" },
    { storage: new MemoryStorage(), config: { messages: { queue: { cap: 1 } } } },
  );
  const b = builders();
  const turn = manager.handle(b.dm("ann", "go"));
  for (let made = 0; made < most; made += 1) {
    const ended = new Promise((resolve) => manager.on("subagent.ended", resolve));
    await tool(manager, ANN, "sessions_spawn").execute({ task: "work", mode: "start" });
    await ended;
  }
  await pause();
  // A record has no room for all of them: what is not to be answered by itself is told at once, and answered with the next.
  expect((await manager.get(ANN))?.waiting).toHaveLength(1);
  const next = manager.handle(b.dm("ann", "next"));
  answer.resolve("ok");
  await turn;
  expect(await next).toMatchObject({ status: "replied" });
  await quiet(manager);
  const told = await toldOf(manager, ANN);
  expect(told).toHaveLength(most);
  expect(new Set(told.map(({ provenance }) => provenance?.from)).size).toBe(most);
  await manager.close();
});
