import { rmSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { project } from "../../src/core.js";
import { JsonlStorage, type SessionKey, SessionManager, type SessionStorage } from "../../src/index.js";
import { builders, scriptedProvider } from "../../src/testing.js";
import {
  all,
  deferred,
  filesBelow,
  leaveUnanswered,
  linesOf,
  mortalClaims,
  tempDir,
  transcriptsBelow,
} from "./store-dir.js";

const KEY = "agent:main:telegram:dm:1" as SessionKey;

/** A storage whose process dies at its n-th call: before it does anything, or after it did it but before anyone hears of it. */
function dyingStorage(storage: SessionStorage, dieAt: number, when: "before" | "after") {
  const death = deferred();
  const claims = mortalClaims(storage);
  let calls = 0;
  let dead = false;
  const die = async () => {
    dead = true;
    await claims.die();
    death.resolve();
  };
  const never = new Promise<never>(() => {});
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    if (dead) return never;
    calls += 1;
    const mine = calls;
    if (mine === dieAt && when === "before") {
      await die();
      return never;
    }
    const result = await work();
    if (mine === dieAt) await die();
    return dead ? never : result;
  };
  const dying: SessionStorage = {
    read: (key) => call(() => storage.read(key)),
    update: (...args) => call(() => storage.update(...args)),
    claim: (...args) => call(() => claims.claim(...args)),
    delete: (key) => call(() => storage.delete(key)),
    list: (query) => storage.list(query),
    async *entries(uuid, range) {
      await call(async () => undefined);
      yield* storage.entries(uuid, range);
    },
    close: () => storage.close(),
  };
  return { storage: dying, death: death.promise, calls: () => calls };
}

describe("G5 a process that dies at any call of the storage", () => {
  test.each(["before", "after"] as const)(
    "loses no acknowledged message, duplicates nothing and bricks nothing (%s)",
    async (when) => {
      let reached = 0;
      for (let dieAt = 1; ; dieAt += 1) {
        const dir = tempDir();
        const { dm } = builders();
        const provider = scriptedProvider(async ({ record }) => {
          await record({
            role: "assistant",
            content: [{ type: "tool-call", toolCallId: "c", toolName: "t", input: {} }],
          });
          await record({ role: "tool", content: [{ type: "tool-result", toolCallId: "c", toolName: "t", output: 1 }] });
          return "answer";
        });
        const inner = new JsonlStorage({ dir, durability: "off" });
        onTestFinished(() => inner.close());
        const dying = dyingStorage(inner, dieAt, when);
        const first = new SessionManager({ storage: dying.storage, provider });
        const message = dm("1", "one");
        const finished = first.handle(message).then(() => "finished" as const);
        const ended = await Promise.race([finished, dying.death.then(() => "died" as const)]);
        if (ended === "finished") break;
        reached += 1;

        const later = scriptedProvider(() => "later answer");
        await using second = new SessionManager({ dir, provider: later, durability: "off" });
        const interrupted: string[] = [];
        second.on("turn.interrupted", ({ turn }) => interrupted.push(turn));
        await second.recover();
        expect(await second.handle(dm("1", "two"))).toMatchObject({ status: "replied", text: "later answer" });

        const lines = await linesOf(second, dir, KEY);
        const users = lines.filter((line) => line.role === "user");
        expect(users.filter((line) => line.content === "two")).toHaveLength(1);
        expect(users.filter((line) => line.content === "one").length).toBeLessThanOrEqual(1);
        for (const user of users) {
          expect(lines.filter((line) => line.type === "turn" && line.of === user.id)).toHaveLength(1);
        }
        const one = users.find((line) => line.content === "one");
        const end = lines.find((line) => line.type === "turn" && line.of === one?.id);
        expect(interrupted).toEqual(end?.status === "interrupted" ? [one?.id] : []);
        // The model is called only once the message is stored.
        if (provider.requests.length > 0) expect(one).toBeDefined();
        // What the next call is shown is complete: every tool call has its result at once behind it.
        const shown = later.requests.at(-1)?.messages ?? [];
        shown.forEach((m, i) => {
          const calls = Array.isArray(m.content) && m.content.some((part) => part.type === "tool-call");
          if (calls) expect(shown[i + 1]?.role).toBe("tool");
        });
      }
      expect(reached).toBeGreaterThanOrEqual(8);
    },
  );
});

test("an interrupted turn is found when its session is opened, and reported with its message id", async () => {
  const dir = tempDir();
  await leaveUnanswered(dir, builders().dm("1", "one", { messageId: "77" }));
  await using second = new SessionManager({ dir });
  const seen: unknown[] = [];
  second.on("turn.interrupted", (event) => seen.push(event.messageId));
  const session = await second.open(KEY);
  await second.open(KEY);
  expect(seen).toEqual(["77"]);
  expect((await all(session.history())).map((message) => message.content)).toEqual(["one"]);
  expect((await linesOf(second, dir, KEY)).at(-1)).toMatchObject({ type: "turn", status: "interrupted" });
});

