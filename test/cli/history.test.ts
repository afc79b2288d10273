import { readFileSync } from "node:fs";
import { Readable, Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { run } from "../../src/cli/run.js";
import { type MessageEntry, SessionManager, sessionTools } from "../../src/index.js";
import { builders, manualClock, scriptedProvider } from "../../src/testing.js";
import { all, deferred, tempDir } from "../session/store-dir.js";
import { bot, cli, jsonOf, START, storeWith } from "./run-cli.js";

const KEY = "agent:main:telegram:dm:42";

describe("history KEY", () => {
  test("prints the messages in order, each as a block of time, role and text", async () => {
    const dir = tempDir();
    const host = bot(dir);
    await host.hears("42", "Hello\nthere");
    await host.hears("42", "Bye");
    await host.close();
    expect(await cli(["history", KEY, "--dir", dir])).toEqual({
      code: 0,
      stderr: "",
      stdout: [
        "2026-03-18T10:00:00Z  user",
        "  Hello",
        "  there",
        "",
        "2026-03-18T10:00:00Z  assistant",
        '  re: "Hello\\nthere"',
        "",
        "2026-03-18T10:01:00Z  user",
        "  Bye",
        "",
        "2026-03-18T10:01:00Z  assistant",
        '  re: "Bye"',
        "",
      ].join("\n"),
    });
  });

  test("in a group names who spoke, by id where there is no name", async () => {
    const dir = tempDir();
    const manager = new SessionManager({ dir, clock: manualClock(START), provider: scriptedProvider(["Hi both"]) });
    const build = builders();
    await manager.handle(build.inGroup("-100", "alice", "hello", { sender: { id: "7" } }));
    await manager.handle(build.inGroup("-100", "Bob", "@bot hello", { mentioned: true }));
    await manager.close();
    const { stdout } = await cli(["history", "agent:main:telegram:group:-100", "--dir", dir]);
    expect(stdout.split("\n").filter((line) => /^\S/.test(line))).toEqual([
      "2026-03-18T10:00:00Z  user  7",
      "2026-03-18T10:00:00Z  user  Bob",
      "2026-03-18T10:00:00Z  assistant",
    ]);
  });

  test("shows tool steps and media on one line each, and does not print what a file holds", async () => {
    const dir = tempDir();
    const data = Buffer.alloc(3000).toString("base64");
    await storeWith(dir, [
      {
        role: "user",
        content: [
          { type: "text", text: "look" },
          { type: "image", mediaType: "image/png", data },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "reasoning", text: "first\nlook it up" },
          { type: "tool-call", toolCallId: "1", toolName: "weather", input: { city: "Paris\nor not" } },
        ],
      },
      {
        role: "tool",
        content: [
          { type: "tool-result", toolCallId: "1", toolName: "weather", output: "20 °C\nsunny" },
          { type: "tool-result", toolCallId: "2", toolName: "clock", output: { code: 500 }, isError: true },
          { type: "tool-result", toolCallId: "3", toolName: "page", output: "x".repeat(5000) },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "file", mediaType: "application/pdf", filename: "map.pdf", url: "https://example.org/map.pdf" },
          { type: "text", text: "Sunny." },
        ],
      },
    ]);
    const { stdout } = await cli(["history", KEY, "--dir", dir]);
    expect(stdout.split("\n").filter((line) => line.startsWith("  "))).toEqual([
      "  look",
      "  [image] image/png, 3000 bytes",
      "  [reasoning] first\\nlook it up",
      '  [tool call] weather {"city":"Paris\\nor not"}',
      "  [tool result] weather 20 °C\\nsunny",
      '  [tool error] clock {"code":500}',
      `  [tool result] page ${"x".repeat(195)}… (5005 characters)`,
      "  [file] application/pdf, map.pdf, https://example.org/map.pdf",
      "  Sunny.",
    ]);
  });

  test("says of a reply that it was cut off", async () => {
    const dir = tempDir();
    const manager = new SessionManager({
      dir,
      clock: manualClock(START),
      provider: scriptedProvider([
        async ({ emit }) => {
          emit("Once upon");
          throw new Error("the line went dead");
        },
      ]),
    });
    await expect(manager.handle(builders().dm("42", "tell me"))).rejects.toThrow();
    await manager.close();
    const { stdout } = await cli(["history", KEY, "--dir", dir]);
    expect(stdout).toContain("2026-03-18T10:00:00Z  assistant  [error]\n  Once upon\n");
  });

  test("says of another session's message which it was, and how a sub-agent ended", async () => {
    const dir = tempDir();
    const provider = scriptedProvider(({ key }) => (key.includes(":subagent:") ? new Error("no") : "noted"));
    const config = { tools: { sessions: { visibility: "agent" as const } } };
    const manager = new SessionManager({ dir, clock: manualClock(START), provider, config });
    const use = (name: string, input: object) =>
      sessionTools(manager, KEY)
        .find((tool) => tool.name === name)
        ?.execute(input);
    await use("sessions_send", { sessionKey: "main", message: "hello\n2026-03-18T10:00:00Z  assistant" });
    const spawned = await use("sessions_spawn", { task: "dig", mode: "start" });
    await new Promise((resolve) => manager.on("turn.completed", ({ key }) => key === KEY && resolve(key)));
    await manager.close();
    const { stdout: sent } = await cli(["history", "agent:main:main", "--dir", dir]);
    expect(sent).toContain(
      `2026-03-18T10:00:00Z  user  [inter-session]  ${KEY}\n  hello\n  2026-03-18T10:00:00Z  assistant\n`,
    );
    const { stdout: told } = await cli(["history", KEY, "--dir", dir]);
    expect(told).toContain(
      `user  [sub-agent failed]  ${spawned?.childSessionKey}\n  Error: its model failed, or what the host gives it to work with (HOOK)\n`,
    );
    const { stdout: task } = await cli(["history", String(spawned?.childSessionKey), "--dir", dir]);
    expect(task).toContain(`user  [task]  ${KEY}\n  dig\n`);
  });

  test("--limit gives the last so many, in order", async () => {
    const dir = tempDir();
    await storeWith(
      dir,
      ["one", "two", "three", "four"].map((content) => ({ role: "user" as const, content })),
    );
    const { stdout } = await cli(["history", KEY, "--limit", "2", "--dir", dir]);
    expect(stdout.match(/^ {2}.*/gm)).toEqual(["  three", "  four"]);
    expect(jsonOf(await cli(["history", KEY, "--limit=1", "--json", "--dir", dir]))).toMatchObject([
      { content: "four" },
    ]);
    expect(jsonOf(await cli(["history", KEY, "--limit", "99", "--json", "--dir", dir]))).toHaveLength(4);
  });

  test("leaves out what was cleared, unless --all asks for it", async () => {
    const dir = tempDir();
    const host = bot(dir);
    await host.hears("42", "old");
    await host.manager.clear(KEY);
    const cleared = await cli(["history", KEY, "--dir", dir]);
    expect(cleared).toEqual({
      code: 0,
      stdout: "",
      stderr: `openclaw-sessions: No messages in ${KEY}; --all shows also those cleared\n`,
    });
    await host.hears("42", "new");
    await host.close();
    expect((await cli(["history", KEY, "--dir", dir])).stdout).not.toContain("old");
    const everything = jsonOf(await cli(["history", KEY, "--all", "--json", "--dir", dir]));
    expect(everything.map(({ content }) => content)).toEqual(["old", 're: "old"', "new", 're: "new"']);
    const last = jsonOf(await cli(["history", KEY, "--all", "--limit", "3", "--json", "--dir", dir]));
    expect(last.map(({ content }) => content)).toEqual(['re: "old"', "new", 're: "new"']);
  });

  test("--json prints the messages as they are stored", async () => {
    const dir = tempDir();
    const host = bot(dir);
    await host.hears("42", "Hello");
    const stored = await all(host.manager.history(KEY));
    await host.close();
    const ran = await cli(["history", KEY, "--json", "--dir", dir]);
    expect(jsonOf<MessageEntry>(ran)).toEqual(stored);
    expect(ran.stderr).toBe("");
  });

  test("a session without messages is no failure", async () => {
    const dir = tempDir();
    await storeWith(dir, []);
    expect((await cli(["history", KEY, "--dir", dir])).code).toBe(0);
    expect(await cli(["history", KEY, "--json", "--dir", dir])).toMatchObject({ code: 0, stdout: "[]\n" });
  });

  test("a key without a session exits 3 and prints nothing that could pass for a history", async () => {
    const dir = tempDir();
    const said = `openclaw-sessions: SESSION_NOT_FOUND: There is no session ${KEY}; "openclaw-sessions list" shows those there are.\n`;
    for (const more of [[], ["--json"], ["--limit", "3"]]) {
      expect(await cli(["history", KEY, ...more, "--dir", dir])).toEqual({ code: 3, stdout: "", stderr: said });
    }
  });
});

