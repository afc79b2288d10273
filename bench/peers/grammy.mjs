// grammY's file storage: a JSON file per session, written whole at each change, never synced. What a message is, is the
// host's to say: here it has a time and an id as everywhere else, so that all store the same.
import { FileAdapter } from "@grammyjs/storage-file";
import { entry } from "../messages.mjs";

const keyOf = (index) => String(100_000_000 + index);

export async function start({ dir, size }) {
  const storage = new FileAdapter({ dirName: dir });
  const sessions = new Map();
  return {
    makeMessage: entry,
    async open(index) {
      sessions.set(index, size === undefined ? { messages: [] } : await storage.read(keyOf(index)));
    },
    append(index, made) {
      const session = sessions.get(index);
      session.messages.push(made);
      return storage.write(keyOf(index), session);
    },
    close: async () => undefined,
  };
}

export async function prepareLong({ dir, count }) {
  const messages = Array.from({ length: count }, (_, number) => entry(number));
  await new FileAdapter({ dirName: dir }).write(keyOf(0), { messages });
}

export async function prepareStore({ dir, count }) {
  const storage = new FileAdapter({ dirName: dir });
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next++;
      await storage.write(keyOf(index), { messages: [entry(index * 2), entry(index * 2 + 1)] });
    }
  };
  await Promise.all(Array.from({ length: 16 }, lane));
}

export async function readAll({ dir }) {
  const { messages } = await new FileAdapter({ dirName: dir }).read(keyOf(0));
  return { texts: messages.map(({ content }) => content), close: async () => undefined };
}

/** It has no way to read less than all. */
export async function readLast({ dir, count }) {
  const { texts, close } = await readAll({ dir });
  return { texts: texts.slice(-count), close };
}

export function construct({ dir }) {
  return new FileAdapter({ dirName: dir });
}
