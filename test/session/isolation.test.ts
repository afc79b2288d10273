import { describe, expect, test } from "vitest";
import { type GenerateRequest, SessionManager } from "../../src/index.js";
import { builders, scriptedProvider } from "../../src/testing.js";
import { filesBelow, tempDir } from "./store-dir.js";

// A model that says everything it was shown: whatever it can see, it leaks.
const gossip = () => scriptedProvider((request) => `I see: ${JSON.stringify(request.messages)}`);

describe("G2 one person never sees another's conversation", () => {
  test("nothing of A's is in what the provider receives for B, nor in B's files", async () => {
    const dir = tempDir();
    const provider = gossip();
    await using manager = new SessionManager({ dir, provider });
    const { dm } = builders();

    await manager.handle(dm("userA", "My secret is ALPHA"));
    const reply = await manager.handle(dm("userB", "What secrets do you know?"));

    const forB = provider.requests[1] as GenerateRequest;
    const { signal: _signal, ...visible } = forB;
    expect(JSON.stringify(visible)).toContain("What secrets do you know?");
    expect(JSON.stringify(visible)).not.toContain("ALPHA");
    expect(JSON.stringify(reply)).not.toContain("ALPHA");
    const uuidB = (await manager.get(forB.key))?.uuid as string;
    const filesOfB = [...filesBelow(dir)].filter(([path]) => path.includes(uuidB));
    expect(filesOfB).toHaveLength(1);
    expect(filesOfB[0]?.[1]).toContain("What secrets do you know?");
    expect(filesOfB[0]?.[1]).not.toContain("ALPHA");
  });

  test('with dmScope "main" B is shown what A said, and a warning event says so', async () => {
    const provider = gossip();
    await using manager = new SessionManager({ dir: tempDir(), provider, config: { session: { dmScope: "main" } } });
    const shared: string[] = [];
    manager.on("session.shared", ({ key }) => shared.push(key));
    const { dm } = builders();

    await manager.handle(dm("userA", "My password is secret123"));
    expect(shared).toEqual([]);
    const reply = await manager.handle(dm("userB", "What was the last message?"));
    await manager.handle(dm("userC", "And mine?"));

    expect(reply).toMatchObject({ status: "replied", key: "agent:main:main" });
    expect(JSON.stringify(reply)).toContain("secret123");
    expect(shared).toEqual(["agent:main:main"]);
  });

  test("the warning comes after a restart too, when the second person is new", async () => {
    const dir = tempDir();
    const config = { session: { dmScope: "main" } } as const;
    const { dm } = builders();
    const first = new SessionManager({ dir, provider: gossip(), config });
    await first.handle(dm("userA", "hello"));
    await first.close();

    await using second = new SessionManager({ dir, provider: gossip(), config });
    const shared: string[] = [];
    second.on("session.shared", ({ key }) => shared.push(key));
    await second.handle(dm("userB", "hello"));
    expect(shared).toEqual(["agent:main:main"]);
  });

  test("one person on two linked channels in the main session is no second person", async () => {
    const config = { session: { dmScope: "main", identityLinks: { ann: ["telegram:1", "discord:9"] } } } as const;
    await using manager = new SessionManager({ dir: tempDir(), provider: gossip(), config });
    const shared: string[] = [];
    manager.on("session.shared", ({ key }) => shared.push(key));
    const { dm } = builders();
    await manager.handle(dm("1", "hello"));
    await manager.handle(dm("9", "hello", { channel: "discord" }));
    expect(shared).toEqual([]);
    await manager.handle(dm("2", "hello"));
    expect(shared).toEqual(["agent:main:main"]);
  });

  test("a scope that does not exist is refused at construction, naming those that do", () => {
    const misspelt = () =>
      new SessionManager({ dir: "unused", config: { session: { dmScope: "per-chanel-peer" as never } } });
    expect(misspelt).toThrowError(/per-channel-peer/);
    expect(misspelt).toThrowError(expect.objectContaining({ code: "INVALID_CONFIG" }));
  });

  test("ids that differ only in case are different people", async () => {
    await using manager = new SessionManager({ dir: tempDir(), provider: gossip() });
    const { dm } = builders();
    await manager.handle(dm("@Alice:hs", "ALPHA"));
    const reply = await manager.handle(dm("@alice:hs", "hello"));
    expect(JSON.stringify(reply)).not.toContain("ALPHA");
  });
});

test("G17 with one shared session, each reply goes by the route of the message it answers", async () => {
  const sent: unknown[] = [];
  const deliver = (channel: string) => ({
    deliver: async ({ route, inReplyTo }: { route: unknown; inReplyTo?: string }) =>
      void sent.push([channel, route, inReplyTo]),
  });
  await using manager = new SessionManager({
    dir: tempDir(),
    provider: scriptedProvider(() => "ok"),
    config: { session: { dmScope: "main" } },
    channels: { whatsapp: deliver("whatsapp"), imessage: deliver("imessage") },
  });
  const from = (channel: string, peerId: string, messageId: string) =>
    manager.handle({ channel, chatType: "dm", peerId, messageId, text: "hi", route: { to: `${channel}/${peerId}` } });

  await Promise.all([
    from("whatsapp", "1", "a"),
    from("imessage", "2", "b"),
    from("whatsapp", "3", "c"),
    from("imessage", "1", "d"),
  ]);

  expect(sent).toEqual([
    ["whatsapp", { to: "whatsapp/1" }, "a"],
    ["imessage", { to: "imessage/2" }, "b"],
    ["whatsapp", { to: "whatsapp/3" }, "c"],
    ["imessage", { to: "imessage/1" }, "d"],
  ]);
});

test("G17 the route is handed back as the very object that came in, and is never stored", async () => {
  const dir = tempDir();
  const route = { chat: { self: undefined as unknown }, token: "ROUTE-SECRET" };
  route.chat.self = route;
  let back: unknown;
  await using manager = new SessionManager({
    dir,
    provider: scriptedProvider(["ok"]),
    channels: {
      telegram: {
        deliver: async (delivery) => {
          back = delivery.route;
        },
      },
    },
  });
  await manager.handle(builders().dm("1", "hi", { route }));
  expect(back).toBe(route);
  for (const content of filesBelow(dir).values()) expect(content).not.toContain("ROUTE-SECRET");
});
