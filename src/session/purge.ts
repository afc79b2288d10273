import type { SessionKey } from "../core/key.js";
import { killSubagents } from "./runs/kill.js";
import type { Shell } from "./shell.js";

/**
 * Removes a session for good, after its turns have been stopped, and with it every session that was spawned below it: what those hold
 * is of the same conversation, and a new session of this key would reach them.
 * @returns whether there was one.
 */
export async function purgeSession(shell: Shell, key: SessionKey): Promise<boolean> {
  const { queue, ledger, runs } = shell;
  const self = runs.live(key);
  self?.stop("killed");
  queue.inLine(key).stop();
  const record = await ledger.read(key);
  if (record !== undefined) await killSubagents(shell, record);
  // As a sub-agent it has an end, which its parent is told.
  await Promise.allSettled([self?.ended]);
  const below: SessionKey[] = [];
  for await (const { key: other, ancestors } of ledger.storage.list()) if (ancestors.includes(key)) below.push(other);
  for (const other of below) await remove(shell, other);
  return (await remove(shell, key)) || record !== undefined;
}

function remove({ queue, ledger }: Shell, key: SessionKey): Promise<boolean> {
  queue.inLine(key).stop();
  return queue.run(key, false, () => ledger.storage.delete(key));
}