describe("history -", () => {
  test("reads keys from stdin, however they arrive, and says whose messages follow", async () => {
    const dir = tempDir();
    const host = bot(dir);
    await host.hears("42", "from 42");
    await host.hears("日本 ", "from Japan");
    await host.close();
    const keys = [KEY, "agent:main:telegram:dm:日本 "];
    const bytes = Buffer.from(`${keys[0]}\r\n\n${keys[1]}`);
    // Cut inside a character: a pipe cuts where it likes.
    const stdin = [bytes.subarray(0, 12), bytes.subarray(12, 56), bytes.subarray(56)];
    const ran = await cli(["history", "-", "--dir", dir], { stdin });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout.match(/^==.*|^ {2}from.*/gm)).toEqual([
      `== ${keys[0]} ==`,
      "  from 42",
      `== ${keys[1]} ==`,
      "  from Japan",
    ]);
  });

  test("takes what list --json gives, and an id with a line separator in it stays one key", async () => {
    const dir = tempDir();
    const odd = "a\u2028b";
    await storeWith(dir, [{ role: "user", content: "odd" }], odd);
    await storeWith(dir, [{ role: "user", content: "plain" }]);
    const keys = jsonOf<{ key: string }>(await cli(["list", "--json", "--dir", dir])).map(({ key }) => key);
    const ran = await cli(["history", "-", "--json", "--dir", dir], { stdin: [`${keys.join("\n")}\n`] });
    expect(ran.code).toBe(0);
    expect(
      jsonOf(ran)
        .map(({ key, content }) => [key, content])
        .sort(),
    ).toEqual([
      [KEY, "plain"],
      [`agent:main:telegram:dm:${odd}`, "odd"],
    ]);
  });

  test("passes over what is no key or has no session, says so, and exits with the first of the reasons", async () => {
    const dir = tempDir();
    await storeWith(dir, [{ role: "user", content: "here" }]);
    const missing = "agent:main:telegram:dm:nobody";
    const first = await cli(["history", "-", "--json", "--dir", dir], { stdin: [`${missing}\nrubbish\n${KEY}\n`] });
    expect(first.code).toBe(3);
    expect(jsonOf(first)).toMatchObject([{ key: KEY, content: "here" }]);
    expect(first.stderr.split("\n")).toEqual([
      expect.stringContaining(`SESSION_NOT_FOUND: There is no session ${missing};`),
      expect.stringContaining('INVALID_SESSION_KEY: "rubbish" is no session key'),
      "",
    ]);
    const second = await cli(["history", "-", "--dir", dir], { stdin: [`rubbish\n${missing}\n${KEY}\n`] });
    expect(second.code).toBe(2);
    expect(second.stdout).toContain("here");
  });

  test("with nothing on stdin there is nothing to show", async () => {
    const dir = tempDir();
    expect(await cli(["history", "-", "--dir", dir])).toEqual({ code: 0, stdout: "", stderr: "" });
    expect(await cli(["history", "-", "--json", "--dir", dir])).toEqual({ code: 0, stdout: "[]\n", stderr: "" });
  });
});

