import { unlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { codeOf, storageFault } from "./fault.js";

/**
 * Puts `<uuid>.jsonl.lock` there while a turn runs, so that an operator sees that one does and in which process. It excludes
 * nobody: within this process the claim does, and one that a crash left behind is written over by the next turn.
 * @returns what takes the file away again.
 */
export async function showLock(path: string, key: string, token: string): Promise<() => Promise<void>> {
  await writeFile(path, `${JSON.stringify({ host: hostname(), pid: process.pid, token })}\n`, { mode: 0o600 });
  return async () => {
    try {
      await unlink(path);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw storageFault(error, "claim", key);
    }
  };
}
