import { describe, expect, test } from "vitest";
import type { SessionKey } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { deferred, linesOf, tempDir } from "../store-dir.js";
import { heard, historyOf, hostOf, KEY, marks, marksIn, speaker, talk, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";

const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);
const GROUP = "agent:main:telegram:group:-1" as SessionKey;

describe("/compact", () => {
  test("tells how large the window was and is, and is no part of the conversation", async () => {
    const model = limitedModel({ window: 100_000, reply });
    const sent: string[] = [];
    await using manager = hostOf(
      model,
      {},
      { channels: { telegram: { deliver: async ({ text }) => sent.push(text) } } },
    );
    const say = speaker();
    await talk(manager, say, 8);
    const session = await manager.open(KEY);
    const before = (await session.status()).tokensUsed;
    const outcome = await manager.handle({ ...say(), text: "/compact" });
    const after = (await session.status()).tokensUsed;
    expect(outcome).toMatchObject({ status: "command", key: KEY });
    const text = outcome.status === "command" ? outcome.text : "";
    expect(text).toMatch(/^Compacted: \d+ message\(s\)/);
    expect(text).toContain(String(Math.round(before)));
    expect(text).toContain(String(Math.round(after)));
    expect(after).toBeLessThan(before);
    expect(sent.at(-1)).toBe(text);
    expect(marksIn(await historyOf(manager))).toEqual(marks(1, 8));
    expect(JSON.stringify(await historyOf(manager))).not.toContain("/compact");
    expect(model.of("reply")).toHaveLength(8);
  });

  test("hands on what a person wants taken care of", async () => {
    const model = limitedModel({ window: 100_000, reply });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8);
    await manager.handle({ ...say(), text: "/compact keep the phone numbers, all of them" });
    const [summary] = model.of("summary");
    expect(summary?.instructions).toBe("keep the phone numbers, all of them");
    expect(summary?.messages).toHaveLength(1);
    expect(summary?.messages[0]).toMatchObject({
      role: "user",
      content: expect.stringContaining("keep the phone numbers, all of them"),
    });
    expect(model.of("memory-flush")[0]?.text).not.toContain("phone numbers");
  });

  test("that was delivered twice compacts once, and gives the first outcome", async () => {
    const asked = deferred();
    const answer = deferred<string>();
    const summary = () => {
      asked.resolve();
      return answer.promise;
    };
    const model = limitedModel({ window: 100_000, reply, summary });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8);
    const command = { ...say(), text: "/compact" };
    const first = manager.handle(command);
    await asked.promise;
    expect(await manager.handle(command)).toMatchObject({ status: "duplicate" });
    answer.resolve("Notes: they asked why, again and again.");
    const outcome = await first;
    await talk(manager, say, 6);
    expect(await manager.handle(command)).toEqual({ status: "duplicate", key: KEY, outcome });
    expect(model.of("summary")).toHaveLength(1);
    expect(await manager.get(KEY)).toMatchObject({ compactions: 1 });
  });

  test("where there is nothing to compact says so, and asks the model for nothing", async () => {
    const model = limitedModel({ window: 100_000 });
    await using manager = hostOf(model);
    const say = speaker();
    expect(await manager.handle({ ...say(), text: "/compact" })).toMatchObject({
      text: "There is nothing to compact.",
    });
    await talk(manager, say, 1);
    expect(await manager.handle({ ...say(), text: "/compact" })).toMatchObject({
      text: "There is nothing to compact.",
    });
    expect(model.purposes()).toEqual(["reply"]);
  });

  test("whose summary cannot be used says so, and changes nothing", async () => {
    const model = limitedModel({ window: 100_000, reply, summary: () => "" });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8);
    expect(await manager.handle({ ...say(), text: "/compact" })).toMatchObject({
      text: "Not compacted (summary-empty). The conversation is as it was.",
    });
  });

  test("works where compaction by itself is turned off, and without a provider says that it failed", async () => {
    const say = speaker();
    await using off = hostOf(limitedModel({ window: 100_000, reply }), { enabled: false });
    await talk(off, say, 8);
    expect(await off.handle({ ...say(), text: "/compact" })).toMatchObject({
      text: expect.stringMatching(/^Compacted/),
    });
    const dir = tempDir();
    const first = hostOf(limitedModel({ window: 100_000, reply }), {}, { dir });
    await talk(first, say, 8);
    await first.close();
    await using none = hostOf(undefined as never, {}, { dir, provider: undefined });
    expect(await none.handle({ ...say(), text: "/compact" })).toMatchObject({
      text: expect.stringContaining("provider-failed"),
    });
  });

  test("in a group is refused without the host's word, and allowed with it", async () => {
    const { inGroup } = builders();
    for (const allowed of [undefined, false, true]) {
      const model = limitedModel({ window: 100_000, reply });
      const authorize = allowed === undefined ? undefined : () => allowed;
      await using manager = hostOf(model, {}, { authorize });
      for (let n = 0; n < 8; n += 1)
        await manager.handle(inGroup("-1", "ann", words(`q${n}.`, 100), { mentioned: true }));
      const text = expect.stringMatching(allowed ? /^Compacted/ : /^You may not use \/compact here\.$/);
      expect(await manager.handle(inGroup("-1", "ben", "/compact"))).toMatchObject({ status: "command", text });
      expect(model.of("summary")).toHaveLength(allowed ? 1 : 0);
      expect(await manager.get(GROUP)).toMatchObject({ compactions: allowed ? 1 : 0 });
    }
  });

  test("is stored with what it was answered, before the compaction it asks for", async () => {
    const dir = tempDir();
    await using manager = hostOf(limitedModel({ window: 100_000, reply }), {}, { dir });
    const say = speaker();
    await talk(manager, say, 8);
    await manager.handle({ ...say(), text: "/compact" });
    const lines = await linesOf(manager, dir, KEY);
    expect(lines.slice(-3).map(({ type }) => type)).toEqual(["command", "memory-flush", "compaction"]);
    expect(lines.at(-1)).toMatchObject({ cause: "command", messages: expect.any(Number), summary: expect.any(String) });
  });
});

