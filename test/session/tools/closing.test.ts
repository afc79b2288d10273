import { expect, test } from "vitest";
import type { SessionManager } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all, deferred, tempDir } from "../store-dir.js";
import { OPEN, stage, tool } from "./cast.js";
import { quiet } from "./family.js";

const MAIN = "agent:main:main";
const CODER = "agent:coder:main";

const send = (manager: SessionManager, message: string) =>
  tool(manager, MAIN, "sessions_send").execute({ sessionKey: CODER, message, timeoutSeconds: 0 });
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
          return new Promise<never>(() => {});
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
