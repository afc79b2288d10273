// LangGraph's SQLite saver. `form` says what a checkpoint holds:
// "state": all messages so far, as a graph with a list of messages keeps them. Each message costs what the whole history costs.
// "message": only the new message. No graph does that; it is the least the saver can cost, so the comparison is kind to it.
// Its own setting, WAL with synchronous NORMAL, survives a killed process; a power cut may take what came after the latest
// checkpoint of the WAL. With `sync: "FULL"` each put is synced, as our durability "always".
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { emptyCheckpoint, uuid6 } from "@langchain/langgraph-checkpoint";
import { SqliteSaver } from "@langchain/langgraph-checkpoint-sqlite";
import { entry } from "../messages.mjs";

const keyOf = (index) => String(100_000_000 + index);

function openSaver(dir, sync) {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, "checkpoints.sqlite");
  // Opened twice: only a database that is already in WAL mode takes the setting a running host sees.
  const first = SqliteSaver.fromConnString(path);
  first.setup();
  first.db.close();
  const saver = SqliteSaver.fromConnString(path);
  saver.setup();
  saver.db.prepare("SELECT count(*) FROM checkpoints WHERE thread_id = ''").get();
  if (sync !== undefined) saver.db.pragma(`synchronous=${sync}`);
  return saver;
}

function checkpointOf(messages, step) {
  return {
    ...emptyCheckpoint(),
    id: uuid6(step),
    channel_values: { messages },
    channel_versions: { messages: step + 1 },
  };
}

const metadataOf = (step) => ({ source: "loop", step, parents: {} });

export async function start({ dir, sync, form, size }) {
  const saver = openSaver(dir, sync);
  const threads = new Map();
  return {
    makeMessage: entry,
    async open(index) {
      const thread_id = keyOf(index);
      const config = { configurable: { thread_id, checkpoint_ns: "" } };
      const found = size === undefined ? undefined : await saver.getTuple(config);
      threads.set(index, {
        config: found?.config ?? config,
        messages: [...(found?.checkpoint.channel_values.messages ?? [])],
        step: (found?.metadata.step ?? 0) + 1,
      });
    },
    async append(index, made) {
      const thread = threads.get(index);
      if (form === "state") thread.messages.push(made);
      const step = thread.step++;
      const checkpoint = checkpointOf(form === "state" ? thread.messages : [made], step);
      thread.config = await saver.put(thread.config, checkpoint, metadataOf(step));
    },
    async close() {
      saver.db.close();
    },
    note: `synchronous=${["OFF", "NORMAL", "FULL", "EXTRA"][saver.db.pragma("synchronous", { simple: true })]}`,
  };
}

export async function prepareLong({ dir, count, form }) {
  const saver = openSaver(dir);
  let config = { configurable: { thread_id: keyOf(0), checkpoint_ns: "" } };
  const messages = Array.from({ length: count }, (_, number) => entry(number));
  // One transaction: how it came to be there is not what is measured.
  saver.db.exec("BEGIN");
  if (form === "state") await saver.put(config, checkpointOf(messages, 1), metadataOf(1));
  else
    for (let number = 0; number < count; number += 1)
      config = await saver.put(config, checkpointOf([messages[number]], number), metadataOf(number));
  saver.db.exec("COMMIT");
  saver.db.close();
}

export async function prepareStore({ dir, count }) {
  const saver = openSaver(dir);
  saver.db.exec("BEGIN");
  for (let index = 0; index < count; index += 1) {
    const config = { configurable: { thread_id: keyOf(index), checkpoint_ns: "" } };
    await saver.put(config, checkpointOf([entry(index * 2), entry(index * 2 + 1)], 1), metadataOf(1));
  }
  saver.db.exec("COMMIT");
  saver.db.close();
}

async function readTexts(dir, form, limit) {
  const saver = SqliteSaver.fromConnString(join(dir, "checkpoints.sqlite"));
  const config = { configurable: { thread_id: keyOf(0), checkpoint_ns: "" } };
  const close = async () => {
    saver.db.close();
  };
  if (form === "state") {
    const { messages } = (await saver.getTuple(config)).checkpoint.channel_values;
    return { texts: messages.map(({ content }) => content), close };
  }
  const texts = [];
  for await (const { checkpoint } of saver.list(config, limit === undefined ? {} : { limit }))
    texts.push(checkpoint.channel_values.messages[0].content);
  return { texts: texts.reverse(), close };
}

export function readAll({ dir, form }) {
  return readTexts(dir, form);
}

export async function readLast({ dir, count, form }) {
  const { texts, close } = await readTexts(dir, form, count);
  return { texts: texts.slice(-count), close };
}

/** Each thread of the prepared store has one checkpoint, so a list of checkpoints is one of threads. */
export async function openList({ dir }) {
  const saver = SqliteSaver.fromConnString(join(dir, "checkpoints.sqlite"));
  return {
    async list(limit) {
      let count = 0;
      for await (const tuple of saver.list({ configurable: {} }, limit === undefined ? {} : { limit }))
        if (tuple.config !== undefined) count += 1;
      return count;
    },
    async close() {
      saver.db.close();
    },
  };
}

export function construct({ dir }) {
  mkdirSync(dir, { recursive: true });
  return SqliteSaver.fromConnString(join(dir, "checkpoints.sqlite"));
}
