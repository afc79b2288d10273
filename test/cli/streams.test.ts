import { describe, expect, test } from "vitest";
import { tempDir } from "../session/store-dir.js";
import { bot, cli, jsonOf } from "./run-cli.js";

const KEY = "agent:main:telegram:dm:1";
const ANSI = "\u001B[";

async function smallStore(): Promise<string> {
  const dir = tempDir();
  const host = bot(dir);
  for (const peer of ["1", "2", "3"]) await host.hears(peer, "hello");
  await host.close();
  return dir;
}

describe("colour", () => {
  test("on a terminal the headers are dim, and the text is the same as without", async () => {
    const dir = await smallStore();
    for (const argv of [["list"], ["history", KEY]]) {
      const plain = await cli([...argv, "--dir", dir]);
      const onTerminal = await cli([...argv, "--dir", dir], { columns: 120 });
      expect(plain.stdout).not.toContain(ANSI);
      expect(onTerminal.stdout).toContain(ANSI);
      expect(onTerminal.stdout.replaceAll(/\p{Cc}\[[0-9]+m/gu, "")).toBe(plain.stdout);
    }
  });

  test.each([{ NO_COLOR: "1" }, { TERM: "dumb" }])("none with %j, and never in JSON", async (env) => {
    const dir = await smallStore();
    for (const argv of [["list"], ["history", KEY]]) {
      expect((await cli([...argv, "--dir", dir], { columns: 120, env })).stdout).not.toContain(ANSI);
      expect((await cli([...argv, "--json", "--dir", dir], { columns: 120 })).stdout).not.toContain(ANSI);
    }
  });

  test("an empty NO_COLOR says nothing", async () => {
    const dir = await smallStore();
    expect((await cli(["list", "--dir", dir], { columns: 120, env: { NO_COLOR: "" } })).stdout).toContain(ANSI);
  });
});

test("a terminal that does not know its width gets lines as they are", async () => {
  const dir = await smallStore();
  const env = { NO_COLOR: "1" };
  for (const argv of [["list"], ["history", KEY]]) {
    const plain = await cli([...argv, "--dir", dir]);
    expect((await cli([...argv, "--dir", dir], { columns: 0, env })).stdout).toBe(plain.stdout);
  }
});

describe("pipes", () => {
  test.each([["list"], ["list", "--json"], ["history", KEY], ["history", KEY, "--json"], ["--help"], ["history", "-"]])(
    "%s %s %s ends quietly with 0 when its reader has gone",
    async (...argv) => {
      const dir = await smallStore();
      const named = argv[0] === "--help" ? [] : ["--dir", dir];
      const ran = await cli([...argv, ...named], { stdin: [KEY], stdoutFails: { code: "EPIPE", from: 1 } });
      expect(ran).toEqual({ code: 0, stdout: "", stderr: "" });
    },
  );

  test("a command stops reading keys when its reader has gone", async () => {
    const dir = await smallStore();
    let asked = 0;
    function* keys() {
      for (asked = 1; asked <= 1000; asked += 1) yield `${KEY}\n`;
    }
    const ran = await cli(["history", "-", "--dir", dir], { stdin: keys(), stdoutFails: { code: "EPIPE", from: 4 } });
    expect(ran.code).toBe(0);
    expect(asked).toBeLessThan(1000);
  });

  test("an output that cannot be written is a failure", async () => {
    const dir = await smallStore();
    const ran = await cli(["list", "--dir", dir], { stdoutFails: { code: "ENOSPC", from: 2 } });
    expect(ran).toMatchObject({ code: 1, stderr: "openclaw-sessions: ENOSPC: write ENOSPC\n" });
  });

  test("list --json through history - --json gives the messages of every session", async () => {
    const dir = await smallStore();
    const keys = jsonOf<{ key: string }>(await cli(["list", "--json", "--dir", dir])).map(({ key }) => key);
    const ran = await cli(["history", "-", "--json", "--dir", dir], { stdin: [keys.join("\n")] });
    expect(jsonOf(ran).map(({ key, role }) => `${key} ${role}`)).toEqual(
      keys.flatMap((key) => [`${key} user`, `${key} assistant`]),
    );
  });
});
