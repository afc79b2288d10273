import { vi } from "vitest";
import type { MessageEntry, SessionManager, Subagent } from "../../../src/index.js";
import { all, linesOf } from "../store-dir.js";
import { asKey } from "./cast.js";

/** Waits until nothing runs or waits in any session of the store, whoever runs it. */
export async function quiet(manager: SessionManager): Promise<void> {
  await vi.waitFor(
    async () => {
      for await (const { key, waiting, openTurns, subagents } of manager.list())
        if (waiting.length + openTurns.length + subagents.length > 0) throw new Error(`${key} is at work.`);
    },
    { timeout: 15_000, interval: 10 },
  );
}

/** What a session has been told of its sub-agents. */
export async function toldOf(manager: SessionManager, key: string): Promise<MessageEntry[]> {
  return (await all(manager.history(key))).filter(({ provenance }) => provenance?.kind === "sub-agent");
}

/** What is wrong with the sub-agents of a session and all below it. Nobody may be at work. */
export async function wrongs(manager: SessionManager, dir: string, key: string): Promise<string[]> {
  const record = await manager.get(key);
  if (record === undefined) return [];
  const { subagents: live, waiting, openTurns } = record;
  const found: string[] = [];
  const check = (ok: boolean, what: string) => ok || found.push(`${key}: ${what}`);
  check(live.length === 0, "sub-agents live");
  check(waiting.length === 0, "messages wait");
  check(openTurns.length === 0, "turns are open");
  const lines = await linesOf(manager, dir, asKey(key));
  for (const { id } of lines.filter(({ turn }) => turn === true))
    check(lines.filter(({ type, of }) => type === "turn" && of === id).length === 1, "a turn has not one end");
  const runs = lines.flatMap(({ provenance }) => (provenance as { run?: string } | undefined)?.run ?? []);
  for (const run of runs)
    check(
      lines.filter((line) => line.role && (line.provenance as { run?: string })?.run === run).length <= 1,
      "told twice",
    );
  const subagents = await manager.subagents(key);
  check(subagents.length === lines.filter(({ type }) => type === "spawn").length, "a spawn is not told");
  for (const subagent of subagents) {
    check(ended(subagent), `${subagent.key} is ${subagent.status}`);
    const ends = lines.filter(({ type, run }) => type === "spawn-end" && run === subagent.runId);
    check(ends.length === 1, `${subagent.key} has ${ends.length} ends`);
    const told = (await toldOf(manager, key)).filter(({ provenance }) => provenance?.from === subagent.key);
    // What a parent waited for is told by its tool; found after a crash, as a message.
    const expected = subagent.mode === "start" || subagent.status === "orphaned" ? [1] : [0, 1];
    check(
      expected.includes(told.length),
      `${subagent.key} (${subagent.mode}, ${subagent.status}) is told ${told.length} times`,
    );
    found.push(...(await wrongs(manager, dir, subagent.key)));
  }
  return found;
}

const ended = ({ status, ended: at }: Subagent) => status !== "pending" && status !== "running" && at !== undefined;