describe("/status", () => {
  const linesOfStatus = async (manager: ReturnType<typeof hostOf>, say: ReturnType<typeof speaker>) => {
    const outcome = await manager.handle({ ...say(), text: "/status" });
    return outcome.status === "command" ? outcome.text.split("\n") : [];
  };

  test("tells the size, what bounds it, and where it is from", async () => {
    const usage = { input: 2045, output: 3 };
    const answer = { messages: [{ role: "assistant" as const, content: "hi." }], usage };
    await using manager = hostOf(limitedModel({ window: 8192, reply: () => answer }));
    const say = speaker();
    expect(await linesOfStatus(manager, say)).toContain("Tokens: about 0 of 8192 (0 %); compacted above 4096");
    await talk(manager, say, 1);
    const lines = await linesOfStatus(manager, say);
    expect(lines).toContain(`Session: ${KEY}`);
    expect(lines).toContain("Tokens: 2048 of 8192 (25 %); compacted above 4096");
    expect(lines).toContain("Compactions: 0");
    expect(lines).toContain("Messages: 2");
    expect(lines).toContain("Reply: none in progress");
  });

  test("tells of compactions, and of memory that could not be saved", async () => {
    const model = limitedModel({ window: 100_000, reply, flush: () => new Error("locked") });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8);
    const session = await manager.open(KEY);
    await session.flushMemory().catch(() => "expected");
    expect((await linesOfStatus(manager, say)).join("\n")).toMatch(
      /Compactions: 0; memory could not be saved at \d{4}-/,
    );
    await session.compact();
    expect((await linesOfStatus(manager, say)).join("\n")).toMatch(/Compactions: 1, the last at \d{4}-[^;]*$/m);
    const lines = await linesOfStatus(manager, say);
    expect(lines.some((line) => line.startsWith("Tokens: about "))).toBe(true);
  });

  test("tells that something runs while a compaction does", async () => {
    const asked = deferred();
    const answer = deferred<string>();
    const summary = () => {
      asked.resolve();
      return answer.promise;
    };
    await using manager = hostOf(limitedModel({ window: 100_000, reply, summary }));
    const say = speaker();
    await talk(manager, say, 8);
    const started = heard(manager, "compaction.started");
    const compacting = manager.handle({ ...say(), text: "/compact" });
    await asked.promise;
    expect(started).toHaveLength(1);
    expect(await linesOfStatus(manager, say)).toContain("Reply: being written");
    answer.resolve("Notes: they asked why, again and again.");
    await compacting;
    expect(await linesOfStatus(manager, say)).toContain("Reply: none in progress");
  });
});
