import { describe, expect, test } from "vitest";
import { type CommandRequest, isSessionError, SessionManager } from "../../src/index.js";
import { builders, scriptedProvider } from "../../src/testing.js";
import { all, deferred, linesOf, tempDir } from "./store-dir.js";

const DM = "agent:main:telegram:dm:1";
const GROUP = "agent:main:telegram:group:-100";

const said = (outcome: { status: string }) =>
  outcome.status === "command" ? (outcome as { text?: string }).text : undefined;

describe("G15 what commands keep", () => {
  test("/model then /clear: the override stays and the history is empty", async () => {
    const provider = scriptedProvider(({ model }) => `from ${model}`);
    await using manager = new SessionManager({
      dir: tempDir(),
      provider,
      config: { agents: { defaults: { model: "base" } } },
    });
    const { dm } = builders();
    expect(await manager.handle(dm("1", "hi"))).toMatchObject({ text: "from base" });
    await manager.handle(dm("1", "/model gpt-4o"));
    await manager.handle(dm("1", "/clear"));
    const session = await manager.open(DM as never);
    expect(await all(session.history())).toEqual([]);
    expect((await session.context()).messages).toEqual([]);
    expect((await session.status()).state).toMatchObject({ model: "base", modelOverride: "gpt-4o" });
    expect(await manager.handle(dm("1", "again"))).toMatchObject({ text: "from gpt-4o" });
    expect(provider.requests.at(-1)?.messages).toHaveLength(1);
  });

  test("/clear keeps activation and the host's own settings; /new resets model and activation, and keeps the host's", async () => {
    await using manager = new SessionManager({ dir: tempDir(), provider: scriptedProvider([]), authorize: () => true });
    const { inGroup } = builders();
    const session = await manager.open({ channel: "telegram", chatType: "group", groupId: "-100" });
    await session.configure({ modelOverride: "m", activationMode: "always", extra: { language: "de" } });
    await manager.handle(inGroup("-100", "ann", "/clear"));
    expect((await session.status()).state).toMatchObject({
      modelOverride: "m",
      activationMode: "always",
      extra: { language: "de" },
    });
    await manager.handle(inGroup("-100", "ann", "/new"));
    expect((await session.status()).state).toMatchObject({
      modelOverride: null,
      activationMode: "mention",
      extra: { language: "de" },
    });
  });

  test("settings survive a restart, in the session file", async () => {
    const dir = tempDir();
    const { dm } = builders();
    const first = new SessionManager({ dir });
    await first.handle(dm("1", "/model gpt-4o"));
    expect((await linesOf(first, dir, DM as never)).at(-1)).toMatchObject({
      type: "state",
      patch: { modelOverride: "gpt-4o" },
    });
    await first.close();
    await using second = new SessionManager({ dir });
    expect((await second.get(DM))?.state.modelOverride).toBe("gpt-4o");
  });

  test("cleared messages stay readable", async () => {
    await using manager = new SessionManager({ dir: tempDir(), provider: scriptedProvider(() => "ok") });
    const { dm } = builders();
    await manager.handle(dm("1", "before"));
    await manager.handle(dm("1", "/clear"));
    await manager.handle(dm("1", "after"));
    const session = await manager.open(DM as never);
    const texts = async (range: object) => (await all(session.history(range))).map((message) => message.content);
    expect(await texts({})).toEqual(["after", "ok"]);
    expect(await texts({ last: 10 })).toEqual(["after", "ok"]);
    expect(await texts({ includeCleared: true })).toEqual(["before", "ok", "after", "ok"]);
    expect(await texts({ includeCleared: true, last: 3 })).toEqual(["ok", "after", "ok"]);
    const [first] = await all(session.history({ includeCleared: true }));
    expect(await texts({ after: first?.id })).toEqual(["after", "ok"]);
  });

  test("a reply that was being written when the history was cleared is delivered and not remembered", async () => {
    const answer = deferred<string>();
    const started = deferred();
    const provider = scriptedProvider([
      () => {
        started.resolve();
        return answer.promise;
      },
      "fresh",
    ]);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    const running = manager.handle(dm("1", "old question"));
    await started.promise;
    await manager.handle(dm("1", "/clear"));
    answer.resolve("old answer");
    expect(await running).toMatchObject({ status: "replied", text: "old answer" });
    expect((await manager.get(DM))?.messageCount).toBe(0);
    await manager.handle(dm("1", "new question"));
    expect(provider.requests[1]?.messages.map((message) => message.content)).toEqual(["new question"]);
    const session = await manager.open(DM as never);
    expect((await all(session.history())).map((message) => message.content)).toEqual(["new question", "fresh"]);
  });
});

