import { describe, expect, test } from "vitest";
import { type GenerateRequest, JsonlStorage, MemoryStorage, type SessionKey, SessionManager } from "../../src/index.js";
import { builders, scriptedProvider } from "../../src/testing.js";
import { all, deferred, leaveUnanswered, linesOf, tempDir } from "./store-dir.js";

const KEY = "agent:main:telegram:dm:1" as SessionKey;
const never = new Promise<never>(() => {});

/** Resolves when the event comes. */
const once = (manager: SessionManager, name: Parameters<SessionManager["on"]>[0]) =>
  new Promise<void>((resolve) => void manager.on(name, () => resolve()));

describe("host code that never answers holds nothing", () => {
  test("a channel that hangs is given up by /stop; the reply is kept, and the next message gets through", async () => {
    const dir = tempDir();
    let calls = 0;
    const deliver = () => {
      calls += 1;
      return calls === 1 ? never : Promise.resolve();
    };
    await using manager = new SessionManager({
      dir,
      provider: scriptedProvider(() => "the reply"),
      channels: { telegram: { deliver } },
    });
    const { dm } = builders();
    const completed = once(manager, "turn.completed");
    const hanging = manager.handle(dm("1", "one")).catch((error: unknown) => error);
    await completed;
    expect(await manager.handle(dm("1", "/stop"))).toMatchObject({ text: "Stopped." });
    expect(await hanging).toMatchObject({ code: "HOOK", operation: "deliver" });
    expect(await manager.handle(dm("1", "two"))).toMatchObject({ status: "replied" });
    const lines = await linesOf(manager, dir, KEY);
    expect(lines.filter((line) => line.type === "delivery")).toHaveLength(1);
    expect(lines.filter((line) => line.type === "turn").map((line) => line.status)).toEqual(["completed", "completed"]);
  });

  test("close gets past a channel and an authorize that hang", async () => {
    const manager = new SessionManager({
      dir: tempDir(),
      provider: scriptedProvider(() => "ok"),
      authorize: () => never,
      channels: { telegram: { deliver: () => never } },
    });
    const { dm, inGroup } = builders();
    const completed = once(manager, "turn.completed");
    const stuck = [
      manager.handle(dm("1", "hi")),
      manager.handle(inGroup("-1", "ann", "/clear")),
      manager.handle(inGroup("-1", "ann", "@bot hi", { mentioned: true })),
    ].map((outcome) => outcome.catch((error: { code: string }) => error.code));
    await completed;
    await manager.close();
    expect(await Promise.all(stuck)).toEqual(["HOOK", "CLOSED", expect.objectContaining({ status: "aborted" })]);
  });

  test("an authorize that hangs ends with the host's own signal", async () => {
    await using manager = new SessionManager({
      dir: tempDir(),
      provider: scriptedProvider(() => "ok"),
      authorize: () => never,
    });
    const { inGroup } = builders();
    const controller = new AbortController();
    const asked = manager.handle(inGroup("-1", "ann", "/clear"), { signal: controller.signal });
    controller.abort();
    await expect(asked).rejects.toMatchObject({ code: "HOOK", operation: "authorize" });
    expect(await manager.handle(inGroup("-1", "ann", "@bot hi", { mentioned: true }))).toMatchObject({
      status: "replied",
    });
  });

  test("purge and close may be asked for from inside a delivery", async () => {
    for (const what of ["purge", "close"] as const) {
      const manager: SessionManager = new SessionManager({
        storage: new MemoryStorage(),
        provider: scriptedProvider(() => "ok"),
        channels: { telegram: { deliver: () => (what === "purge" ? manager.purge(KEY) : manager.close()) } },
      });
      await manager.handle(builders().dm("1", "hi")).catch((error: unknown) => error);
      await manager.close();
    }
  });
});

