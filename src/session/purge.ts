import { parseSessionKey, type SessionKey } from "../core/key.js";
import { killSubagent, killSubagents } from "./runs/kill.js";
import type { Shell } from "./shell.js";

/**
 * Removes a session for good, after its turns have been stopped, and with it every session that was spawned below it: what those hold
 * is of the same conversation, and a new session of this key would reach them.
 * @returns whether there was one.
 */
export async function purgeSession(shell: Shell, key: SessionKey): Promise<boolean> {
  const { queue, ledger } = shell;
  queue.inLine(key).stop();
  // As a sub-agent it has an end, which its parent is told.
  if (parseSessionKey(key).kind === "subagent") await killSubagent(shell, key);
  const record = await ledger.read(key);
  if (record !== undefined) await killSubagents(shell, record);
  const wasThere = await remove(shell, key);
  // What was being spawned meanwhile is found by another look.
  for (;;) {
    const below: SessionKey[] = [];
    for await (const { key: other, ancestors } of ledger.storage.list()) if (ancestors.includes(key)) below.push(other);
    if (below.length === 0) return wasThere || record !== undefined;
    await Promise.allSettled(shell.runs.stopDescendants(key).map(({ ended }) => ended));
    for (const other of below) await remove(shell, other);
  }
}

function remove({ queue, ledger }: Shell, key: SessionKey): Promise<boolean> {
  queue.inLine(key).stop();
  return queue.run(key, false, () => ledger.storage.delete(key));
}
