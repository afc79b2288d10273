import { describe, expect, test } from "vitest";
import { type GenerateRequest, isSessionError, MemoryStorage, SessionManager } from "../../src/index.js";
import { builders, scriptedProvider } from "../../src/testing.js";
import { all, deferred, linesOf, tempDir } from "./store-dir.js";

const KEY = "agent:main:telegram:dm:1";

describe("G4 nothing is dropped, interleaved or reordered", () => {
  test("50 concurrent messages leave u1 a1 u2 a2 … in arrival order, while another session goes on", async () => {
    const dir = tempDir();
    let seed = 7;
    // A small generator of its own: how long each answer takes must differ, and be the same at every run.
    const ticks = () => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % 20;
    };
    const blocked = deferred<string>();
    const provider = scriptedProvider(async ({ key, messages }) => {
      if (key.endsWith(":slow")) return blocked.promise;
      for (let left = ticks(); left > 0; left -= 1) await new Promise(setImmediate);
      return `a${String(messages.at(-1)?.content).slice(1)}`;
    });
    await using manager = new SessionManager({ dir, provider });
    const { dm } = builders();

    const slow = manager.handle(dm("slow", "never answered until the end"));
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, i) => manager.handle(dm("1", `u${i + 1}`))));

    expect(outcomes.map((outcome) => outcome.status === "replied" && outcome.text)).toEqual(
      Array.from({ length: 50 }, (_, i) => `a${i + 1}`),
    );
    const session = await manager.open(manager.resolve({ channel: "telegram", chatType: "dm", peerId: "1" }));
    expect((await all(session.history())).map((message) => message.content)).toEqual(
      Array.from({ length: 50 }, (_, i) => [`u${i + 1}`, `a${i + 1}`]).flat(),
    );
    blocked.resolve("at last");
    expect(await slow).toMatchObject({ status: "replied", text: "at last" });
  });

  test("the context of a turn is built only after the turn before it is stored", async () => {
    const provider = scriptedProvider(({ messages }) => `answer ${messages.length}`);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    await Promise.all([manager.handle(dm("1", "one")), manager.handle(dm("1", "two"))]);
    expect(provider.requests[1]?.messages.map((message) => message.content)).toEqual(["one", "answer 1", "two"]);
  });

  test("a redelivered message id is one user entry and one call, and gives the first outcome", async () => {
    const provider = scriptedProvider(["hello"]);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const message = builders().dm("1", "hi");
    const [first, second] = await Promise.all([manager.handle(message), manager.handle(message)]);
    const third = await manager.handle(message);
    expect(first).toMatchObject({ status: "replied", text: "hello" });
    expect(second).toEqual({ status: "duplicate", key: KEY, outcome: first });
    expect(third).toEqual({ status: "duplicate", key: KEY, outcome: first });
    expect(provider.requests).toHaveLength(1);
    const session = await manager.open(first.key);
    expect(await all(session.history())).toHaveLength(2);
  });

  test("a redelivery is recognised after a restart", async () => {
    const dir = tempDir();
    const message = builders().dm("1", "hi");
    const first = new SessionManager({ dir, provider: scriptedProvider(["hello"]) });
    const outcome = await first.handle(message);
    await first.close();
    await using second = new SessionManager({ dir, provider: scriptedProvider([]) });
    expect(await second.handle(message)).toEqual({ status: "duplicate", key: KEY, outcome });
  });

  test("the same message id in another chat or on another account is another message", async () => {
    const provider = scriptedProvider(() => "ok");
    await using manager = new SessionManager({ dir: tempDir(), provider, config: { session: { dmScope: "main" } } });
    const { dm } = builders();
    for (const message of [
      dm("1", "a", { messageId: "17" }),
      dm("2", "b", { messageId: "17" }),
      dm("1", "c", { messageId: "17", channel: "discord" }),
      dm("1", "d", { messageId: "17", accountId: "work" }),
    ]) {
      expect(await manager.handle(message)).toMatchObject({ status: "replied" });
    }
  });

  test("a queue that is full answers with a typed error, stores nothing, and works again afterwards", async () => {
    const answer = deferred<string>();
    const provider = scriptedProvider(() => answer.promise);
    await using manager = new SessionManager({ dir: tempDir(), provider, config: { messages: { queue: { cap: 2 } } } });
    const { dm } = builders();
    const started = new Promise<void>((resolve) => void manager.on("turn.started", () => resolve()));
    const running = manager.handle(dm("1", "one"));
    await started;
    const waiting = [manager.handle(dm("1", "two")), manager.handle(dm("1", "three"))];
    const refused = await manager.handle(dm("1", "SECRET four")).catch((error: unknown) => error);
    expect(isSessionError(refused, "QUEUE_FULL")).toBe(true);
    expect(String(refused)).not.toContain("SECRET");
    expect((await manager.get(KEY))?.messageCount).toBe(1);
    answer.resolve("ok");
    await Promise.all([running, ...waiting]);
    expect(await manager.handle(dm("1", "four again"))).toMatchObject({ status: "replied" });
  });

  test("a session whose provider never answers holds up no other", async () => {
    const never = deferred<string>();
    const provider = scriptedProvider(({ key }) => (key.endsWith(":1") ? never.promise : "ok"));
    const manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    const stuck = manager.handle(dm("1", "hello?"));
    expect(await manager.handle(dm("2", "hi"))).toMatchObject({ status: "replied", text: "ok" });
    await manager.close();
    expect(await stuck).toMatchObject({ status: "aborted" });
  });
});

