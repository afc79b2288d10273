import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { JsonlStorage, SessionManager } from "../index.js";
import type { Io } from "./io.js";
import { Notes } from "./notes.js";

/** What a command was pointed at does not exist. */
export class NotFoundError extends Error {}

/** The store a command works on. */
export interface Store {
  dir: string;
  manager: SessionManager;
}

/**
 * Opens the store, does the work, and says afterwards what had to be passed over on the way.
 * @throws NotFoundError when there is no such directory, though someone named it.
 */
export async function withStore<T>(
  io: Io,
  options: { dir: string | undefined; readOnly: boolean },
  work: (store: Store) => Promise<T>,
): Promise<T> {
  const dir = await findDir(options.dir, io);
  const notes = new Notes();
  const storage = new JsonlStorage({ dir, readOnly: options.readOnly, onReport: notes.onReport });
  const manager = new SessionManager({ storage, clock: io });
  try {
    return await work({ dir, manager });
  } finally {
    await manager.close();
    notes.print(io);
  }
}

async function findDir(named: string | undefined, { env }: Io): Promise<string> {
  const chosen = named ?? (env.OPENCLAW_STATE_DIR || undefined);
  // Nobody has to have run a host yet for the usual place to be a good answer; a name that leads nowhere is a typo.
  if (chosen === undefined) return join(homedir(), ".openclaw");
  const dir = resolve(chosen);
  if (!(await exists(dir))) throw new NotFoundError(`There is no directory ${dir}`);
  return dir;
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    // Any other fault is the storage's to report, with what to do about it.
    return (error as NodeJS.ErrnoException).code !== "ENOENT";
  }
}
