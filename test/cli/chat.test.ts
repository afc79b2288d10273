import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { chat } from "../../src/cli/chat.js";
import { SessionManager } from "../../src/index.js";
import { all, deferred, filesBelow, tempDir, transcriptsBelow } from "../session/store-dir.js";
import { modelServer } from "./chat-model-server.js";
import { talk } from "./chat-talk.js";
import { cli, START } from "./run-cli.js";

const ALICE = "agent:main:telegram:dm:alice";
const BOB = "agent:main:telegram:dm:bob";
const GROUP = "agent:main:telegram:group:-100123";

test("G2 what one person says, another asks for in vain, and it is in no file of theirs", async () => {
  const dir = tempDir();
  const { said, code } = await talk(dir, [
    "My secret is ALPHA",
    "/as telegram:bob",
    "What secrets do you know?",
    "/as telegram:alice",
    "What secrets do you know?",
  ]);
  expect(said).toEqual([
    `[${ALICE}] bot: Noted. Ask me about it later.`,
    `You are telegram:bob, in a DM. Session: ${BOB}`,
    `[${BOB}] bot: This is our first conversation! I know nothing yet.`,
    `You are telegram:alice, in a DM. Session: ${ALICE}`,
    `[${ALICE}] bot: I was told "My secret is ALPHA".`,
  ]);
  expect(code).toBe(0);
  const transcripts = [...transcriptsBelow(dir).values()];
  expect(transcripts).toHaveLength(2);
  const bobs = transcripts.filter((text) => text.includes(`"key":"${BOB}"`));
  expect(bobs).toHaveLength(1);
  expect(bobs[0]).not.toContain("ALPHA");
});

test("the same name on two channels is two people", async () => {
  const { said } = await talk(tempDir(), ["My cat is called Tom", "/as discord:alice", "What is my cat called?"]);
  expect(said.at(-1)).toBe("[agent:main:discord:dm:alice] bot: This is our first conversation! I know nothing yet.");
});

test("a person's id may hold colons", async () => {
  const { said } = await talk(tempDir(), ["/as matrix:@ann:server.org", "hello"]);
  expect(said.at(-1)).toContain("[agent:main:matrix:dm:@ann%3Aserver.org] bot: ");
});

test("G23 in a group what does not mention the bot is noted, and a mention is answered from all of it, by name", async () => {
  const { said } = await talk(tempDir(), [
    "/in telegram:group:-100123",
    "My dog is called Rex",
    "/as telegram:bob",
    "/in telegram:group:-100123",
    "the robot is @botty, not you",
    "@bot what is the dog called?",
    "/in telegram:group:-100123:topic:42",
    "@bot what is the dog called?",
  ]);
  expect(said.filter((line) => line.startsWith("["))).toEqual([
    `[${GROUP}] (noted, not answered: mention @bot)`,
    `[${GROUP}] (noted, not answered: mention @bot)`,
    `[${GROUP}] bot: I heard "My dog is called Rex" from alice.`,
    `[${GROUP}:topic:42] bot: This is our first conversation! I know nothing yet.`,
  ]);
});

test("G15 in a group the first who came may give commands, also after a restart, and nobody else", async () => {
  const dir = tempDir();
  const first = await talk(dir, ["/in telegram:group:-100123", "/activation always", "no mention here"]);
  expect(first.said.slice(-3)).toEqual([
    "You came first and may give commands here.",
    `[${GROUP}] bot: Activation set to always.`,
    `[${GROUP}] bot: Noted. Ask me about it later.`,
  ]);
  const second = await talk(dir, ["/as telegram:bob", "/in telegram:group:-100123", "/clear", "/status"]);
  expect(second.said.slice(2, 5)).toEqual([
    "alice came first and may give commands here.",
    `[${GROUP}] bot: You may not use /clear here.`,
    `[${GROUP}] bot: Session: ${GROUP}`,
  ]);
  expect(second.said).toContain("  Messages: 2");
  const third = await talk(dir, ["/in telegram:group:-100123", "/clear"]);
  expect(third.said.at(-1)).toBe(`[${GROUP}] bot: History cleared. Your settings are kept.`);
});

test("who goes into a group of another channel speaks under the same name there, and is told so", async () => {
  const { said } = await talk(tempDir(), ["/as discord:ann", "/in telegram:group:-100123", "/in dm", "hi"]);
  expect(said).toContain("On telegram you are telegram:ann.");
  expect(said.at(-1)).toContain("[agent:main:telegram:dm:ann] bot: ");
});

test("commands go to the session, unknown words to the model", async () => {
  const { said } = await talk(tempDir(), [
    "My name is Ann",
    "/model gpt-4o",
    "/CLEAR",
    "What is my name?",
    "/model",
    "/stop",
    "/weather",
  ]);
  expect(said).toEqual([
    `[${ALICE}] bot: Noted. Ask me about it later.`,
    `[${ALICE}] bot: Model set to gpt-4o for this conversation.`,
    `[${ALICE}] bot: History cleared. Your settings are kept.`,
    `[${ALICE}] bot: This is our first conversation! I know nothing yet.`,
    `[${ALICE}] bot: Model: gpt-4o (default: the host's default).`,
    `[${ALICE}] bot: Nothing is running.`,
    `[${ALICE}] bot: Noted. Ask me about it later.`,
  ]);
});