test("recover marks the turns of every session once, and leaves running ones alone", async () => {
  const dir = tempDir();
  const { dm } = builders();
  await leaveUnanswered(dir, dm("1", "one"), dm("2", "two"));
  const running = deferred();
  const answer = deferred<string>();
  await using second = new SessionManager({
    dir,
    provider: scriptedProvider(() => {
      running.resolve();
      return answer.promise;
    }),
  });
  const mine = second.handle(dm("3", "three"));
  await running.promise;
  expect((await second.recover()).map(({ key }) => key).sort()).toEqual([KEY, "agent:main:telegram:dm:2"]);
  expect(await second.recover()).toEqual([]);
  answer.resolve("ok");
  expect(await mine).toMatchObject({ status: "replied" });
});

test("an authorize that opens the session it is asked about does not wait for itself", async () => {
  const dir = tempDir();
  const { inGroup } = builders();
  await leaveUnanswered(dir, inGroup("-1", "ann", "@bot hi", { mentioned: true }));
  await using second: SessionManager = new SessionManager({
    dir,
    authorize: async ({ key }) => (await (await second.open(key)).status()).state.extra.admin === undefined,
  });
  expect(await second.handle(inGroup("-1", "ann", "/clear"))).toMatchObject({
    status: "command",
    text: expect.stringMatching(/cleared/),
  });
});

test("a turn that runs in another instance is not ended by recover or open, and the next message waits for it", async () => {
  const dir = tempDir();
  const { dm } = builders();
  const started = deferred();
  const answer = deferred<string>();
  await using first = new SessionManager({
    dir,
    provider: scriptedProvider(() => {
      started.resolve();
      return answer.promise;
    }),
  });
  const running = first.handle(dm("1", "one"));
  await started.promise;
  const later = scriptedProvider(() => "second answer");
  await using second = new SessionManager({ dir, provider: later });
  const interrupted: unknown[] = [];
  second.on("turn.interrupted", (event) => interrupted.push(event));
  expect(await second.recover()).toEqual([]);
  await second.open(KEY);
  const waiting = second.handle(dm("1", "two"));
  // Whatever the second does is done by the time another of its sessions has had a turn of its own.
  await second.handle(dm("2", "elsewhere"));
  expect(later.requests.map(({ key }) => key)).toEqual(["agent:main:telegram:dm:2"]);
  answer.resolve("first answer");
  expect(await running).toMatchObject({ status: "replied", text: "first answer" });
  expect(await waiting).toMatchObject({ status: "replied", text: "second answer" });
  expect(interrupted).toEqual([]);
  expect(later.requests.at(-1)?.messages.map((message) => message.content)).toEqual(["one", "first answer", "two"]);
  const ends = (await linesOf(second, dir, KEY)).filter((line) => line.type === "turn");
  expect(ends.map((line) => line.status)).toEqual(["completed", "completed"]);
});

test("a turn that someone else on the store has ended tells its caller, and sends nothing", async () => {
  const dir = tempDir();
  const started = deferred();
  const answer = deferred<string>();
  const sent: string[] = [];
  await using first = new SessionManager({
    dir,
    provider: scriptedProvider(() => {
      started.resolve();
      return answer.promise;
    }),
    channels: { telegram: { deliver: async ({ text }) => void sent.push(text) } },
  });
  const running = first.handle(builders().dm("1", "one")).catch((error: unknown) => error);
  await started.promise;
  // A program that asks for no claim, as no manager does any more.
  const other = new JsonlStorage({ dir });
  await other.update(KEY, (current) => {
    if (current === undefined) throw new Error("The session is there.");
    const timestamp = "2026-03-18T10:00:00.000Z";
    const ends = current.openTurns.map((of) => ({
      type: "turn",
      of,
      status: "interrupted",
      id: `end-${of}`,
      timestamp,
    }));
    return { record: project(current, ends), append: ends };
  });
  await other.close();
  answer.resolve("too late");
  expect(await running).toMatchObject({ code: "CLAIM_LOST", key: KEY });
  expect(sent).toEqual([]);
  expect((await linesOf(first, dir, KEY)).filter((line) => line.type === "turn")).toMatchObject([
    { status: "interrupted" },
  ]);
});

test.each([
  ["transcript", transcriptsBelow],
  ["transcript and journal", filesBelow],
])("a turn whose %s is taken away tells its caller, and begins no other session", async (_, taken) => {
  const dir = tempDir();
  const answer = deferred<string>();
  const started = deferred();
  await using manager = new SessionManager({
    dir,
    provider: scriptedProvider([
      async ({ record }) => {
        started.resolve();
        await answer.promise;
        await record({ role: "assistant", content: "a step" }).catch(() => "refused");
        return "too late";
      },
    ]),
  });
  const running = manager.handle(builders().dm("1", "one")).catch((error: unknown) => error);
  await started.promise;
  for (const path of taken(dir).keys()) if (path.endsWith(".jsonl")) rmSync(path);
  answer.resolve("");
  expect(await running).toMatchObject({ code: "CLAIM_LOST" });
  expect(await manager.get(KEY)).toBeUndefined();
});