describe("beside a running host", () => {
  test("G5 looking at a session whose turn runs does not end the turn", async () => {
    const dir = tempDir();
    const asked = deferred();
    const answer = deferred<string>();
    const manager = new SessionManager({
      dir,
      provider: scriptedProvider([
        () => {
          asked.resolve();
          return answer.promise;
        },
      ]),
    });
    const turn = manager.handle(builders().dm("42", "slow question"));
    await asked.promise;
    const uuid = (await manager.get(KEY))?.uuid;
    const transcript = () => readFileSync(`${dir}/agents/main/sessions/${uuid}.jsonl`, "utf8");
    const before = transcript();
    expect((await cli(["history", KEY, "--dir", dir])).stdout).toContain("slow question");
    expect((await cli(["list", "--dir", dir])).stdout).toContain(KEY);
    expect(transcript()).toBe(before);
    answer.resolve("at last");
    expect(await turn).toMatchObject({ status: "replied", text: "at last" });
    expect((await cli(["history", KEY, "--dir", dir])).stdout).toContain("at last");
    await manager.close();
  });
});

test("a long history is written as it is read: what is held at once does not grow with it", async () => {
  const dir = tempDir();
  const text = "x".repeat(64 * 1024);
  const count = 200;
  await storeWith(
    dir,
    Array.from({ length: count }, () => ({ role: "user", content: text })),
  );
  let blocks = 0;
  let mostHeld = 0;
  const stdout = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      if (chunk.includes(text)) blocks += 1;
      mostHeld = Math.max(mostHeld, stdout.writableLength);
      setImmediate(done);
    },
  });
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const io = { stdin: Readable.from([]), stdout, stderr: nowhere, env: {}, now: () => START };
  expect(await run(["history", KEY, "--dir", dir], io)).toBe(0);
  expect(blocks).toBe(count);
  expect(mostHeld).toBeLessThan(2 * text.length);
});
