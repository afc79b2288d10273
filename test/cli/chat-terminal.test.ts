import type { ServerResponse } from "node:http";
import { beforeEach, expect, test, vi } from "vitest";
import { filesBelow, tempDir, transcriptsBelow } from "../session/store-dir.js";
import { EVENT_STREAM, modelServer } from "./chat-model-server.js";
import { chatAtTerminal } from "./chat-terminal-fake.js";

const ALICE = "agent:main:telegram:dm:alice";
const BOB = "agent:main:telegram:dm:bob";
const PROMPT = "telegram:alice>";

// Node's line editor draws no prompt on a dumb terminal, whichever stream it is given.
beforeEach(() => {
  vi.stubEnv("TERM", "xterm");
  return () => vi.unstubAllEnvs();
});

/** A server whose answers the test writes, word by word. The answer to a question is found by its last words. */
async function dictated() {
  const open = new Map<string, ServerResponse>();
  const asked: (() => void)[] = [];
  const server = await modelServer((response, { body }) => {
    response.writeHead(200, EVENT_STREAM).flushHeaders();
    open.set(body.messages.at(-1)?.content ?? "", response);
    for (const wake of asked.splice(0)) wake();
  });
  const send = async (question: string, data: string) => {
    while (!open.has(question)) await new Promise<void>((resolve) => asked.push(resolve));
    open.get(question)?.write(`data: ${data}\n\n`);
  };
  return {
    env: server.env,
    says: (question: string, content: string) => send(question, JSON.stringify({ choices: [{ delta: { content } }] })),
    ends: (question: string) => send(question, "[DONE]"),
  };
}

const last = (rows: string[]) => rows.at(-1);
const shows = (text: string) => (rows: string[]) => rows.some((row) => row.includes(text));

test("a reply is shown while it is written, above the prompt and what is being typed", async () => {
  const server = await dictated();
  const terminal = chatAtTerminal({ dir: tempDir(), env: server.env });
  await terminal.until((rows) => last(rows) === PROMPT);
  terminal.type("hello\r");
  await server.says("hello", "one");
  await terminal.until(shows("bot: one"));
  terminal.type("next");
  await terminal.until((rows) => last(rows) === `${PROMPT} next`);
  await server.says("hello", " two");
  await terminal.until(shows("bot: one two"));
  await server.says("hello", " three\nfour");
  await server.ends("hello");
  await terminal.until(shows("four"));
  expect(terminal.rows().slice(5)).toEqual([
    `${PROMPT} hello`,
    `[${ALICE}] bot: one two three`,
    "  four",
    `${PROMPT} next`,
  ]);
});

test("a long reply is wrapped between words, however long the line is that is being typed below", async () => {
  const server = await dictated();
  const terminal = chatAtTerminal({ dir: tempDir(), columns: 60, env: server.env });
  terminal.type("hello\r");
  await server.says("hello", "Begun");
  await terminal.until(shows("Begun"));
  const before = terminal.rows().indexOf(`[${ALICE}] bot: Begun`);
  const typed = "typed ".repeat(30).trim();
  terminal.type(typed);
  await terminal.until((rows) => last(rows)?.endsWith("typed") === true && rows.length > before + 3);
  for (let word = 1; word <= 20; word += 1) await server.says("hello", ` word${word}`);
  await server.says("hello", ` ${"x".repeat(130)}`);
  await server.ends("hello");
  await terminal.until((rows) => rows.filter((row) => row.includes("xxxx")).length >= 3 && last(rows) !== "");
  const rows = terminal.rows().slice(before);
  const prompt = rows.findIndex((row) => row.startsWith(PROMPT));
  const reply = rows.slice(0, prompt);
  expect(reply.join(" ").replace(/\s+/g, " ")).toContain(
    Array.from({ length: 20 }, (_, n) => `word${n + 1}`).join(" "),
  );
  expect(reply.join("").match(/x/g)).toHaveLength(130);
  for (const row of reply) expect(row.length).toBeLessThan(60);
  expect(rows.slice(prompt).join("")).toBe(`${PROMPT} ${typed}`);
});

test("/stop typed while the reply streams ends it, and what there is of it is kept", async () => {
  const server = await dictated();
  const dir = tempDir();
  const terminal = chatAtTerminal({ dir, env: server.env });
  terminal.type("hello\r");
  await server.says("hello", "half an");
  await terminal.until(shows("half an"));
  terminal.type("/stop\r");
  await terminal.until(shows("(stopped)"));
  await terminal.until(shows("bot: Stopped."));
  expect(terminal.rows()).not.toContain("");
  terminal.type("\u0004");
  expect(await terminal.code).toBe(0);
  const transcript = [...transcriptsBelow(dir).values()][0];
  expect(transcript).toMatch(/"content":"half an".*"stopReason":"aborted"/);
  expect(transcript).toContain('"status":"aborted"');
});

