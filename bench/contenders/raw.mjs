// The limit: the same lines written to a file that is already open, read back with nothing but JSON.parse.
import { closeSync, fdatasyncSync, mkdirSync, openSync, writeSync } from "node:fs";
import { open, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { entry } from "../messages.mjs";

const file = (dir, index) => join(dir, `${index}.jsonl`);
const line = (made) => `${JSON.stringify(made)}\n`;

/**
 * `how`: "async+sync" FileHandle.write, then datasync. "write+sync" writeSync, then datasync off the loop.
 * "blocking" writeSync, then fdatasyncSync. "write" writeSync alone. "async" FileHandle.write alone.
 */
export async function start({ dir, how }) {
  mkdirSync(dir, { recursive: true });
  const handles = new Map();
  const ways = {
    "async+sync": async (handle, made) => {
      await handle.write(line(made));
      await handle.datasync();
    },
    "write+sync": (handle, made) => {
      writeSync(handle.fd, line(made));
      return handle.datasync();
    },
    blocking: (handle, made) => {
      writeSync(handle.fd, line(made));
      fdatasyncSync(handle.fd);
    },
    write: (handle, made) => {
      writeSync(handle.fd, line(made));
    },
    async: (handle, made) => handle.write(line(made)),
  };
  const way = ways[how];
  return {
    makeMessage: entry,
    lineOf: entry,
    async open(index) {
      handles.set(index, await open(file(dir, index), "a"));
    },
    append: (index, made) => way(handles.get(index), made),
    async close() {
      for (const handle of handles.values()) await handle.close();
    },
  };
}

export async function prepareLong({ dir, count }) {
  mkdirSync(dir, { recursive: true });
  const fd = openSync(file(dir, 0), "a");
  for (let number = 0; number < count; number += 1) writeSync(fd, line(entry(number)));
  closeSync(fd);
}

const TAIL = 64 * 1024;

export async function readLast({ dir, count }) {
  const handle = await open(file(dir, 0), "r");
  const { size } = await handle.stat();
  const start = Math.max(0, size - TAIL);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
  const lines = buffer.toString("utf8", 0, bytesRead).split("\n");
  const texts = lines.slice(-count - 1, -1).map((one) => JSON.parse(one).content);
  return { texts, close: () => handle.close() };
}

export async function readAll({ dir }) {
  const lines = (await readFile(file(dir, 0), "utf8")).split("\n");
  lines.pop();
  return { texts: lines.map((one) => JSON.parse(one).content), close: async () => undefined };
}

/** Reads the index that the library left, whole, as `jq` would: needs the directory of a store of ours. */
export async function openList({ dir }) {
  const parse = async () => {
    const agents = join(dir, "agents");
    const found = [];
    for (const agent of await readdir(agents)) {
      const index = JSON.parse(await readFile(join(agents, agent, "sessions", "sessions.json"), "utf8"));
      found.push(...Object.values(index));
    }
    return found;
  };
  return {
    async list(limit = Number.POSITIVE_INFINITY) {
      const found = await parse();
      found.sort((a, b) => (a.lastActive < b.lastActive ? 1 : -1));
      return found.slice(0, limit).length;
    },
    close: async () => undefined,
  };
}
