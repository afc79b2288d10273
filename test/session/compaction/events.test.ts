import { describe, expect, test, vi } from "vitest";
import { MemoryStorage, SessionManager } from "../../../src/index.js";
import { type Heard, heard, hostOf, KEY, speaker, talk, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";

const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);
const NAMES = [
  "context.assessed",
  "context.overflow",
  "context.reduced",
  "compaction.started",
  "compaction.completed",
  "compaction.failed",
  "memory.flushed",
] as const;
const of = (events: readonly Heard[], name: Heard["name"]) => events.filter((event) => event.name === name);

describe("G6 every decision is told", () => {
  test("before each call of the model: what was found and what is done", async () => {
    const model = limitedModel({ window: 4096, reply });
    await using manager = hostOf(model);
    const events = heard(manager, ...NAMES);
    await talk(manager, speaker(), 20);
    const assessed = of(events, "context.assessed");
    expect(assessed).toHaveLength(20);
    for (const event of assessed) {
      expect(event).toMatchObject({
        key: KEY,
        uuid: expect.any(String),
        turn: expect.any(String),
        tokens: expect.any(Number),
        source: expect.stringMatching(/^(?:most|estimate|provider)$/),
        threshold: expect.any(Number),
        contextWindow: 4096,
      });
      const { action, tokens, threshold } = event as Extract<Heard, { name: "context.assessed" }>;
      expect(tokens > threshold).toBe(action !== "none");
      if (action === "compact") expect(threshold).toBe(2048);
    }
    const acted = assessed.map((event) => "action" in event && event.action);
    expect(acted).toContain("flush-memory");
    expect(acted.filter((action) => action === "compact")).toHaveLength(model.of("summary").length);
  });

  test("of a compaction: its cause, its bounds, before and after", async () => {
    const model = limitedModel({ window: 4096, reply });
    await using manager = hostOf(model);
    const events = heard(manager, ...NAMES);
    await talk(manager, speaker(), 12);
    const about = { key: KEY, cause: "threshold", threshold: 2048, contextWindow: 4096 };
    expect(of(events, "compaction.started")).toMatchObject([about]);
    expect(of(events, "compaction.completed")).toMatchObject([
      { ...about, before: expect.any(Number), after: expect.any(Number), messages: expect.any(Number) },
    ]);
    const [done] = of(events, "compaction.completed") as Extract<Heard, { name: "compaction.completed" }>[];
    expect(done?.before).toBeGreaterThan(2048);
    expect(done?.after).toBeLessThan(2048);
    const from = events.findIndex((event) => event.name === "context.assessed" && event.action === "compact");
    expect(events.slice(from, from + 3).map(({ name }) => name)).toEqual([
      "context.assessed",
      "compaction.started",
      "compaction.completed",
    ]);
  });

  test.each([
    ["host", async (manager: SessionManager) => (await manager.open(KEY)).compact()],
    ["command", (manager: SessionManager) => manager.handle({ ...speaker()(), messageId: "c", text: "/compact" })],
  ] as const)("of one that a %s asked for too", async (cause, ask) => {
    await using manager = hostOf(limitedModel({ window: 100_000, reply }));
    await talk(manager, speaker(), 8);
    const events = heard(manager, ...NAMES);
    await ask(manager);
    expect(events.map(({ name }) => name)).toEqual(["compaction.started", "memory.flushed", "compaction.completed"]);
    expect(events[2]).toMatchObject({ cause, threshold: 80_000, contextWindow: 100_000 });
  });

  test("of one that failed or had nothing to do: the reason", async () => {
    const error = new Error("down");
    await using manager = hostOf(limitedModel({ window: 100_000, reply, summary: () => error }));
    const session = await manager.open(KEY);
    const events = heard(manager, "compaction.failed");
    await session.compact();
    await talk(manager, speaker(), 8);
    await session.compact();
    expect(events).toMatchObject([
      { cause: "host", reason: "nothing-to-compact" },
      { cause: "host", reason: "provider-failed", error: { code: "HOOK", cause: error } },
    ]);
  });

  test("of an overflow and of what was left out for it: which attempt, how much, how large before and after", async () => {
    const model = limitedModel({ window: 4000, told: 200_000, reply, summary: () => "" });
    await using manager = hostOf(model, { memoryFlush: { enabled: false } });
    const events = heard(manager, ...NAMES);
    const say = speaker();
    while (of(events, "context.overflow").length === 0) await manager.handle(say(300));
    const from = events.findIndex(({ name }) => name === "context.overflow");
    expect(events.slice(from)).toMatchObject([
      { name: "context.overflow", attempt: 1, tokens: expect.any(Number), contextWindow: 200_000, payload: false },
      { name: "compaction.started", cause: "overflow" },
      { name: "compaction.failed", cause: "overflow", reason: "summary-empty" },
      {
        name: "context.reduced",
        reason: "dropped",
        before: expect.any(Number),
        after: expect.any(Number),
        threshold: 180_000,
        dropped: expect.any(Number),
      },
    ]);
    const { before, after, dropped } = events.at(-1) as Extract<Heard, { name: "context.reduced" }>;
    expect(after).toBeLessThan(before);
    expect(dropped).toBeGreaterThan(0);
  });

  test("and none of it has a word of what was said, in events or in the log", async () => {
    const log = vi.fn();
    const logger = { debug: log, info: log, warn: log, error: log };
    const model = limitedModel({
      window: 4000,
      told: 200_000,
      reply: () => words("SECRET:", 100),
      summary: (_request, nth) => (nth === 1 ? new Error("refused: SECRET") : "Notes: SECRET things were said."),
    });
    const provider = model;
    await using manager = new SessionManager({ storage: new MemoryStorage(), provider, logger });
    const events = heard(manager, ...NAMES);
    const say = speaker();
    for (let n = 0; n < 30; n += 1) await manager.handle({ ...say(), text: words(`SECRET ${n}`, 100) });
    expect(of(events, "compaction.completed").length).toBeGreaterThanOrEqual(1);
    const told = events.map(({ ...event }) => ({ ...event, error: undefined }));
    expect(JSON.stringify([told, log.mock.calls])).not.toContain("SECRET");
  });
});