describe("G5 nothing is lost when a turn fails or is aborted", () => {
  test("the user's message is on disk before the model is called", async () => {
    const dir = tempDir();
    let onDisk: unknown[] = [];
    const provider = scriptedProvider(async () => {
      onDisk = await linesOf(manager, dir, KEY as never);
      return "ok";
    });
    const manager = new SessionManager({ dir, provider });
    await manager.handle(builders().dm("1", "remember me"));
    expect(onDisk.at(-1)).toMatchObject({ role: "user", content: "remember me" });
    await manager.close();
  });

  test("an abort after three streamed pieces leaves one assistant entry with that text and one end", async () => {
    const dir = tempDir();
    const streamed = deferred();
    const provider = scriptedProvider(async ({ emit, signal }) => {
      for (const piece of ["One, ", "two, ", "three"]) emit(piece);
      streamed.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw signal.reason;
    });
    await using manager = new SessionManager({ dir, provider });
    const { dm } = builders();
    const controller = new AbortController();
    const running = manager.handle(dm("1", "count"), { signal: controller.signal });
    await streamed.promise;
    controller.abort();
    expect(await running).toEqual({ status: "aborted", key: KEY, partial: "One, two, three" });
    const lines = await linesOf(manager, dir, KEY as never);
    const answers = lines.filter((line) => line.role === "assistant");
    expect(answers).toMatchObject([{ content: "One, two, three", stopReason: "aborted" }]);
    const user = lines.find((line) => line.role === "user");
    expect(lines.filter((line) => line.type === "turn")).toMatchObject([{ of: user?.id, status: "aborted" }]);
  });

  test("a stopped reply is not replayed as something the assistant said", async () => {
    const streamed = deferred();
    const provider = scriptedProvider([
      async ({ emit }) => {
        emit("I was about to");
        streamed.resolve();
        return deferred<string>().promise;
      },
      "second",
    ]);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    const first = manager.handle(dm("1", "one"));
    await streamed.promise;
    expect(await manager.handle(dm("1", "/stop"))).toMatchObject({ status: "command", text: "Stopped." });
    expect(await first).toEqual({ status: "aborted", key: KEY, partial: "I was about to" });
    await manager.handle(dm("1", "two"));
    const seen = provider.requests[1]?.messages ?? [];
    expect(seen.some((message) => message.role === "assistant")).toBe(false);
    expect(JSON.stringify(seen)).toContain("I was about to");
  });

  test("/stop also ends what waits, and those messages are kept", async () => {
    const started = deferred();
    const provider = scriptedProvider(() => {
      started.resolve();
      return deferred<string>().promise;
    });
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    const running = manager.handle(dm("1", "one"));
    await started.promise;
    const waiting = manager.handle(dm("1", "two"));
    await manager.handle(dm("1", "/stop"));
    expect(await running).toMatchObject({ status: "aborted" });
    expect(await waiting).toEqual({ status: "aborted", key: KEY, partial: "" });
    expect(provider.requests).toHaveLength(1);
    const session = await manager.open(KEY as never);
    expect((await all(session.history())).map((message) => message.content)).toEqual(["one", "two"]);
  });

  test("a failing provider rejects with its cause after the end is on disk, and the next turn works", async () => {
    const dir = tempDir();
    const cause = new Error("rate limited");
    await using manager = new SessionManager({ dir, provider: scriptedProvider([cause, "fine"]) });
    const { dm } = builders();
    const failed = await manager.handle(dm("1", "SECRET one")).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "HOOK", operation: "generate", key: KEY, cause });
    expect(String(failed)).not.toContain("SECRET");
    const lines = await linesOf(manager, dir, KEY as never);
    expect(lines.at(-1)).toMatchObject({ type: "turn", status: "failed", error: { code: "HOOK" } });
    expect(await manager.handle(dm("1", "two"))).toMatchObject({ status: "replied", text: "fine" });
  });

  test("text that had streamed when the provider failed is kept and marked", async () => {
    const dir = tempDir();
    const provider = scriptedProvider([
      async ({ emit }) => {
        emit("half an ans");
        throw new Error("connection reset");
      },
    ]);
    await using manager = new SessionManager({ dir, provider });
    await manager.handle(builders().dm("1", "hi")).catch(() => "expected");
    const lines = await linesOf(manager, dir, KEY as never);
    expect(lines.filter((line) => line.role === "assistant")).toMatchObject([
      { content: "half an ans", stopReason: "error" },
    ]);
  });

  test.each([
    ["a number", 42],
    ["nothing", undefined],
    ["an empty text", "   "],
    ["messages of the user's", { messages: [{ role: "user", content: "I am you" }] }],
    ["a part of no known type", { messages: [{ role: "assistant", content: [{ type: "hologram" }] }] }],
    ["a BigInt", { messages: [{ role: "assistant", content: "x", providerData: 1n }] }],
    [
      "usage that is no number",
      { messages: [{ role: "assistant", content: "x" }], usage: { input: Number.NaN, output: 1 } },
    ],
  ])("an answer that is %s fails the turn and nothing else", async (_name, answer) => {
    const provider = scriptedProvider([async () => answer as never, "fine"]);
    await using manager = new SessionManager({ dir: tempDir(), provider });
    const { dm } = builders();
    await expect(manager.handle(dm("1", "one"))).rejects.toMatchObject({ code: "HOOK" });
    expect(await manager.handle(dm("1", "two"))).toMatchObject({ status: "replied", text: "fine" });
    expect((await manager.get(KEY))?.openTurns).toEqual([]);
  });

  test("tool steps are on disk at once and in order, and refused once the turn is over", async () => {
    const dir = tempDir();
    let late: GenerateRequest["record"] | undefined;
    const provider = scriptedProvider([
      async ({ record }) => {
        late = record;
        await record({
          role: "assistant",
          content: [{ type: "tool-call", toolCallId: "c1", toolName: "weather", input: { city: "Berlin" } }],
        });
        expect((await linesOf(manager, dir, KEY as never)).at(-1)).toMatchObject({ role: "assistant" });
        await record({
          role: "tool",
          content: [{ type: "tool-result", toolCallId: "c1", toolName: "weather", output: { c: 21 } }],
        });
        return {
          messages: [{ role: "assistant", content: "21 degrees" }],
          usage: { input: 100, output: 5, cacheRead: 900 },
        };
      },
    ]);
    const manager = new SessionManager({ dir, provider });
    const outcome = await manager.handle(builders().dm("1", "weather?"));
    expect(outcome).toMatchObject({ status: "replied", text: "21 degrees", usage: { input: 100 } });
    const session = await manager.open(outcome.key);
    expect((await all(session.history())).map((message) => message.role)).toEqual([
      "user",
      "assistant",
      "tool",
      "assistant",
    ]);
    expect((await session.status()).tokensUsed).toBe(1005);
    await expect(late?.({ role: "assistant", content: "too late" })).rejects.toMatchObject({ code: "HOOK" });
    expect(await all(session.history())).toHaveLength(4);
    await manager.close();
  });

  test("NO_REPLY is silence: stored, not delivered", async () => {
    const sent: string[] = [];
    await using manager = new SessionManager({
      dir: tempDir(),
      provider: scriptedProvider([" NO_REPLY\n"]),
      channels: { telegram: { deliver: async ({ text }) => void sent.push(text) } },
    });
    expect(await manager.handle(builders().dm("1", "just saying"))).toEqual({ status: "silent", key: KEY });
    expect(sent).toEqual([]);
    expect((await manager.get(KEY))?.messageCount).toBe(2);
  });

  test("a delivery that fails is recorded and reported; the reply is kept and not made twice", async () => {
    const dir = tempDir();
    const provider = scriptedProvider(["the answer"]);
    await using manager = new SessionManager({
      dir,
      provider,
      channels: { telegram: { deliver: async () => Promise.reject(new Error("blocked by the user")) } },
    });
    const failed: unknown[] = [];
    manager.on("delivery.failed", (event) => failed.push(event.key));
    const message = builders().dm("1", "hi");
    await expect(manager.handle(message)).rejects.toMatchObject({ code: "HOOK", operation: "deliver" });
    const lines = await linesOf(manager, dir, KEY as never);
    expect(lines.filter((line) => line.type === "turn")).toMatchObject([{ status: "completed" }]);
    expect(lines.at(-1)).toMatchObject({ type: "delivery", status: "failed" });
    expect(failed).toEqual([KEY]);
    expect(await manager.handle(message)).toMatchObject({ status: "duplicate", outcome: { text: "the answer" } });
    expect(provider.requests).toHaveLength(1);
  });

  test("close stops the running turn, keeps what it had, and refuses what comes later", async () => {
    const dir = tempDir();
    const streamed = deferred();
    const provider = scriptedProvider(async ({ emit }) => {
      emit("so far");
      streamed.resolve();
      return deferred<string>().promise;
    });
    const manager = new SessionManager({ dir, provider });
    const { dm } = builders();
    const running = manager.handle(dm("1", "one"));
    await streamed.promise;
    await manager.close();
    await manager.close();
    expect(await running).toEqual({ status: "aborted", key: KEY, partial: "so far" });
    await expect(manager.handle(dm("1", "two"))).rejects.toMatchObject({ code: "CLOSED" });
    await using again = new SessionManager({ dir });
    const session = await again.open(KEY as never);
    expect((await all(session.history())).map((message) => message.content)).toEqual(["one", "so far"]);
  });

  test("without a provider a message is kept, and the caller is told why it was not answered", async () => {
    await using manager = new SessionManager({ dir: tempDir() });
    await expect(manager.handle(builders().dm("1", "anyone?"))).rejects.toMatchObject({ code: "HOOK" });
    expect((await manager.get(KEY))?.messageCount).toBe(1);
  });
});

describe("G14 no surprise resets", () => {
  test("a session that was silent for a year goes on where it was", async () => {
    let now = Date.UTC(2025, 0, 1);
    const provider = scriptedProvider(({ messages }) => String(messages.length));
    await using manager = new SessionManager({ storage: new MemoryStorage(), provider, clock: { now: () => now } });
    const { dm } = builders();
    await manager.handle(dm("1", "before"));
    now += 366 * 24 * 3600 * 1000;
    expect(await manager.handle(dm("1", "after"))).toMatchObject({ text: "3" });
  });
});