describe("G15 commands are for the session, not the model", () => {
  test.each([
    "/model",
    "/MODEL gpt-4o",
    "/status@MyBot",
    "/help",
    "/clear",
    "/stop",
    "/new",
    "/activation always",
    "/activation bogus",
  ])("%s is answered, never sent to the model and never stored as something the user said", async (text) => {
    const provider = scriptedProvider([]);
    await using manager = new SessionManager({
      dir: tempDir(),
      provider,
      channels: { telegram: { deliver: async () => undefined, botName: "mybot" } },
    });
    const outcome = await manager.handle(builders().dm("1", text));
    expect(outcome).toMatchObject({ status: "command", key: DM });
    expect(said(outcome)).not.toBe("");
    const session = await manager.open(DM as never);
    expect(await all(session.history({ includeCleared: true }))).toEqual([]);
  });

  test.each(["/frobnicate now", "/clear@other_bot", "/ model", "please /clear", "/models"])(
    "%s goes to the model",
    async (text) => {
      const provider = scriptedProvider(["hm"]);
      await using manager = new SessionManager({
        dir: tempDir(),
        provider,
        channels: { telegram: { deliver: async () => undefined, botName: "@MyBot" } },
      });
      expect(await manager.handle(builders().dm("1", text))).toMatchObject({ status: "replied" });
      expect(provider.requests[0]?.messages.at(-1)?.content).toBe(text);
    },
  );

  test("a command is answered through its channel, beside a running turn", async () => {
    const sent: string[] = [];
    const answer = deferred<string>();
    const started = deferred();
    await using manager = new SessionManager({
      dir: tempDir(),
      provider: scriptedProvider([
        () => {
          started.resolve();
          return answer.promise;
        },
      ]),
      channels: { telegram: { deliver: async ({ text }) => void sent.push(text) } },
    });
    const { dm } = builders();
    const running = manager.handle(dm("1", "think"));
    await started.promise;
    const status = said(await manager.handle(dm("1", "/status")));
    expect(status).toContain(DM);
    expect(status).toContain("being written");
    expect(sent).toEqual([status]);
    answer.resolve("done");
    await running;
    expect(sent).toEqual([status, "done"]);
  });

  test("a message sent right after /model is answered by that model, without waiting for the command", async () => {
    const provider = scriptedProvider(({ model }) => `from ${model}`);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    const [, reply] = await Promise.all([manager.handle(dm("1", "/model b")), manager.handle(dm("1", "hi"))]);
    expect(reply).toMatchObject({ text: "from b" });
  });

  test("a redelivered /clear or /stop does not act again", async () => {
    const started = deferred();
    const answer = deferred<string>();
    const provider = scriptedProvider([
      "first",
      () => {
        started.resolve();
        return answer.promise;
      },
    ]);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    const clear = dm("1", "/clear");
    const stop = dm("1", "/stop");
    await manager.handle(clear);
    await manager.handle(stop);
    await manager.handle(dm("1", "keep me"));
    const running = manager.handle(dm("1", "and me"));
    await started.promise;
    expect(await manager.handle(clear)).toMatchObject({ status: "duplicate", outcome: { status: "command" } });
    expect(await manager.handle(stop)).toMatchObject({ status: "duplicate", outcome: { text: "Nothing is running." } });
    answer.resolve("second");
    expect(await running).toMatchObject({ status: "replied" });
    expect((await manager.get(DM))?.messageCount).toBe(4);
  });

  test("the provider decides which names /model takes, and what they stand for", async () => {
    const provider = scriptedProvider(({ model }) => `from ${model}`, {
      resolveModel: (name) => (name === "fast" ? "vendor/fast-1" : undefined),
    });
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    expect(said(await manager.handle(dm("1", "/model fast")))).toContain("vendor/fast-1");
    expect(said(await manager.handle(dm("1", "/model slow")))).toContain("not available");
    expect((await manager.get(DM))?.state.modelOverride).toBe("vendor/fast-1");
    await manager.handle(dm("1", "/model default"));
    expect((await manager.get(DM))?.state.modelOverride).toBeNull();
  });

  test("a provider that fails over to another model leaves the override alone", async () => {
    const provider = scriptedProvider([
      { messages: [{ role: "assistant", content: "x" }], usage: { input: 1, output: 1 } },
    ]);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    await manager.handle(builders().dm("1", "hi"));
    expect((await manager.get(DM))?.state.modelOverride).toBeNull();
  });
});

