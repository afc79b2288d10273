// pi's SessionManager: a JSONL file per session, appendFileSync for each message, never synced.
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { role, text } from "../messages.mjs";
// Only the part that is measured: the whole package takes a second to load, which is a row of its own.
import { SessionManager } from "./node_modules/@mariozechner/pi-coding-agent/dist/core/session-manager.js";

function message(number) {
  return { role: role(number), content: [{ type: "text", text: text(number) }], timestamp: Date.now() };
}

// It writes nothing before the first answer of the model, so a session begins with one.
function begin(dir) {
  const session = SessionManager.create(dir, dir);
  session.appendMessage({ ...message(1), role: "assistant" });
  return session;
}

function onlyFile(dir) {
  return join(
    dir,
    readdirSync(dir).find((name) => name.endsWith(".jsonl")),
  );
}

export async function start({ dir, size }) {
  const sessions = new Map();
  const existing = size === undefined ? [] : readdirSync(dir).sort();
  return {
    makeMessage: message,
    async open(index) {
      sessions.set(index, size === undefined ? begin(dir) : SessionManager.open(join(dir, existing[index])));
    },
    append(index, made) {
      sessions.get(index).appendMessage(made);
    },
    close: async () => undefined,
  };
}

export async function prepareLong({ dir, count }) {
  const session = SessionManager.create(dir, dir);
  for (let number = 0; number < count; number += 1) session.appendMessage(message(number));
}

export async function prepareStore({ dir, count }) {
  mkdirSync(dir, { recursive: true });
  for (let index = 0; index < count; index += 1) begin(dir).appendMessage(message(index));
}

export async function readAll({ dir }) {
  const { messages } = SessionManager.open(onlyFile(dir)).buildSessionContext();
  return { texts: messages.map(({ content }) => content[0].text), close: async () => undefined };
}

/** It has no way to read less than all. */
export async function readLast({ dir, count }) {
  const { messages } = SessionManager.open(onlyFile(dir)).buildSessionContext();
  return { texts: messages.slice(-count).map(({ content }) => content[0].text), close: async () => undefined };
}

export async function openList({ dir }) {
  return {
    list: async (limit = Number.POSITIVE_INFINITY) => (await SessionManager.list(dir, dir)).slice(0, limit).length,
    close: async () => undefined,
  };
}

export function construct({ dir }) {
  return SessionManager.create(dir, dir);
}

/** A session with one compaction, which kept the last 50 messages. */
export async function prepareCompacted({ dir, count }) {
  const session = SessionManager.create(dir, dir);
  let firstKept;
  for (let number = 0; number < count; number += 1) {
    const id = session.appendMessage(message(number));
    if (number === count - 50) firstKept = id;
  }
  const summary = Array.from({ length: 3 }, (_, number) => text(number)).join("\n");
  session.appendCompaction(summary, firstKept, count * 40);
}

export async function openCompacted({ dir }) {
  const session = SessionManager.open(onlyFile(dir));
  return {
    build: () => session.buildSessionContext().messages.map(({ content, summary }) => summary ?? content[0].text),
    close: async () => undefined,
  };
}

/** A quarter of the characters, counted anew from the entries at every turn: it has no tokeniser. */
export async function assessing({ size }) {
  const { estimateContextTokens } = await import(
    "./node_modules/@mariozechner/pi-coding-agent/dist/core/compaction/compaction.js"
  );
  const session = SessionManager.inMemory();
  for (let number = 0; number < size; number += 1) session.appendMessage(message(number));
  return {
    before: (number) => session.appendMessage(message(size + number)),
    assess: () => estimateContextTokens(session.buildSessionContext().messages),
    close: async () => undefined,
  };
}
