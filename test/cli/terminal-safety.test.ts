import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatSessionKey, type Message } from "../../src/index.js";
import { tempDir } from "../session/store-dir.js";
import { cli, jsonOf, storeWith } from "./run-cli.js";

const KEY = "agent:main:telegram:dm:42";

const ESC = "\u001B";
const HOSTILE = [ESC, "\0", "\b", "\r", "\u007F", "\u0085", "\u009B", "\u2028", "\u202A", "\u202E", "\u2066", "\u2069"];
const FORBIDDEN = /[\p{Cc}\p{Cs}\u2028\u2029\u202A-\u202E\u2066-\u2069]/u;

/** What a terminal would obey in an output whose lines and tabs are its own. */
function obeyed(text: string): string[] {
  return text.split(/[\n\t]/).flatMap((piece) => FORBIDDEN.exec(piece) ?? []);
}

describe("what a person wrote never reaches the terminal as a command", () => {
  test("control and bidi characters of a message are shown as escapes", async () => {
    const dir = tempDir();
    await storeWith(dir, [{ role: "user", content: `${ESC}[2J\u009B31m\u202Etxt.exe\u2066a\u007F\rb\ttab\u0000` }]);
    const { stdout } = await cli(["history", KEY, "--dir", dir]);
    expect(stdout).toContain("\n  \\x1b[2J\\x9b31m\\u202etxt.exe\\u2066a\\x7f\\rb\ttab\\x00\n");
  });

  test("nor from a sender's name, a tool's name and output, a file's name, or a key", async () => {
    const dir = tempDir();
    const bad = `a${ESC}]0;owned\u0007\u202E\nb`;
    const peerId = "a\u202Eb\u2066";
    await storeWith(
      dir,
      [
        { role: "user", content: "hi", name: bad },
        { role: "assistant", content: [{ type: "tool-call", toolCallId: "1", toolName: bad, input: { [bad]: bad } }] },
        { role: "tool", content: [{ type: "tool-result", toolCallId: "1", toolName: bad, output: bad }] },
        { role: "user", content: [{ type: "file", mediaType: bad, filename: bad, url: bad }] },
        { role: "assistant", content: [{ type: "reasoning", text: bad }] },
      ],
      peerId,
    );
    const key = formatSessionKey({ kind: "dm", agentId: "main", channel: "telegram", peerId });
    const stdin = [`${key}\nagent:main:telegram:dm:${peerId}nobody\n${bad}\n`];
    for (const argv of [["list"], ["history", "-"], ["history", "-", "--json"], ["list", "--json"], ["clear", "-"]]) {
      const ran = await cli([...argv, "--dir", dir], { stdin });
      expect(obeyed(ran.stdout + ran.stderr), argv.join(" ")).toEqual([]);
      expect(ran.stdout).toContain("a\\u202eb\\u2066");
    }
  });

  test("nor from what was typed on the command line", async () => {
    const bad = `x${ESC}[31m\u202E`;
    const lines = [[bad], ["list", `--${bad}`], ["list", bad], ["list", "--limit", bad], ["history", bad]];
    for (const argv of [...lines, ["list", "--dir", `/${bad}`], ["list", "--agent", bad]]) {
      const ran = await cli(argv);
      expect(ran.code, argv.join(" ")).toBeGreaterThan(0);
      expect(obeyed(ran.stdout + ran.stderr), argv.join(" ")).toEqual([]);
    }
  });

  test("whatever the text, no output holds a character a terminal obeys, and --json gives the text back", async () => {
    const text = fc.string({ unit: fc.oneof(fc.constantFrom(...HOSTILE, "\n", "\t"), fc.string({ unit: "binary" })) });
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: 1, maxLength: 5 }), async (texts) => {
        const dir = tempDir();
        await storeWith(
          dir,
          texts.map((content): Message => ({ role: "user", content })),
        );
        for (const more of [[], ["--json"]]) {
          const { stdout } = await cli(["history", KEY, ...more, "--dir", dir]);
          expect(obeyed(stdout)).toEqual([]);
        }
        const shown = jsonOf(await cli(["history", KEY, "--json", "--dir", dir]));
        expect(shown.map(({ content }) => content)).toEqual(texts);
      }),
      { numRuns: 60 },
    );
  });

  test("half a surrogate pair is shown as one, and survives --json", async () => {
    const dir = tempDir();
    const content = "a\uD800b";
    await storeWith(dir, [{ role: "user", content }]);
    expect((await cli(["history", KEY, "--dir", dir])).stdout).toContain("  a\\ud800b\n");
    expect(jsonOf(await cli(["history", KEY, "--json", "--dir", dir]))).toMatchObject([{ content }]);
  });
});

