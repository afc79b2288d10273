// openclaw-sessions itself, through its public face (`session.append`) or at the storage (`storage.update`).
import { randomUUID } from "node:crypto";
import { library } from "../library.mjs";
import { entry, message, pick } from "../messages.mjs";

const { SessionManager, JsonlStorage, initialRecord, project } = await library();

export function keyOf(index) {
  return `agent:main:telegram:dm:${100_000_000 + index}`;
}

/** What a build without this durability answers. */
export function unsupported({ durability }) {
  try {
    void new JsonlStorage({ dir: "unused", durability });
    return undefined;
  } catch (error) {
    return `this build has no durability "${durability}" (${error.message})`;
  }
}

export async function start({ dir, durability, face }) {
  return face === "storage" ? atStorage(dir, durability) : atSession(dir, durability);
}

function atSession(dir, durability) {
  const manager = new SessionManager({ dir, durability });
  const sessions = new Map();
  return {
    makeMessage: message,
    lineOf: (number) => entry(number),
    async open(index) {
      sessions.set(index, await manager.open(keyOf(index)));
    },
    append: (index, made) => sessions.get(index).append(made),
    close: () => manager.close(),
  };
}

function atStorage(dir, durability) {
  const storage = new JsonlStorage({ dir, durability });
  const created = new Date().toISOString();
  const update = (index, entries) =>
    storage.update(keyOf(index), (current) => {
      const record = current ?? initialRecord({ key: keyOf(index), uuid: randomUUID(), created });
      return { record: project(record, entries), append: entries };
    });
  return {
    makeMessage: entry,
    lineOf: (number) => entry(number),
    open: (index) => update(index, []),
    append: (index, made) => update(index, [made]),
    close: () => storage.close(),
  };
}

/** A session with `count` messages, stored one at a time as a bot does. */
export async function prepareLong({ dir, count }) {
  const manager = new SessionManager({ dir, durability: "off" });
  const session = await manager.open(keyOf(0));
  for (let number = 0; number < count; number += 1) await session.append(message(number));
  await manager.close();
}

/** A store of `count` sessions of two messages each. Stops with an error when that takes longer than `limitMs`. */
export async function prepareStore({ dir, count, limitMs }) {
  const storage = new JsonlStorage({ dir, durability: "off" });
  const start = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next++;
      if (performance.now() - start > limitMs)
        throw new Error(`only ${index} of ${count} sessions could be made in ${Math.round(limitMs / 1000)} s`);
      const entries = [entry(index * 2), entry(index * 2 + 1)];
      const created = entries[0].timestamp;
      await storage.update(keyOf(index), () => {
        const record = initialRecord({ key: keyOf(index), uuid: randomUUID(), created });
        return { record: project(record, entries), append: entries };
      });
    }
  };
  await Promise.all(Array.from({ length: 32 }, lane));
  await storage.close();
}

export async function readLast({ dir, count }) {
  const manager = new SessionManager({ dir });
  const texts = [];
  for await (const { content } of manager.history(keyOf(0), { last: count })) texts.push(content);
  return { texts, close: () => manager.close() };
}

export async function readAll({ dir }) {
  const manager = new SessionManager({ dir });
  const texts = [];
  for await (const { content } of manager.history(keyOf(0))) texts.push(content);
  return { texts, close: () => manager.close() };
}

/** One manager; `list` may be called again on it. */
export async function openList({ dir }) {
  const manager = new SessionManager({ dir });
  return {
    async list(limit) {
      let count = 0;
      for await (const record of manager.list(limit === undefined ? {} : { limit })) if (record.key !== "") count += 1;
      return count;
    },
    close: () => manager.close(),
  };
}

/** Opens a store and reads the record of one session; `list` follows on the same manager. */
export async function openStore({ dir, size, seed }) {
  const manager = new SessionManager({ dir });
  const [index] = pick(1, size, seed);
  const record = await manager.get(keyOf(index));
  if (record === undefined) throw new Error("a session of the prepared store is not there");
  return {
    async list(limit) {
      let count = 0;
      for await (const found of manager.list({ limit })) if (found.key !== "") count += 1;
      return count;
    },
    close: () => manager.close(),
  };
}

export function construct({ dir }) {
  return new SessionManager({ dir });
}

export { assessing, countingTurn, loadCounter, openCompacted, prepareCompacted } from "./ours-context.mjs";
