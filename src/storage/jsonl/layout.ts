import { constants } from "node:fs";
import { chmod, chown, type FileHandle, lstat, mkdir, open, readdir, rename, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { isAgentId } from "../../core/key.js";
import { InvalidSessionKeyError, StorageError } from "../../errors.js";
import { codeOf } from "./fault.js";
import { Slices } from "./slices.js";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TRANSCRIPT = /^([0-9a-f-]{36})\.jsonl$/;

// Names that Windows keeps for devices, with or without an ending. They pass the grammar of an agentId.
const DEVICE = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])$/;

/**
 * How files are opened whose place someone else may have put something in: a link would send a conversation out of the store,
 * and opening a pipe would wait for ever.
 */
export const SAFELY = (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Whether a text can name a transcript. Nothing else ever becomes part of a path: an index can be tampered with. */
export function isUuid(value: unknown): value is string {
  return typeof value === "string" && UUID.test(value);
}

/** Where things are, below the directory the host named. */
export class Layout {
  readonly agentsDir: string;

  constructor(dir: string) {
    this.agentsDir = join(resolve(dir), "agents");
  }

  /** Whether an agent can have a directory here, on any system the store may be copied to. */
  accepts(agentId: string): boolean {
    return isAgentId(agentId) && !DEVICE.test(agentId);
  }

  /** The agents that have a directory. */
  async agentIds(): Promise<string[]> {
    try {
      const found = await readdir(this.agentsDir, { withFileTypes: true });
      return found.filter((entry) => entry.isDirectory() && this.accepts(entry.name)).map((entry) => entry.name);
    } catch (error) {
      if (codeOf(error) === "ENOENT") return [];
      throw error;
    }
  }

  agent(agentId: string): AgentLayout {
    if (!this.accepts(agentId)) {
      throw new InvalidSessionKeyError("This agentId cannot name a directory on every system. Choose another.", {
        operation: "storage",
      });
    }
    return new AgentLayout(agentId, join(this.agentsDir, agentId, "sessions"));
  }
}

/** The files of one agent. */
export class AgentLayout {
  readonly agentId: string;
  readonly dir: string;
  readonly index: string;

  constructor(agentId: string, dir: string) {
    this.agentId = agentId;
    this.dir = dir;
    this.index = join(dir, "sessions.json");
  }

  transcript(uuid: string): string {
    if (!isUuid(uuid)) throw new TypeError("A transcript is named by a lower-case UUID and by nothing else.");
    return join(this.dir, `${uuid}.jsonl`);
  }

  /** Where a transcript is written before anybody is told of it. */
  unnamed(uuid: string): string {
    return join(this.journal, `${basename(this.transcript(uuid))}.new`);
  }

  /**
   * Gives a transcript that was marked as made its name. Whoever learns of it may do it: its maker may have died.
   * @returns whether it is there.
   */
  async giveName(uuid: string): Promise<boolean> {
    try {
      await rename(this.unnamed(uuid), this.transcript(uuid));
      return true;
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      return isThere(this.transcript(uuid));
    }
  }

  lock(uuid: string): string {
    return `${this.transcript(uuid)}.lock`;
  }

  /** Where the processes on this directory tell each other what they write. */
  get journal(): string {
    return join(this.dir, "sessions.journal");
  }

  /** Where claims are taken, also of sessions that are not there yet. */
  get claims(): string {
    return join(this.journal, "claims");
  }
}

/** The uuids of the transcripts in a directory, by their file names. */
export async function transcriptsIn(dir: string): Promise<Set<string>> {
  try {
    const uuids = new Set<string>();
    const slices = new Slices();
    for (const name of await readdir(dir)) {
      const uuid = TRANSCRIPT.exec(name)?.[1];
      if (isUuid(uuid)) uuids.add(uuid);
      if (slices.over) await slices.rest();
    }
    return uuids;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return new Set();
    throw error;
  }
}

export async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return false;
    throw error;
  }
}

/** @throws StorageError when a directory of the agent is a link, which would put its conversations outside the store. */
export async function refuseLinks({ dir }: AgentLayout): Promise<void> {
  for (const each of [dirname(dir), dir]) {
    try {
      if (!(await lstat(each)).isSymbolicLink()) continue;
    } catch (error) {
      if (codeOf(error) === "ENOENT") return;
      throw error;
    }
    throw new StorageError("A directory of this agent is a link. Put the directory itself there.", {
      operation: "storage.open",
    });
  }
}

/** Makes a directory and those above it, readable by their owner only, whatever the umask. `durable`: also after a power cut. */
export async function makePrivateDir(dir: string, { durable = false } = {}): Promise<void> {
  const first = await mkdir(dir, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = dir; ; made = dirname(made)) {
    await chmod(made, 0o700);
    if (made === first || dirname(made) === made) break;
  }
  const made: string[] = [];
  for (let at = dir; ; at = dirname(at)) {
    made.unshift(at);
    if (at === first || dirname(at) === at) break;
  }
  for (const each of made) {
    const owner = await ownerFor(each);
    if (owner !== undefined) await chown(each, owner.uid, owner.gid);
    if (durable) await syncDirectory(dirname(each));
  }
}

/**
 * Who is to own what is made in a place, where that is not this process: an operator who works as root on a bot's store must
 * not leave the bot files that it may not read.
 */
export async function ownerFor(path: string): Promise<{ uid: number; gid: number } | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(dirname(path));
  return uid === 0 ? undefined : { uid, gid };
}

/** Makes a file that was just made private, and its directory's owner's. */
export async function ownPrivately(file: FileHandle, path: string): Promise<void> {
  // The umask has had its say on the mode it was made with.
  await file.chmod(0o600);
  const owner = await ownerFor(path);
  if (owner !== undefined) await file.chown(owner.uid, owner.gid);
}

/** Makes names that were made or removed in a directory survive a power cut. */
export async function syncDirectory(dir: string): Promise<void> {
  // Windows has no such thing as a synced directory.
  if (process.platform === "win32") return;
  const handle = await open(dir, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
