import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isSessionError, type SessionErrorCode, SessionManager } from "../../src/index.js";
import { builders, scriptedProvider } from "../../src/testing.js";
import { tempDir } from "./store-dir.js";

const SAID = "PRIVATE-WORDS";
const good = { channel: "telegram", chatType: "dm", peerId: "1", text: SAID };

async function refusal(work: Promise<unknown>): Promise<Error & { code: SessionErrorCode }> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(isSessionError(error)).toBe(true);
  return error as Error & { code: SessionErrorCode };
}

describe("a message that is none is refused with INVALID_MESSAGE, and nothing is written", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["null", null],
    ["a text", SAID],
    ["no channel", { ...good, channel: undefined }],
    ["a reserved channel", { ...good, channel: "dm" }],
    ["no peer", { ...good, peerId: undefined }],
    ["an empty peer", { ...good, peerId: "" }],
    ["a peer that is a number", { ...good, peerId: 1 }],
    ["a lone surrogate as peer", { ...good, peerId: "a\ud800" }],
    ["a 10 kB peer", { ...good, peerId: "p".repeat(10_000) }],
    ["no group", { channel: "telegram", chatType: "group", text: SAID }],
    ["a group in a dm", { ...good, groupId: "-100" }],
    ["a topic in a dm", { ...good, topicId: "7" }],
    ["a peer in a group", { ...good, chatType: "group", groupId: "-100" }],
    ["an unknown chat type", { ...good, chatType: "channel" }],
    ["both text and content", { ...good, content: [{ type: "text", text: SAID }] }],
    ["neither text nor content", { ...good, text: undefined }],
    ["an empty text", { ...good, text: "" }],
    ["empty content", { ...good, text: undefined, content: [] }],
    ["a part without its text", { ...good, text: undefined, content: [{ type: "text" }] }],
    ["a text of the wrong type", { ...good, text: [SAID] }],
    ["2 MB of text", { ...good, text: SAID.repeat(160_000) }],
    [
      "a BigInt in a part",
      { ...good, text: undefined, content: [{ type: "tool-call", toolCallId: "a", toolName: "b", input: 1n }] },
    ],
    ["a misspelt field", { ...good, messageid: "17" }],
    ["a message id that is a number", { ...good, messageId: 17 }],
    ["a time that is none", { ...good, timestamp: "soon" }],
    ["a time in seconds", { ...good, timestamp: 1_773_828_000 }],
    ["a sender without id", { ...good, sender: { name: "Ann" } }],
    ["an agent that cannot be a directory", { ...good, agentId: "../../etc" }],
    ["an account that is reserved", { ...good, accountId: "group" }],
  ])("%s", async (_name, message) => {
    const dir = join(tempDir(), "store");
    await using manager = new SessionManager({ dir, provider: scriptedProvider(() => "ok") });
    const error = await refusal(manager.handle(message as never));
    expect(error.code).toBe("INVALID_MESSAGE");
    expect(error.message).not.toContain(SAID);
    expect(existsSync(dir)).toBe(false);
  });
});

describe("a key that is no key", () => {
  test.each([
    "",
    "main",
    "agent:main",
    "agent:main:",
    "agent:Main:main",
    "agent:main:telegram:dm:",
    "../../etc/passwd",
    "agent:main:telegram:dm:%41",
  ])("%j is refused by every call that takes one", async (key) => {
    await using manager = new SessionManager({ dir: tempDir() });
    for (const call of [manager.get(key), manager.clear(key), manager.purge(key), manager.open(key as never)]) {
      expect((await refusal(call)).code).toBe("INVALID_SESSION_KEY");
    }
  });

  test("a well-formed key without a session is SESSION_NOT_FOUND to clear, and makes none", async () => {
    const dir = join(tempDir(), "store");
    await using manager = new SessionManager({ dir });
    expect((await refusal(manager.clear("agent:main:telegram:dm:9"))).code).toBe("SESSION_NOT_FOUND");
    expect(await manager.get("agent:main:telegram:dm:9")).toBeUndefined();
    expect(existsSync(dir)).toBe(false);
  });
});

describe("a place that cannot hold a store", () => {
  test("a dir that is a file gives STORAGE with its cause, and works once the file is gone", async () => {
    const dir = join(tempDir(), "store");
    writeFileSync(dir, "not a directory");
    await using manager = new SessionManager({ dir, provider: scriptedProvider(() => "ok") });
    const error = await refusal(manager.handle(good as never));
    expect(error.code).toBe("STORAGE");
    expect(error.message).not.toContain(SAID);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test.skipIf(process.getuid?.() === 0)(
    "a read-only dir gives STORAGE, and the message can be sent again",
    async () => {
      const dir = join(tempDir(), "store");
      mkdirSync(dir);
      chmodSync(dir, 0o500);
      await using manager = new SessionManager({ dir, provider: scriptedProvider(() => "ok") });
      expect((await refusal(manager.handle(good as never))).code).toBe("STORAGE");
      chmodSync(dir, 0o700);
      expect(await manager.handle(good as never)).toMatchObject({ status: "replied" });
    },
  );
});

describe("options", () => {
  test.each<[string, unknown]>([
    ["nothing", undefined],
    ["neither dir nor storage", {}],
    ["an unknown option", { dir: "x", providers: {} }],
    ["a provider without generate", { dir: "x", provider: {} }],
    ["a channel without deliver", { dir: "x", channels: { telegram: {} } }],
    ["an authorize that is no function", { dir: "x", authorize: true }],
    ["an unknown durability", { dir: "x", durability: "sometimes" }],
  ])("%s is a TypeError at construction", (_name, options) => {
    expect(() => new SessionManager(options as never)).toThrow(TypeError);
  });

  test("wrong ranges and settings are refused", async () => {
    await using manager = new SessionManager({ dir: tempDir() });
    const session = await manager.open({ channel: "telegram", chatType: "dm", peerId: "1" });
    const first = (items: AsyncIterable<unknown>) => items[Symbol.asyncIterator]().next();
    await expect(first(session.history({ last: -1 }))).rejects.toThrow(TypeError);
    await expect(first(session.history({ last: 1.5 }))).rejects.toThrow(TypeError);
    await expect(first(manager.list({ limit: Number.NaN }))).rejects.toThrow(TypeError);
    for (const patch of [
      { activationMode: "sometimes" },
      { modelOverride: 7 },
      { modle: "x" },
      { model: "x" },
      { extra: { big: "x".repeat(5000) } },
    ]) {
      expect((await refusal(session.configure(patch as never))).code).toBe("INVALID_CONFIG");
    }
    for (const message of [
      undefined,
      { role: "robot", content: SAID },
      { role: "user" },
      { role: "user", content: SAID, providerData: 1n },
    ]) {
      const error = await refusal(session.append(message as never));
      expect(error.code).toBe("INVALID_MESSAGE");
      expect(error.message).not.toContain(SAID);
    }
    expect((await session.status()).messageCount).toBe(0);
  });

  test("one bad message of several keeps all of them out", async () => {
    await using manager = new SessionManager({ dir: tempDir() });
    const session = await manager.open({ channel: "telegram", chatType: "dm", peerId: "1" });
    const { user } = builders();
    await refusal(session.append(user("fine"), { role: "robot" } as never));
    expect((await session.status()).messageCount).toBe(0);
    expect(await session.append({ role: "user", content: "fine" }, { role: "assistant", content: "too" })).toHaveLength(
      2,
    );
  });
});