describe("G15 who may", () => {
  test("in a group, without the host's word, everyone may look and nobody may change anything; a refusal is answered", async () => {
    await using manager = new SessionManager({ dir: tempDir(), provider: scriptedProvider(() => "ok") });
    const { inGroup } = builders();
    await manager.handle(inGroup("-100", "ann", "@bot hi", { mentioned: true }));
    for (const text of ["/clear", "/new", "/model x", "/activation always", "/stop", "/model"]) {
      const outcome = await manager.handle(inGroup("-100", "mallory", text));
      expect(said(outcome), text).toMatch(/may not/);
    }
    expect(said(await manager.handle(inGroup("-100", "mallory", "/status")))).toContain(GROUP);
    expect(said(await manager.handle(inGroup("-100", "mallory", "/help")))).toContain("/clear");
    const record = await manager.get(GROUP);
    expect(record).toMatchObject({ messageCount: 2, state: { modelOverride: null, activationMode: "mention" } });
  });

  test("the host's authorize is asked with the command, the sender and the key, and its word counts", async () => {
    const asked: CommandRequest[] = [];
    await using manager = new SessionManager({
      dir: tempDir(),
      authorize: (request) => {
        asked.push(request);
        return request.sender?.id === "admin";
      },
    });
    const { inGroup } = builders();
    await manager.handle(inGroup("-100", "mallory", "/activation always"));
    expect((await manager.get(GROUP))?.state.activationMode).toBe("mention");
    await manager.handle(inGroup("-100", "admin", "/activation always"));
    expect((await manager.get(GROUP))?.state.activationMode).toBe("always");
    expect(asked).toEqual([
      { command: "activation", sender: { id: "mallory", name: "mallory" }, key: GROUP },
      { command: "activation", sender: { id: "admin", name: "admin" }, key: GROUP },
    ]);
  });

  test("in one's own DM the host is not asked", async () => {
    await using manager = new SessionManager({ dir: tempDir(), authorize: () => false });
    expect(said(await manager.handle(builders().dm("1", "/model x")))).toContain("Model set to x");
  });

  test("an authorize that throws refuses with an error and changes nothing", async () => {
    const authorize = () => {
      throw new Error("directory is down");
    };
    await using manager = new SessionManager({ dir: tempDir(), authorize });
    const failed = await manager.handle(builders().inGroup("-100", "ann", "/clear")).catch((error: unknown) => error);
    expect(isSessionError(failed, "HOOK")).toBe(true);
    expect(await manager.get(GROUP)).toBeUndefined();
  });

  test("a truthy answer that is not true does not authorize", async () => {
    await using manager = new SessionManager({ dir: tempDir(), authorize: (() => "no") as never });
    expect(said(await manager.handle(builders().inGroup("-100", "ann", "/clear")))).toMatch(/may not/);
  });
});
