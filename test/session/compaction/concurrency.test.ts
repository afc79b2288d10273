import { describe, expect, test } from "vitest";
import { deferred, linesOf, tempDir } from "../store-dir.js";
import { historyOf, hostOf, KEY, marks, marksIn, once, speaker, talk, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";
import { NOTES, thinking } from "./thinking-model.js";

const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);

describe("G7 while the summariser thinks", () => {
  test("messages come in, are answered, and stay behind what the summary stands for", async () => {
    const { model, asked, answer, manager } = thinking();
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 8);
    const session = await manager.open(KEY);
    const compacting = session.compact();
    await asked;
    expect(await session.status()).toMatchObject({ busy: true });
    await talk(manager, say, 2);
    await session.append({ role: "user", content: "appended q99. meanwhile" });
    expect(model.of("reply").at(-1)?.text).not.toContain("Notes");
    answer.resolve(NOTES);
    expect(await compacting).toMatchObject({ status: "compacted" });
    const { messages, summary } = await session.context();
    expect(summary).toBe(NOTES);
    const told = marksIn(model.of("summary")[0]?.messages ?? []);
    expect([...told, ...marksIn(messages)]).toEqual([...marks(1, 10), "q99."]);
    expect(await historyOf(manager)).toHaveLength(21);
    expect(await session.status()).toMatchObject({ busy: false, messageCount: 21, compactions: 1 });
  });

  test("a turn that is over the limit waits for the compaction under way, and is answered after it", async () => {
    const { model, asked, answer, manager } = thinking(4096);
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 8);
    const compacting = manager.handle({ ...say(), text: "/compact" });
    await asked;
    const started = once(manager, "context.assessed");
    const turn = manager.handle(say(600));
    expect(await started).toMatchObject({ action: "compact" });
    answer.resolve(NOTES);
    expect(await turn).toMatchObject({ status: "replied" });
    expect(await compacting).toMatchObject({ status: "command", text: expect.stringMatching(/^Compacted/) });
    expect(model.of("summary")).toHaveLength(1);
    expect(model.of("reply").at(-1)?.text).toContain(NOTES);
    expect(await manager.get(KEY)).toMatchObject({ compactions: 1 });
  });

  test("two that ask at once get one compaction and the same outcome", async () => {
    const { model, asked, answer, manager } = thinking();
    await using _closed = manager;
    await talk(manager, speaker(), 8);
    const [one, two] = await Promise.all([manager.open(KEY), manager.open(KEY)]);
    const both = [one.compact(), two.compact()];
    await asked;
    const third = one.compact();
    answer.resolve(NOTES);
    const outcomes = await Promise.all([...both, third]);
    expect(outcomes[0]).toMatchObject({ status: "compacted" });
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(outcomes[2]).toEqual(outcomes[0]);
    expect(model.purposes().slice(8)).toEqual(["memory-flush", "summary"]);
    expect(await manager.get(KEY)).toMatchObject({ compactions: 1 });
  });

  test("a `/clear` supersedes it: nothing of it comes into the new conversation", async () => {
    const dir = tempDir();
    const { asked, answer, manager } = thinking(100_000, {}, { dir });
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 8);
    const failed = once(manager, "compaction.failed");
    const session = await manager.open(KEY);
    const compacting = session.compact();
    await asked;
    expect(await manager.handle({ ...say(), text: "/clear" })).toMatchObject({ status: "command" });
    await talk(manager, say, 1);
    answer.resolve(NOTES);
    expect(await compacting).toEqual({ status: "unchanged", reason: "superseded" });
    expect(await failed).toMatchObject({ reason: "superseded" });
    expect((await session.context()).summary).toBeUndefined();
    expect(marksIn((await session.context()).messages)).toEqual(["q10."]);
    expect((await linesOf(manager, dir, KEY)).some(({ type }) => type === "compaction")).toBe(false);
    expect(await session.status()).toMatchObject({ compactions: 0, memoryFlush: null });
  });

  test("an undo of the compaction before supersedes it", async () => {
    let hold = false;
    const asked = deferred();
    const answer = deferred<string>();
    const model = limitedModel({
      window: 100_000,
      reply,
      summary: (_request, nth) => {
        if (!hold) return `Notes no. ${nth}: they asked why.`;
        asked.resolve();
        return answer.promise;
      },
    });
    await using manager = hostOf(model);
    const say = speaker();
    await talk(manager, say, 8);
    const session = await manager.open(KEY);
    await session.compact();
    await talk(manager, say, 4);
    hold = true;
    const compacting = session.compact();
    await asked.promise;
    expect(await session.undoCompaction()).toBe(true);
    answer.resolve(NOTES);
    expect(await compacting).toEqual({ status: "unchanged", reason: "superseded" });
    expect(marksIn((await session.context()).messages)).toEqual(marks(1, 12));
  });

  test("a purge ends it, and a new session of the same key is not touched", async () => {
    const { asked, answer, manager } = thinking();
    await using _closed = manager;
    const say = speaker();
    await talk(manager, say, 8);
    const old = await manager.open(KEY);
    const compacting = old.compact();
    await asked;
    expect(await manager.purge(KEY)).toBe(true);
    await talk(manager, say, 1);
    answer.resolve(NOTES);
    expect(await compacting).toEqual({ status: "unchanged", reason: "superseded" });
    const session = await manager.open(KEY);
    expect(session.uuid).not.toBe(old.uuid);
    expect(await session.context()).toMatchObject({ messages: [{ role: "user" }, { role: "assistant" }] });
    expect(await manager.get(KEY)).toMatchObject({ compactions: 0, messageCount: 2 });
  });

  test("a purge does not wait for it", async () => {
    const { asked, manager } = thinking(4096);
    const say = speaker();
    const turns = talk(manager, say, 30).catch((error: unknown) => error);
    const signal = await asked;
    expect(await manager.purge(KEY)).toBe(true);
    expect(signal.aborted).toBe(true);
    await manager.close();
    await turns;
  });
});

describe("G7 two hosts on one directory", () => {
  test("that compact at once: one wins, the other is told so, and nothing is lost", async () => {
    const dir = tempDir();
    const one = thinking(100_000, {}, { dir });
    const two = thinking(100_000, {}, { dir });
    await using first = one.manager;
    await using second = two.manager;
    const say = speaker();
    await talk(first, say, 8);
    const sessions = await Promise.all([first.open(KEY), second.open(KEY)]);
    const both = sessions.map((session) => session.compact());
    await Promise.all([one.asked, two.asked]);
    await talk(second, say, 1);
    one.answer.resolve(`${NOTES} One.`);
    two.answer.resolve(`${NOTES} Two.`);
    const outcomes = await Promise.all(both);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["compacted", "unchanged"]);
    expect(outcomes).toContainEqual({ status: "unchanged", reason: "superseded" });
    const lines = await linesOf(first, dir, KEY);
    expect(lines.filter(({ type }) => type === "compaction")).toHaveLength(1);
    expect(marksIn(await historyOf(first))).toEqual(marks(1, 9));
    const winner = outcomes[0]?.status === "compacted" ? one : two;
    const told = marksIn(winner.model.of("summary")[0]?.messages ?? []);
    for (const manager of [first, second]) {
      const { messages, summary } = await (await manager.open(KEY)).context();
      expect(summary).toBe(`${NOTES} ${winner === one ? "One." : "Two."}`);
      expect([...told, ...marksIn(messages)]).toEqual(marks(1, 9));
    }
  });
});