describe("order of arrival", () => {
  test("/stop stops what came before it, and nothing that came after", async () => {
    const started = deferred();
    const provider = scriptedProvider([
      () => {
        started.resolve();
        return never;
      },
      "about X",
    ]);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    const long = manager.handle(dm("1", "long"));
    await started.promise;
    const [stopped, instead] = await Promise.all([
      manager.handle(dm("1", "/stop")),
      manager.handle(dm("1", "instead X")),
    ]);
    expect([(await long).status, stopped.status, instead.status]).toEqual(["aborted", "command", "replied"]);
  });

  test.each(["as a command", "by the host"])(
    "a message that came before a clear does not survive it (%s)",
    async (how) => {
      const started = deferred();
      const answer = deferred<string>();
      const provider = scriptedProvider([
        () => {
          started.resolve();
          return answer.promise;
        },
        "second",
        "third",
      ]);
      await using manager = new SessionManager({ dir: tempDir(), provider });
      const { dm } = builders();
      const first = manager.handle(dm("1", "my password is X"));
      await started.promise;
      const waiting = manager.handle(dm("1", "and my pin is Y"));
      await (how === "by the host" ? manager.clear(KEY) : manager.handle(dm("1", "/clear")));
      answer.resolve("first");
      expect(await first).toMatchObject({ text: "first" });
      expect(await waiting).toMatchObject({ text: "second" });
      expect(provider.requests[1]?.messages.map((message) => message.content)).toEqual(["and my pin is Y"]);
      expect((await manager.get(KEY))?.messageCount).toBe(0);
      await manager.handle(dm("1", "after"));
      expect(provider.requests[2]?.messages.map((message) => message.content)).toEqual(["after"]);
    },
  );

  test("a message sent right after session.clear() is in the new conversation", async () => {
    const provider = scriptedProvider(() => "ok");
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    await manager.handle(dm("1", "before"));
    const session = await manager.open(KEY);
    await Promise.all([session.clear(), manager.handle(dm("1", "after"))]);
    await manager.handle(dm("1", "and again"));
    const shown = provider.requests.at(-1)?.messages.map((message) => message.content);
    expect(shown).toEqual(expect.arrayContaining(["after", "and again"]));
    expect(shown).not.toContain("before");
  });

  test("the same when nothing had begun yet", async () => {
    const provider = scriptedProvider(() => "ok");
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    await Promise.all([manager.handle(dm("1", "my password is X")), manager.handle(dm("1", "/clear"))]);
    await manager.handle(dm("1", "after"));
    expect(provider.requests.at(-1)?.messages.map((message) => message.content)).toEqual(["after"]);
  });

  test("commands take effect in the order they were given, however slow authorize is", async () => {
    const slow = deferred<boolean>();
    let asked = 0;
    const authorize = () => {
      asked += 1;
      return asked === 1 ? slow.promise : true;
    };
    await using manager = new SessionManager({ dir: tempDir(), authorize });
    const { inGroup } = builders();
    const both = [manager.handle(inGroup("-1", "a", "/model a")), manager.handle(inGroup("-1", "b", "/model b"))];
    slow.resolve(true);
    await Promise.all(both);
    expect((await manager.get("agent:main:telegram:group:-1"))?.state.modelOverride).toBe("b");
  });
});