test("Ctrl-C stops the reply that is being written, and the chat goes on", async () => {
  const server = await dictated();
  const terminal = chatAtTerminal({ dir: tempDir(), env: server.env });
  terminal.type("hello\r");
  await server.says("hello", "half");
  await terminal.until(shows("half"));
  terminal.type("\u0003");
  await terminal.until(shows(`[${ALICE}] (stopped)`));
  terminal.type("/who\r");
  await terminal.until(shows("You are telegram:alice, in a DM."));
});

test("Ctrl-C empties a line that has been begun, and on an empty one quits when it comes twice", async () => {
  const terminal = chatAtTerminal({ dir: tempDir() });
  terminal.type("begun");
  await terminal.until((rows) => last(rows) === `${PROMPT} begun`);
  terminal.type("\u0003");
  await terminal.until((rows) => last(rows) === PROMPT);
  terminal.type("\u0003");
  await terminal.until(shows("(Ctrl-C once more, or Ctrl-D, quits)"));
  terminal.type("/who\r");
  await terminal.until(shows("You are telegram:alice, in a DM."));
  terminal.type("\u0003");
  await terminal.until((rows) => rows.filter((row) => row.startsWith("(Ctrl-C once more")).length === 2);
  terminal.type("\u0003");
  expect(await terminal.code).toBe(0);
});

test("Ctrl-D and /quit end the chat, also while a reply is being written", async () => {
  const idle = chatAtTerminal({ dir: tempDir() });
  await idle.until((rows) => last(rows) === PROMPT);
  idle.type("/quit\r");
  expect(await idle.code).toBe(0);
  const server = await dictated();
  const dir = tempDir();
  const busy = chatAtTerminal({ dir, env: server.env });
  busy.type("hello\r");
  await server.says("hello", "half");
  await busy.until(shows("half"));
  busy.type("\u0004");
  expect(await busy.code).toBe(0);
  expect([...filesBelow(dir).values()].join()).toContain('"status":"aborted"');
});

test("G5 told to end by a signal, it keeps what there is of the reply", async () => {
  const server = await dictated();
  const dir = tempDir();
  const terminal = chatAtTerminal({ dir, env: server.env });
  terminal.type("hello\r");
  await server.says("hello", "half");
  await terminal.until(shows("half"));
  process.emit("SIGHUP", "SIGHUP");
  expect(await terminal.code).toBe(129);
  expect([...filesBelow(dir).values()].join()).toMatch(/"content":"half".*"stopReason":"aborted"/);
});

test("two replies at once do not mix: the second waits for the first to be over", async () => {
  const server = await dictated();
  const terminal = chatAtTerminal({ dir: tempDir(), env: server.env });
  terminal.type("one\r/as telegram:bob\rtwo\r");
  await server.says("one", "a1");
  await terminal.until(shows("a1"));
  await server.says("two", "b1 b2");
  await server.ends("two");
  await server.says("one", " a2");
  await terminal.until(shows("a1 a2"));
  expect(terminal.rows().join("\n")).not.toContain("b1");
  await server.ends("one");
  await terminal.until(shows("b1 b2"));
  expect(terminal.rows().slice(-3)).toEqual([`[${ALICE}] bot: a1 a2`, `[${BOB}] bot: b1 b2`, "telegram:bob>"]);
});

test("an answer to a command comes at once, and the reply goes on below it under its own key", async () => {
  const server = await dictated();
  const terminal = chatAtTerminal({ dir: tempDir(), env: server.env });
  terminal.type("one\r");
  await server.says("one", "begun");
  await terminal.until(shows("begun"));
  terminal.type("/model\r");
  await terminal.until(shows("bot: Model: the host's default."));
  await server.says("one", " and ended");
  await server.ends("one");
  await terminal.until(shows("ended"));
  expect(terminal.rows().slice(-5)).toEqual([
    `[${ALICE}] bot: begun`,
    `${PROMPT} /model`,
    `[${ALICE}] bot: Model: the host's default.`,
    `[${ALICE}] bot: … and ended`,
    PROMPT,
  ]);
});

test("what is typed before the beginning is over is not lost", async () => {
  const terminal = chatAtTerminal({ dir: tempDir() });
  terminal.type("/in telegram:group:-1\r/who\r");
  await terminal.until((rows) => last(rows) === "telegram:alice in telegram:group:-1>");
  await terminal.until(shows("You came first"));
});

test("the prompt says who and where one is", async () => {
  const terminal = chatAtTerminal({ dir: tempDir() });
  terminal.type("/as discord:bob\r");
  await terminal.until((rows) => last(rows) === "discord:bob>");
  terminal.type("/in discord:group:7:topic:8\r");
  await terminal.until((rows) => last(rows) === "discord:bob in discord:group:7:topic:8>");
  terminal.type("/in dm\r");
  await terminal.until((rows) => last(rows) === "discord:bob>");
});