test("/help shows the chat's own words and then the library's", async () => {
  const { said } = await talk(tempDir(), ["/help"]);
  const own = said.findIndex((line) => line.startsWith("/as CHANNEL:PERSON"));
  const library = said.findIndex((line) => line.startsWith(`[${ALICE}] bot: /model`));
  expect(own).toBe(0);
  expect(library).toBeGreaterThan(own);
  expect(said.at(-1)).toContain("/help");
});

test("/who and /sessions show where one is and what there is", async () => {
  const { said } = await talk(tempDir(), ["/sessions", "hello", "/as telegram:bob", "hi", "/who", "/sessions"]);
  expect(said[0]).toBe("There are no sessions yet.");
  expect(said.slice(-4)).toEqual([
    `You are telegram:bob, in a DM. Session: ${BOB}`,
    "KEY                           MESSAGES  LAST ACTIVE",
    ...[`${BOB}    2         just now`, `${ALICE}  2         just now`].sort(),
  ]);
});

test("what is no place to go to leaves one where one was", async () => {
  const wrong = ["/as", "/as bob", "/as telegram:", "/as telegram:dm:bob", "/as main:bob", "/in", "/in telegram:-100"];
  const { said, code } = await talk(tempDir(), [...wrong, "/who"]);
  expect(said.slice(0, 4)).toEqual(Array(4).fill("Usage: /as CHANNEL:PERSON, such as /as telegram:bob."));
  expect(said[4]).toContain("INVALID_SESSION_KEY: channel must not be one of main");
  expect(said.slice(5, 7)).toEqual(
    Array(2).fill("Usage: /in CHANNEL:group:ID[:topic:ID], such as /in telegram:group:-100123, or /in dm."),
  );
  expect(said[7]).toContain(ALICE);
  expect(code).toBe(0);
});

test("nothing is read after /quit, blank lines are passed over, and CRLF ends a line", async () => {
  const { said } = await talk(tempDir(), ["", "  ", "hello\r", "/quit", "never"]);
  expect(said).toEqual([`[${ALICE}] bot: Hello! This is our first conversation.`]);
});

test("G5 a second run goes on where the first ended", async () => {
  const dir = tempDir();
  await talk(dir, ["My name is Ann", "/model gpt-4o"]);
  const { said } = await talk(dir, ["What is my name?", "/model"]);
  expect(said).toEqual([
    `[${ALICE}] bot: I was told "My name is Ann".`,
    `[${ALICE}] bot: Model: gpt-4o (default: the host's default).`,
  ]);
});

test("G5 a reply that a crash cut off is told at the next start, once, and its message is kept", async () => {
  const dir = tempDir();
  await talk(dir, ["My name is Ann"]);
  // What a crash during the reply leaves: the message, and nothing after it.
  const [path, text] = [...transcriptsBelow(dir)][0] as [string, string];
  writeFileSync(path, `${text.split("\n").slice(0, 2).join("\n")}\n`);
  const note = `[${ALICE}] (the reply to "My name is Ann" was cut off when the host stopped; the message is kept, ask again)`;
  expect((await talk(dir, ["What is my name?"])).said).toEqual([note, `[${ALICE}] bot: I was told "My name is Ann".`]);
  expect((await talk(dir, [])).said).toEqual([]);
});

test("G2 under dmScope main the leak shows, with one warning before it", async () => {
  const dir = tempDir();
  const config = join(dir, "openclaw.json");
  writeFileSync(config, `{ session: { dmScope: "main" } } // everybody in one`);
  const lines = [
    "My secret is ALPHA",
    "/as telegram:bob",
    "What secrets do you know?",
    "What was the last message?",
    "/clear",
  ];
  const { said, stdout } = await talk(dir, lines, { args: ["--config", config] });
  expect(stdout).toContain("(dmScope main)");
  expect(said.slice(2)).toEqual([
    expect.stringMatching(/^! WARNING: a second person has reached agent:main:main\..*dmScope "main"/),
    '[agent:main:main] bot: I was told "My secret is ALPHA".',
    '[agent:main:main] bot: The last message was "What secrets do you know?".',
    "[agent:main:main] bot: History cleared. Your settings are kept.",
  ]);
});