describe("what a provider may hand over", () => {
  test("fields that are not a message's own do not reach the line", async () => {
    const dir = tempDir();
    const response = {
      ...{
        type: "message",
        id: "msg_1",
        timestamp: "yesterday",
        turn: true,
        cleared: true,
        of: "x",
        sender: "x",
        _more: 3,
      },
      ...{
        usage: { input_tokens: 3 },
        model: null,
        stopReason: null,
        role: "assistant",
        content: "hello",
        providerData: { a: 1 },
      },
    };
    const answer = { messages: [response], usage: null, stopReason: null };
    await using manager = new SessionManager({ dir, provider: scriptedProvider([async () => answer as never]) });
    expect(await manager.handle(builders().dm("1", "hi"))).toMatchObject({ status: "replied", text: "hello" });
    const line = (await linesOf(manager, dir, KEY)).find(({ role }) => role === "assistant") ?? {};
    expect(Object.keys(line).sort()).toEqual([
      ...["_lines", "_on", "_rev"],
      ...["content", "id", "of", "providerData", "role", "timestamp"],
    ]);
    expect(line).toMatchObject({ providerData: { a: 1 }, id: expect.not.stringMatching("msg_1") });
    expect((await manager.get(KEY))?.openTurns).toEqual([]);
  });

  test("a final text that was recorded is the reply, also for a redelivery", async () => {
    const sent: string[] = [];
    const provider = scriptedProvider([
      async ({ record }: GenerateRequest) => {
        await record({ role: "assistant", content: "recorded" });
        return { messages: [], usage: { input: 10, output: 2 } };
      },
    ]);
    await using manager = new SessionManager({
      dir: tempDir(),
      provider,
      channels: { telegram: { deliver: async ({ text }) => void sent.push(text) } },
    });
    const message = builders().dm("1", "hi");
    const outcome = await manager.handle(message);
    expect(outcome).toMatchObject({ status: "replied", text: "recorded", usage: { input: 10 } });
    expect(sent).toEqual(["recorded"]);
    expect((await manager.get(KEY))?.contextTokens).toBe(10);
    expect(await manager.handle(message)).toEqual({ status: "duplicate", key: KEY, outcome });
  });

  test("words before a tool call are not the reply of a turn that ends with the tool", async () => {
    const call = { toolCallId: "c", toolName: "send" };
    const provider = scriptedProvider([
      async ({ record }: GenerateRequest) => {
        await record({
          role: "assistant",
          content: [
            { type: "text", text: "Sending…" },
            { type: "tool-call", ...call, input: {} },
          ],
        });
        return { messages: [{ role: "tool", content: [{ type: "tool-result", ...call, output: "sent" }] }] };
      },
    ]);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    expect(await manager.handle(builders().dm("1", "hi"))).toEqual({ status: "silent", key: KEY });
  });

  test("a step that could not be stored fails the turn, whatever the provider made of it", async () => {
    const provider = scriptedProvider([
      async ({ record }: GenerateRequest) => {
        await record({ role: "user", content: "not a step" } as never).catch(() => "ignored");
        return "all fine";
      },
      "next",
    ]);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    await expect(manager.handle(dm("1", "hi"))).rejects.toMatchObject({ code: "HOOK" });
    expect(await manager.handle(dm("1", "hi"))).toMatchObject({ status: "replied" });
  });

  test("a provider is not called for a turn that was stopped before", async () => {
    const provider = scriptedProvider(() => "ok");
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const controller = new AbortController();
    controller.abort();
    expect(await manager.handle(builders().dm("1", "hi"), { signal: controller.signal })).toMatchObject({
      status: "aborted",
    });
    expect(provider.requests).toEqual([]);
  });

  test("what the host appends while a reply is written comes behind it for the model", async () => {
    const provider = scriptedProvider(() => "ok");
    await using manager = new SessionManager({ dir: tempDir(), provider });
    manager.on("turn.started", async () => {
      const session = await manager.open(KEY);
      await session.append({ role: "system", content: "late" });
    });
    await manager.handle(builders().dm("1", "hi"));
    expect(provider.requests[0]?.messages.map((message) => message.content)).toEqual(["hi"]);
  });
});

describe("failures nobody waits for", () => {
  test("an asynchronous listener that fails is logged and does not end the process", async () => {
    const failed = deferred<unknown>();
    const quiet = () => undefined;
    const logger = { debug: quiet, info: quiet, warn: quiet, error: (facts: object) => failed.resolve(facts) };
    await using manager = new SessionManager({ dir: tempDir(), provider: scriptedProvider(() => "ok"), logger });
    manager.on("turn.completed", async () => {
      throw new RangeError("listener bug");
    });
    await manager.handle(builders().dm("1", "hi"));
    expect(await failed.promise).toMatchObject({ event: "turn.completed", err: { type: "RangeError" } });
  });

  test("the log has no word of what a provider's error quotes; a listener gets the error itself", async () => {
    const logged: unknown[] = [];
    const log = (facts: object, message: string) => void logged.push(facts, message);
    const logger = { debug: log, info: log, warn: log, error: log };
    const cause = new Error("bad request: ALPHA");
    await using manager = new SessionManager({ dir: tempDir(), provider: scriptedProvider([cause]), logger });
    let heard: unknown;
    manager.on("turn.failed", ({ error }) => {
      heard = error;
    });
    await manager.handle(builders().dm("1", "ALPHA")).catch(() => "expected");
    expect(JSON.stringify(logged)).not.toContain("ALPHA");
    expect(JSON.stringify(logged)).toContain("HOOK");
    expect(heard).toMatchObject({ code: "HOOK", cause });
  });

  test("when the end of a turn cannot be stored, the caller hears it and the turn still gets one end", async () => {
    const inner = new MemoryStorage();
    let updates = 0;
    const storage = Object.assign(Object.create(inner) as MemoryStorage, {
      read: inner.read.bind(inner),
      list: inner.list.bind(inner),
      entries: inner.entries.bind(inner),
      claim: inner.claim.bind(inner),
      delete: inner.delete.bind(inner),
      close: inner.close.bind(inner),
      update: async (...args: Parameters<MemoryStorage["update"]>) => {
        updates += 1;
        if (updates === 3) throw new Error("disk hiccup");
        return inner.update(...args);
      },
    });
    await using manager = new SessionManager({ storage, provider: scriptedProvider(["lost", "next"]) });
    const failed: unknown[] = [];
    manager.on("turn.failed", ({ error }) => failed.push(error));
    const { dm } = builders();
    await expect(manager.handle(dm("1", "one"))).rejects.toThrow("disk hiccup");
    expect(failed).toHaveLength(1);
    expect((await manager.get(KEY))?.openTurns).toEqual([]);
    expect(await manager.handle(dm("1", "two"))).toMatchObject({ text: "next" });
  });
});

