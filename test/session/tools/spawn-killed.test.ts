import { expect, test } from "vitest";
import { SessionManager } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { Random } from "../../processes/random.js";
import { all, linesOf, tempDir } from "../store-dir.js";
import { asKey } from "./cast.js";
import { quiet, toldOf, wrongs } from "./family.js";
import { hosts } from "./hosts.js";
import { actor, type Plan, subagentsConfig } from "./plans.js";

const DM = "agent:main:telegram:dm:1";
const NEXT: Plan = { name: "next" };

const start = hosts();

const nested = (mode: "run" | "start"): Plan => ({
  name: "asks",
  spawns: [{ mode, task: { name: "outer", spawns: [{ mode, task: { name: "inner", waits: true } }] } }],
});

/** A process whose innermost sub-agent waits, when all that do not have said what they say. */
async function hostWithin(dir: string, mode: "run" | "start") {
  const host = start(dir);
  host.handle(nested(mode));
  await host.line("waits inner");
  if (mode === "start") await Promise.all([host.line("completed agent:main:subagent:"), host.line("handled")]);
  return host;
}

/** A manager in this process, and what its model was asked. */
function reopened(dir: string) {
  const provider = actor();
  const manager = new SessionManager({ dir, provider, config: subagentsConfig() });
  return {
    manager,
    provider,
    next: () => manager.handle(builders().dm("1", JSON.stringify(NEXT), { messageId: "next" })),
  };
}

const keysBelow = async (manager: SessionManager, key: string) => (await manager.subagents(key)).map((one) => one.key);

for (const mode of ["run", "start"] as const) {
  for (const how of ["recover", "open", "handle"] as const) {
    test(`G20 killed during a spawn of depth 2 with mode ${mode}, and found by ${how}: both are orphaned, each parent is told once`, async () => {
      const dir = tempDir();
      const host = await hostWithin(dir, mode);
      await host.kill();

      const { manager, provider, next } = reopened(dir);
      await using _ = manager;
      const interrupted: string[] = [];
      manager.on("turn.interrupted", ({ key }) => interrupted.push(key));
      if (how === "recover") await manager.recover();
      if (how === "open") await manager.open(asKey(DM));
      if (how === "handle") await next();
      const [outer = ""] = await keysBelow(manager, DM);
      const [inner = ""] = await keysBelow(manager, outer);
      const settled = async () => {
        for (const key of [DM, outer]) {
          expect((await manager.subagents(key)).map(({ status }) => status)).toEqual(["orphaned"]);
          expect((await toldOf(manager, key)).map(({ provenance }) => provenance)).toMatchObject([
            { status: "orphaned", from: key === DM ? outer : inner },
          ]);
        }
        expect(await wrongs(manager, dir, DM)).toEqual([]);
      };
      await settled();
      const ends = (await linesOf(manager, dir, asKey(inner))).filter(({ type }) => type === "turn");
      expect(ends).toMatchObject([{ status: "interrupted" }]);
      expect(interrupted.sort()).toEqual((mode === "run" ? [DM, outer, inner] : [inner]).sort());

      const before = await transcripts(manager, dir);
      expect(await manager.recover()).toEqual([]);
      await manager.open(asKey(DM));
      expect(await transcripts(manager, dir)).toEqual(before);

      if (how !== "handle") {
        expect(provider.requests).toHaveLength(0);
        await next();
      }
      await settled();
      expect(provider.requests.map(({ key }) => key)).toEqual([DM]);
      const context = (provider.requests[0]?.messages ?? []).map(({ content }) => String(content));
      const notices = context.filter((text) => text.startsWith(`[Sub-agent "${outer}"`));
      expect(notices).toEqual([expect.stringContaining("was cut off when its process ended")]);
      expect(context.at(-1)).toBe(JSON.stringify(NEXT));
    });
  }

  test(`G20 killed while a second sub-agent with mode ${mode} is still pending: it is orphaned too, and has not begun`, async () => {
    const dir = tempDir();
    const host = start(dir, { maxConcurrent: 1 });
    const spawns = ["first", "second"].map((name) => ({ mode, task: { name, waits: true } }));
    host.handle({ name: "asks for two", spawns });
    await host.line("waits ");
    await expect.poll(() => host.lines("spawned ").length, { timeout: 10_000 }).toBe(2);
    await host.kill();

    const { manager, provider } = reopened(dir);
    await using _ = manager;
    const statuses = async () => (await manager.subagents(DM)).map(({ status }) => status).sort();
    expect(await statuses()).toEqual(["pending", "running"]);
    const pending = (await manager.subagents(DM)).find(({ status }) => status === "pending");
    await manager.recover();
    expect(await statuses()).toEqual(["orphaned", "orphaned"]);
    expect(await toldOf(manager, DM)).toHaveLength(2);
    const { key = "", runId = "" } = pending ?? {};
    expect(await manager.get(key)).toMatchObject({ messageCount: 0, waiting: [], openTurns: [] });
    expect(await manager.run(key, runId)).toEqual({ status: "error", code: "INTERRUPTED" });
    await manager.recover();
    await quiet(manager);
    expect(await wrongs(manager, dir, DM)).toEqual([]);
    expect(provider.requests).toHaveLength(0);
  });
}

