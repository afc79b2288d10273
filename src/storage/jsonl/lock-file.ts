import { open, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { codeOf, storageFault } from "./fault.js";

/**
 * Puts `<uuid>.jsonl.lock` there while a turn runs, so that an operator sees that one does and in which process. It excludes
 * nobody: within this process the claim does, and one that a crash left behind is replaced by the next turn.
 * @returns what takes the file away again.
 */
export async function showLock(path: string, key: string, token: string): Promise<() => Promise<void>> {
  const remove = async () => {
    try {
      await unlink(path);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw storageFault(error, "claim", key);
    }
  };
  // Made anew, not written over: a link in its place would send the write elsewhere.
  await remove();
  const text = `${JSON.stringify({ host: hostname(), pid: process.pid, token })}\n`;
  const file = await open(path, "wx", 0o600);
  try {
    await file.chmod(0o600);
    await file.writeFile(text);
  } finally {
    await file.close();
  }
  return remove;
}