describe("sessions that come and go", () => {
  test("a session object of a purged session touches no new one", async () => {
    await using manager = new SessionManager({ dir: tempDir(), provider: scriptedProvider(() => "ok") });
    const { dm } = builders();
    const old = await manager.open(KEY);
    await manager.purge(KEY);
    await expect(old.append({ role: "user", content: "x" })).rejects.toMatchObject({ code: "SESSION_NOT_FOUND" });
    expect(await manager.get(KEY)).toBeUndefined();
    await manager.handle(dm("1", "hi"));
    await expect(old.configure({ modelOverride: "x" })).rejects.toMatchObject({ code: "SESSION_NOT_FOUND" });
    await expect(old.status()).rejects.toMatchObject({ code: "SESSION_NOT_FOUND" });
    await expect(old.clear()).rejects.toMatchObject({ code: "SESSION_NOT_FOUND" });
    expect((await manager.get(KEY))?.messageCount).toBe(2);
  });

  test("a redelivery after a crash marks the turn it belongs to, and is still no second message", async () => {
    const dir = tempDir();
    const message = builders().dm("1", "one");
    await leaveUnanswered(dir, message);
    await using second = new SessionManager({ storage: new JsonlStorage({ dir }), provider: scriptedProvider([]) });
    const interrupted: unknown[] = [];
    second.on("turn.interrupted", ({ messageId }) => interrupted.push(messageId));
    expect(await second.handle(message)).toEqual({ status: "duplicate", key: KEY });
    expect(interrupted).toEqual([message.messageId]);
    const session = await second.open(KEY);
    expect(await all(session.history())).toHaveLength(1);
  });

  test("a command's reply that is not delivered is recorded and reported", async () => {
    const dir = tempDir();
    const deliver = () => Promise.reject(new Error("blocked"));
    await using manager = new SessionManager({ dir, channels: { telegram: { deliver } } });
    const failed = once(manager, "delivery.failed");
    await expect(manager.handle(builders().dm("1", "/help"))).rejects.toMatchObject({ operation: "deliver" });
    await failed;
    expect((await linesOf(manager, dir, KEY)).at(-1)).toMatchObject({ type: "delivery", status: "failed" });
  });

  test("a botName that throws does not touch plain messages", async () => {
    const botName = () => {
      throw new Error("not initialised");
    };
    await using manager = new SessionManager({
      dir: tempDir(),
      provider: scriptedProvider(() => "ok"),
      channels: { telegram: { deliver: async () => undefined, botName } },
    });
    const { dm } = builders();
    expect(await manager.handle(dm("1", "hello @all"))).toMatchObject({ status: "replied" });
    expect(await manager.handle(dm("1", "/status"))).toMatchObject({ status: "command" });
    await expect(manager.handle(dm("1", "/clear@my_bot"))).rejects.toMatchObject({
      code: "HOOK",
      operation: "botName",
    });
  });
});
