import { expect, test } from "vitest";
import { JsonlStorage, type SessionManager } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, deferred, replaced, tempDir } from "../store-dir.js";
import { lastText, OPEN, type Part, stage, tool } from "./cast.js";
import { quiet } from "./family.js";

const MAIN = "agent:main:main";
const CODER = "agent:coder:main";

const CHILD = "agent:main:subagent:";

const never = () => new Promise<never>(() => {});
const send = (manager: SessionManager, message: string, sessionKey = CODER) =>
  tool(manager, MAIN, "sessions_send").execute({ sessionKey, message, timeoutSeconds: 0 });
const statusOf = (manager: SessionManager, runId: unknown) =>
  tool(manager, MAIN, "session_status").execute({ sessionKey: CODER, runId });

for (const how of ["recover()", "the next message"] as const)
  test(`G19 what was accepted for a busy session waits over a close, and is answered once after ${how}`, async () => {
    const dir = tempDir();
    const busy = deferred();
    const config = { ...OPEN, session: { dmScope: "main" as const } };
    const { manager: closing } = stage(
      {
        [CODER]: () => {
          busy.resolve();
          return never();
        },
      },
      { dir, config },
    );
    await send(closing, "begun");
    await busy.promise;
    const sent = await Promise.all([send(closing, "first"), send(closing, "second")]);
    expect(sent.map(({ status }) => status)).toEqual(["accepted", "accepted"]);
    await closing.close();

    const { manager, provider } = stage({ [CODER]: () => "answered" }, { dir, config });
    await using _ = manager;
    for (const { runId } of sent) {
      expect(await manager.run(CODER, String(runId))).toEqual({ status: "waiting" });
      expect(await statusOf(manager, runId)).toMatchObject({ status: "waiting" });
    }
    expect(provider.requests).toEqual([]);
    if (how === "recover()") await manager.recover();
    else await manager.handle(builders().dm("1", "hello", { agentId: "coder" }));
    await quiet(manager);
    for (const { runId } of sent) {
      expect(await manager.run(CODER, String(runId))).toEqual({ status: "ok", reply: "answered" });
      expect(await statusOf(manager, runId)).toMatchObject({ status: "ok", reply: "answered" });
    }
    await manager.recover();
    await quiet(manager);
    const said = (await all(manager.history(CODER)))
      .filter(({ role }) => role === "user")
      .map(({ content }) => content);
    expect(said.filter((content) => content !== "hello")).toEqual(["begun", "first", "second"]);
  });

/** A storage in a directory that holds back what is written into one session, from when the test says so. */
function holdable(dir: string) {
  const inner = new JsonlStorage({ dir });
  const reached = deferred();
  const released = deferred();
  let held: string | undefined;
  const storage = replaced(inner, {
    update: async (key, ...rest) => {
      if (key === held) {
        reached.resolve();
        await released.promise;
      }
      return inner.update(key, ...rest);
    },
  });
  return {
    storage,
    hold: (key: string) => {
      held = key;
    },
    /** Resolves when a write has come that is held back. */
    reached: reached.promise,
    release: () => released.resolve(),
  };
}

for (const how of ["/stop", "killSubagent"] as const)
  test(`G19 G20 what waited behind a turn and was stopped by ${how} before a close is not run by recover(), nor at its session's next use`, async () => {
    const dir = tempDir();
    const { storage, hold, reached, release } = holdable(dir);
    const config = { ...OPEN, session: { dmScope: "main" as const } };
    // Its turn has not come when the manager closes: the one before it has been stopped, and is still being noted down.
    const begun = deferred();
    const works: Part = ({ key, signal }) => {
      begun.resolve();
      signal.addEventListener("abort", () => hold(key));
      return never();
    };
    const { manager: closing } = stage({ [CODER]: works, [CHILD]: works }, { storage, config });
    const { dm } = builders();
    let key = CODER;
    if (how === "/stop") await send(closing, "begun");
    else {
      const made = await tool(closing, MAIN, "sessions_spawn").execute({ task: "work", mode: "start" });
      key = String(made.childSessionKey);
    }
    await begun.promise;
    const { status, runId } = await send(closing, "dangerous", key);
    expect(status).toBe("accepted");
    const stopping =
      how === "/stop" ? closing.handle(dm("1", "/stop", { agentId: "coder" })) : closing.killSubagent(key);
    await reached;
    const closed = closing.close();
    release();
    await Promise.allSettled([stopping]);
    await closed;

    const { manager, provider } = stage({ "agent:": () => "done" }, { dir, config });
    await using _ = manager;
    await manager.recover();
    await quiet(manager);
    expect(provider.requests.map(lastText)).toEqual([]);
    expect(await manager.run(key, String(runId))).toEqual({ status: "error", code: "ABORTED" });
    if (how === "/stop") await manager.handle(dm("1", "hello", { agentId: "coder" }));
    else await send(manager, "hello", key);
    await quiet(manager);
    expect(provider.requests.map((request) => [request.key, lastText(request).includes("hello")])).toEqual([
      [key, true],
    ]);
    const said = (await all(manager.history(key))).filter(({ content }) => content === "dangerous");
    expect(said).toHaveLength(1);
  });

test("G19 what waits is not run after a close when a /stop that came before the close was answered", async () => {
  const dir = tempDir();
  const { storage, hold, reached, release } = holdable(dir);
  const begun = deferred();
  const config = { ...OPEN, session: { dmScope: "main" as const } };
  const works = () => {
    begun.resolve();
    return never();
  };
  const { manager: closing } = stage({ [CODER]: works }, { storage, config });
  await send(closing, "begun");
  await begun.promise;
  await send(closing, "dangerous");
  hold(CODER);
  const stopping = closing.handle(builders().dm("1", "/stop", { agentId: "coder" }));
  await reached;
  const closed = closing.close();
  release();
  expect(await stopping).toMatchObject({ status: "command", text: "Stopped." });
  await closed;
  const { manager, provider } = stage({ [CODER]: () => "done" }, { dir, config });
  await using _ = manager;
  await manager.recover();
  await quiet(manager);
  expect(provider.requests.map(lastText)).toEqual([]);
});
