import { readFileSync } from "node:fs";
import type { Update } from "grammy/types";
import { expect, test } from "vitest";
import { scriptedProvider } from "../../src/testing.js";
import { all, tempDir } from "../session/store-dir.js";
import { telegramBot } from "./telegram-bot.js";

const updates = JSON.parse(
  readFileSync(new URL("../fixtures/telegram/updates.json", import.meta.url), "utf8"),
) as Update[];

const botInfo = {
  id: 42,
  is_bot: true as const,
  first_name: "Example",
  username: "example_bot",
  can_join_groups: true,
  can_read_all_group_messages: true,
  supports_inline_queries: false,
  can_connect_to_business: false,
  has_main_web_app: false,
};

interface Sent {
  method: string;
  payload: Record<string, unknown>;
}

/** Stands where the network begins: grammY's own client builds the request and reads the answer. */
function capturedNetwork() {
  const sent: Sent[] = [];
  const waiting: { count: number; resolve(): void }[] = [];
  const fetch = async (url: unknown, init?: { body?: unknown }) => {
    const method = String(url).split("/").at(-1) ?? "";
    sent.push({ method, payload: JSON.parse(String(init?.body)) as Sent["payload"] });
    for (const waiter of waiting) if (sent.length >= waiter.count) waiter.resolve();
    const result = { message_id: 9000 + sent.length, date: 1773828000, chat: { id: 1, type: "private" }, text: "" };
    return new Response(JSON.stringify({ ok: true, result }), { headers: { "content-type": "application/json" } });
  };
  const reached = (count: number) =>
    sent.length >= count ? Promise.resolve() : new Promise<void>((resolve) => void waiting.push({ count, resolve }));
  return { sent, fetch, reached };
}

test("G2 G4 G17 G23 a real grammY bot: two people, a group, a topic and a redelivered update", async () => {
  const network = capturedNetwork();
  // A model that says everything it was shown: whatever it can see, it leaks.
  const provider = scriptedProvider(({ messages }) => messages.map((message) => message.content).join(" | "));
  const { bot, sessions } = telegramBot("42:TEST", tempDir(), provider, {
    botInfo: botInfo as never,
    client: { fetch: network.fetch as never },
  });
  const noted = new Promise((resolve) => sessions.on("message.recorded", resolve));
  const redelivered = new Promise((resolve) => sessions.on("message.duplicate", resolve));

  for (const update of updates) await bot.handleUpdate(update);
  await Promise.all([network.reached(5), noted, redelivered]);

  const replies: Record<string, unknown>[] = network.sent.map(({ method, payload }) => ({ method, ...payload }));
  expect(replies).toHaveLength(5);
  const to = (chat: number) => replies.filter((reply) => reply.chat_id === chat);
  // A command is answered beside the running turn, so its answer may come first.
  expect(to(123456789).sort((a, b) => String(a.text).localeCompare(String(b.text)))).toEqual([
    { method: "sendMessage", chat_id: 123456789, text: "My secret is ALPHA" },
    { method: "sendMessage", chat_id: 123456789, text: expect.stringContaining("agent:main:telegram:dm:123456789") },
  ]);
  expect(to(987654321)).toEqual([{ method: "sendMessage", chat_id: 987654321, text: "What secrets do you know?" }]);
  expect(to(-1001234567890)).toEqual([
    {
      method: "sendMessage",
      chat_id: -1001234567890,
      text: "Ann: I prefer oolong | Bob: @example_bot what does Ann prefer?",
    },
  ]);
  expect(to(-1009876543210)).toEqual([
    {
      method: "sendMessage",
      chat_id: -1009876543210,
      message_thread_id: 42,
      text: "Bob: @example_bot is it deployed?",
    },
  ]);
  expect(provider.requests).toHaveLength(4);
  const keys = (await all(sessions.list())).map((record) => record.key).sort();
  expect(keys).toEqual([
    "agent:main:telegram:dm:123456789",
    "agent:main:telegram:dm:987654321",
    "agent:main:telegram:group:-1001234567890",
    "agent:main:telegram:group:-1009876543210:topic:42",
  ]);
  const [first] = await all(
    (await sessions.open(sessions.resolve({ channel: "telegram", chatType: "dm", peerId: "123456789" }))).history(),
  );
  expect(first).toMatchObject({
    content: "My secret is ALPHA",
    timestamp: "2026-03-18T10:00:00.000Z",
    messageId: "17",
  });
  await sessions.close();
});