describe("a message cannot pass for another", () => {
  const FORGED = "2026-03-18T10:00:00Z  assistant";

  test("its lines are indented, whatever ends them", async () => {
    const dir = tempDir();
    const content = ["hello", "", FORGED, "I agree."].join("\n");
    await storeWith(dir, [
      { role: "user", content },
      { role: "user", content: content.replaceAll("\n", "\r\n") },
      { role: "user", content: content.replaceAll("\n", "\r") },
      { role: "user", content: content.replaceAll("\n", "\u2028") },
      { role: "user", content: "x", name: `x\n${FORGED}` },
    ]);
    const { stdout } = await cli(["history", KEY, "--dir", dir]);
    expect(stdout.split(/\r\n|[\n\r\u2028]/).filter((line) => line.startsWith("2026"))).toHaveLength(5);
    expect(stdout.split(/\r\n|[\n\r\u2028]/).filter((line) => line.startsWith(FORGED))).toEqual([]);
  });

  test("also where the terminal would break a long line", async () => {
    const dir = tempDir();
    const columns = 40;
    const padded = `${"x".repeat(columns - 2)}${FORGED}`;
    await storeWith(dir, [
      { role: "user", content: padded },
      { role: "user", content: `${"漢".repeat((columns - 2) / 2)}${FORGED}` },
      { role: "user", content: `${"\t".repeat(20)}${FORGED}` },
      { role: "assistant", content: [{ type: "reasoning", text: padded }] },
      { role: "user", content: "hi", name: `${" ".repeat(12)}${FORGED}` },
    ]);
    const { stdout } = await cli(["history", KEY, "--dir", dir], { columns, env: { NO_COLOR: "1" } });
    const lines = stdout.split("\n");
    expect(lines.filter((line) => /^\S/.test(line))).toHaveLength(5);
    // A Han character takes two columns.
    for (const line of lines) expect(line.length + (line.match(/漢/g)?.length ?? 0)).toBeLessThanOrEqual(columns);
    expect(stdout.replaceAll("\n  ", "")).toContain(padded);
  });

  test("a row of list is one line, and its text stays in its column", async () => {
    const dir = tempDir();
    await storeWith(dir, [{ role: "user", content: "hi" }], `a\u2028agent:main:telegram:dm:b`);
    const { stdout } = await cli(["list", "--dir", dir]);
    expect(stdout.split(/[\n\u2028]/)).toHaveLength(3);
  });

  test("a row of list that is wider than the terminal goes on indented, and other rows keep their columns", async () => {
    const dir = tempDir();
    const columns = 60;
    const forged = `x${" ".repeat(columns)}someone  99  just now${"x".repeat(800)}`;
    await storeWith(dir, [{ role: "user", content: "hi" }], forged);
    await storeWith(dir, [{ role: "user", content: "hi" }]);
    const onTerminal = (await cli(["list", "--dir", dir], { columns, env: { NO_COLOR: "1" } })).stdout;
    expect(onTerminal.match(/^\S.*/gm)).toHaveLength(3);
    for (const line of onTerminal.split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
    const { stdout } = await cli(["list", "--dir", dir]);
    expect(/^agent:main:telegram:dm:42 .*/m.exec(stdout)?.[0].length).toBeLessThan(120);
  });
});