test("G20 killed at any step of the storage between a spawn and its end, one has one end and is told at most once", async () => {
  const seed = Number(process.env.SESSIONS_SEED ?? Date.now() % 1_000_000);
  const random = new Random(seed);
  for (let round = 0; round < 8; round += 1) {
    const dir = tempDir();
    const [first, second] = [random.of(["run", "start"] as const), random.of(["run", "start"] as const)];
    const plan: Plan = {
      name: "asks",
      spawns: [
        { mode: first, task: { name: "outer", spawns: [{ mode: second, task: { name: "inner" } }] } },
        { mode: second, task: { name: "other" } },
      ],
    };
    // The parent has stored the first spawn after six steps; all is over after 31 to 39, by the modes.
    const stopsAfter = random.between(6, 38);
    const about = `seed ${seed}, round ${round}: ${first} ${second} ${stopsAfter}`;
    const host = start(dir, { stopsAfter });
    host.handle(plan);
    // It may be over before: then it is killed at rest.
    await Promise.any([host.line("stopped"), host.line("idle")]);
    await host.kill();

    const { manager, provider } = reopened(dir);
    await using _ = manager;
    await manager.recover();
    // What was done but not yet told is told now.
    await quiet(manager);
    expect(await wrongs(manager, dir, DM), about).toEqual([]);
    const asked = provider.requests.map(({ messages }) => String(messages.at(-1)?.content));
    expect(
      asked.filter((text) => !text.startsWith("[Sub-agent ")),
      about,
    ).toEqual([]);
    const before = await transcripts(manager, dir);
    await manager.recover();
    expect(await transcripts(manager, dir), about).toEqual(before);
  }
});

