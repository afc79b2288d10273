import { describe, expect, test, vi } from "vitest";
import { loadTokenCounter, MemoryStorage, SessionManager } from "../../../src/index.js";
import { scriptedProvider } from "../../../src/testing.js";
import { heard, hostOf, KEY, speaker, talk, words } from "./conversation.js";

const loads = vi.hoisted(() => ({ times: 0 }));
vi.mock("tiktoken/lite", async (original) => {
  loads.times += 1;
  return original();
});

// The first test of the file, because what is loaded once stays.
describe("the tokenizer", () => {
  test("is not loaded by short conversations, far from the limit", async () => {
    const provider = scriptedProvider(() => "fine, thank you.");
    await using manager = new SessionManager({ storage: new MemoryStorage(), provider });
    const assessed = heard(manager, "context.assessed");
    await talk(manager, speaker(), 12, 50);
    expect(assessed).toHaveLength(12);
    expect(new Set(assessed.map((event) => "source" in event && event.source))).toEqual(new Set(["most"]));
    expect(loads.times).toBe(0);
    await (await manager.open(KEY)).status();
    expect(loads.times).toBe(1);
  });

  test("does not hold up other conversations for long, with a megabyte without a break in it", async () => {
    await loadTokenCounter();
    await using manager = hostOf({ ...scriptedProvider(() => "ok."), contextWindow: () => 1_000_000 });
    const session = await manager.open(KEY);
    const noise = Array.from({ length: 1_000_000 }, (_, at) =>
      String.fromCharCode(97 + ((at * at * 7 + at) % 26)),
    ).join("");
    await session.append({ role: "user", content: "a".repeat(1_000_000) }, { role: "user", content: noise });
    let turns = 0;
    let running = true;
    const beat = () => {
      turns += 1;
      if (running) setImmediate(beat);
    };
    setImmediate(beat);
    const { tokensUsed } = await session.status();
    running = false;
    expect(tokensUsed).toBeGreaterThan(100_000);
    // Others had their turn after every 70,000 characters at the latest, on average; a clock would measure how busy the machine is.
    expect(turns).toBeGreaterThan(30);
  });

  test("answers a message of a megabyte of one letter as any other", async () => {
    const provider = { ...scriptedProvider(() => words("ok:", 20)), contextWindow: () => 400_000 };
    await using manager = hostOf(provider);
    expect(await manager.handle({ ...speaker()(), text: "a".repeat(1_000_000) })).toMatchObject({ status: "replied" });
  });
});