test("a config that is wrong or missing ends the chat before anything is written", async () => {
  const dir = tempDir();
  const config = join(dir, "openclaw.json");
  writeFileSync(config, `{ session: { dmScope: "per-chanel-peer" } }`);
  const wrong = await talk(join(dir, "store"), ["hello"], { args: ["--config", config] });
  expect(wrong).toMatchObject({ code: 1, stdout: "" });
  expect(wrong.stderr).toContain('"per-channel-peer"');
  const missing = await talk(join(dir, "store"), ["hello"], { args: ["--config", join(dir, "none.json")] });
  expect(missing).toMatchObject({ code: 1, stdout: "" });
  expect(missing.stderr).toContain("none.json");
  expect([...filesBelow(dir).keys()]).toEqual([config]);
});

test("a store that cannot be one exits 1 with a code", async () => {
  const dir = tempDir();
  writeFileSync(join(dir, "file"), "");
  const { code, stderr } = await talk(join(dir, "file"), ["hello"]);
  expect(code).toBe(1);
  expect(stderr).toContain("STORAGE");
});

test("the state directory of the environment is used when none is named", async () => {
  const dir = tempDir();
  const ran = await cli(["chat"], { stdin: ["hello\n"], env: { OPENCLAW_STATE_DIR: dir } });
  expect(ran.stdout).toContain(`Data: ${dir} `);
  expect(filesBelow(dir).size).toBeGreaterThan(0);
});

test("an unknown option exits 2 with the usage, --help exits 0 with it", async () => {
  const wrong = await cli(["chat", "--dri", "x"]);
  expect(wrong).toMatchObject({ code: 2, stdout: "" });
  expect(wrong.stderr).toContain("Usage: openclaw-sessions chat");
  const help = await cli(["chat", "--help"]);
  expect(help).toMatchObject({ code: 0, stderr: "" });
  expect(help.stdout).toContain("--config FILE");
});

test("an empty --dir exits 2", async () => {
  expect(await cli(["chat", "--dir="])).toMatchObject({ code: 2, stdout: "" });
});

test("what someone said cannot steer the terminal when it is quoted", async () => {
  const { said, stdout } = await talk(tempDir(), [
    "My colour is \u001B[31mred\u001B[0m \u202Edesrever",
    "What is my colour?",
  ]);
  expect(said.at(-1)).toContain("\\x1b[31mred");
  expect(stdout).not.toContain("\u001B");
  expect(stdout).not.toContain("\u202E");
});

test("a message that is too large is refused with its code, and the next one is answered", async () => {
  const { said } = await talk(tempDir(), ["x".repeat(1_100_000), "hello"]);
  expect(said[0]).toMatch(/^\[agent:main:telegram:dm:alice\] \(INVALID_MESSAGE: .*at most 1048576/);
  expect(said[1]).toContain("bot: Hello!");
});

test("G11 a line of a transcript that cannot be read is told and costs only itself", async () => {
  const dir = tempDir();
  await talk(dir, ["My name is Ann"]);
  const [path] = [...transcriptsBelow(dir)][0] as [string, string];
  writeFileSync(path, `${readFileSync(path, "utf8")}{"role":"user","cont`);
  const { said } = await talk(dir, ["What is my name?"]);
  expect(said).toHaveLength(2);
  expect(said).toContainEqual(expect.stringMatching(/^! .*\.jsonl: line \d+ cannot be read and was passed over\.$/));
  expect(said.at(-1)).toBe(`[${ALICE}] bot: I was told "My name is Ann".`);
});

test("when nobody reads what it says, the chat ends without a fault", async () => {
  const ran = await cli(["chat", "--dir", tempDir()], {
    stdin: ["hello\n", "hello\n"],
    stdoutFails: { code: "EPIPE", from: 6 },
  });
  expect(ran).toMatchObject({ code: 0, stderr: "" });
});

test("the clock is the one it was given", async () => {
  const dir = tempDir();
  await talk(dir, ["hello"], { now: START });
  const { said } = await talk(dir, ["/sessions"], { now: START + 2 * 3_600_000 });
  expect(said.at(-1)).toBe(`${ALICE}  2         2 hours ago`);
  const manager = new SessionManager({ dir });
  expect((await all(manager.list()))[0]?.created).toBe(new Date(START).toISOString());
  await manager.close();
});

test("told to end by a signal, it stops the reply being written, says so, and tells the shell which signal it was", async () => {
  const asked = deferred();
  const server = await modelServer(() => asked.resolve());
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const dir = tempDir();
  // Whatever the library itself listens to for as long as the process lives is in place once a store has been written.
  await talk(tempDir(), ["hello"]);
  const before = process.listeners("SIGTERM");
  const ended = chat(["--dir", dir], { stdin, stdout, stderr: new PassThrough(), env: server.env, now: Date.now });
  stdin.write("hello\n");
  await asked.promise;
  process.emit("SIGTERM", "SIGTERM");
  expect(await ended).toBe(143);
  expect(String(stdout.read())).toMatch(/\n\[agent:main:telegram:dm:alice\] \(stopped\)\n$/);
  expect([...filesBelow(dir).values()].join()).toContain('"status":"aborted"');
  expect(process.listeners("SIGTERM")).toEqual(before);
});