for (const mode of ["run", "start"] as const) {
  test(`G20 sub-agents with mode ${mode} that live in another process are not orphaned, and their results are told once`, async () => {
    const dir = tempDir();
    const host = await hostWithin(dir, mode);
    const { manager, provider, next } = reopened(dir);
    await using _ = manager;
    expect(await manager.recover()).toEqual([]);
    await manager.open(asKey(DM));
    const answered = next();
    // With mode run the turn that waits for its sub-agents comes before this one.
    if (mode === "start") await answered;
    const [outer = ""] = await keysBelow(manager, DM);
    for (const key of [DM, outer])
      expect((await manager.subagents(key)).map(({ status }) => status)).toEqual(["running"]);
    host.answer("inner", "found it");
    await Promise.all([manager.recover(), host.line("ended agent:main:subagent:")]);
    await Promise.all([answered, manager.recover(), host.line("handled")]);
    await quiet(manager);
    await manager.recover();
    await host.close();

    for (const key of [DM, outer])
      expect((await manager.subagents(key)).map(({ status }) => status)).toEqual(["completed"]);
    expect(await wrongs(manager, dir, DM)).toEqual([]);
    const told = provider.requests.filter(({ messages }) => String(messages.at(-1)?.content).startsWith("[Sub-agent "));
    expect(told.length + host.lines("told").length).toBe(mode === "start" ? 2 : 0);
    expect(provider.requests.length - told.length).toBe(1);
    if (mode === "run") expect(host.lines("results outer")).toEqual([expect.stringContaining("found it")]);
    else expect((await toldOf(manager, outer))[0]?.content).toBe("found it");
  });

  test(`G20 sub-agents with mode ${mode} that are killed from another process have ended once, and what they say later is not told`, async () => {
    const dir = tempDir();
    const host = await hostWithin(dir, mode);
    const { manager, provider } = reopened(dir);
    await using _ = manager;
    const [outer = ""] = await keysBelow(manager, DM);
    expect(await manager.killSubagent(outer)).toBe(true);
    expect(await manager.killSubagent(outer)).toBe(false);
    const statuses = async () => {
      const subagents = await Promise.all([DM, outer].map((key) => manager.subagents(key)));
      return subagents.flat().map(({ status }) => status);
    };
    expect(await statuses()).toEqual(["killed", "killed"]);
    host.answer("inner", "too late");
    await Promise.all([host.line("failed agent:main:subagent:"), host.line("handled")]);
    await host.close();

    await manager.recover();
    await quiet(manager);
    expect(await statuses()).toEqual(["killed", "killed"]);
    expect(await wrongs(manager, dir, DM)).toEqual([]);
    expect(JSON.stringify(await transcripts(manager, dir))).not.toContain("too late");
    expect(host.lines("told")).toEqual([]);
    expect(provider.requests).toHaveLength(0);
  });
}

test("G20 an orphan is not put to work again by the result of a sub-agent of its own that it had not been told yet", async () => {
  const dir = tempDir();
  const host = start(dir);
  const inner: Plan = { name: "inner" };
  const outer: Plan = { name: "outer", spawns: [{ mode: "start", task: inner }], waits: true };
  host.handle({ name: "asks", spawns: [{ mode: "start", task: outer }] });
  await Promise.all([host.line("waits outer"), host.line("ended agent:main:subagent:"), host.line("handled")]);
  await host.kill();

  const { manager, provider } = reopened(dir);
  await using _ = manager;
  await manager.recover();
  await quiet(manager);
  expect((await manager.subagents(DM)).map(({ status }) => status)).toEqual(["orphaned"]);
  expect(provider.requests.map((request) => request.key)).toEqual([]);
});

test("G20 one that is killed from another process is not put to work again by what waits for it", async () => {
  const dir = tempDir();
  const host = start(dir);
  const outer: Plan = { name: "outer", spawns: [{ mode: "start", task: { name: "inner" } }], waits: true };
  host.handle({ name: "asks", spawns: [{ mode: "start", task: outer }] });
  await Promise.all([host.line("waits outer"), host.line("ended agent:main:subagent:"), host.line("handled")]);
  const { manager, provider } = reopened(dir);
  await using _ = manager;
  const [key = ""] = await keysBelow(manager, DM);
  expect(await manager.killSubagent(key)).toBe(true);
  await host.kill();
  await manager.recover();
  await quiet(manager);
  expect((await manager.subagents(DM)).map(({ status }) => status)).toEqual(["killed"]);
  expect(provider.requests.map((request) => request.key)).toEqual([]);
});

test("a parent that waits for a sub-agent that another process kills is told that it was killed", async () => {
  const dir = tempDir();
  const host = start(dir);
  host.handle({ name: "asks", spawns: [{ mode: "run", task: { name: "slow", waits: true } }] });
  await host.line("waits slow");
  const { manager } = reopened(dir);
  await using _ = manager;
  const [key = ""] = await keysBelow(manager, DM);
  expect(await manager.killSubagent(key)).toBe(true);
  host.answer("slow", "too late");
  const results = await host.line("results asks");
  await host.close();
  expect(JSON.parse(results.slice("results asks ".length))).toMatchObject([{ status: "killed" }]);
});

async function transcripts(manager: SessionManager, dir: string) {
  const sessions = (await all(manager.list())).map(({ key }) => key).sort();
  return Promise.all(sessions.map(async (key) => [key, await linesOf(manager, dir, key)]));
}
