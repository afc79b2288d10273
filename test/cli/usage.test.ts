import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { tempDir } from "../session/store-dir.js";
import { cli } from "./run-cli.js";

const KEY = "agent:main:telegram:dm:1";

describe("what is not understood exits 2, says why, and shows how", () => {
  test.each<[string[], RegExp]>([
    [[], /A command is missing/],
    [["lst"], /"lst" is no command/],
    [["--dir", "x", "list"], /The command comes first, before --dir/],
    [["list", "--lim", "3"], /Unknown option '--lim'\.$/m],
    [["list", "--all"], /Unknown option '--all'\.$/m],
    [["clear", KEY, "--limit", "3"], /Unknown option '--limit'\.$/m],
    [["list", "extra"], /"extra" is one word too many/],
    [["history"], /KEY is missing/],
    [["clear", "--json"], /KEY is missing/],
    [["history", KEY, KEY], /is one word too many/],
    [["history", ""], /KEY is missing/],
    [["list", "--limit"], /--limit/],
    [["list", "--json=yes"], /--json/],
    [["list", "--dir", ""], /--dir is empty/],
    [["list", "--agent", "../x"], /INVALID_SESSION_KEY: agentId/],
    [["history", "main"], /INVALID_SESSION_KEY: "main" is no session key/],
    [["history", "agent:main:telegram:dm:"], /INVALID_SESSION_KEY/],
    [["clear", `${KEY} \n`], /INVALID_SESSION_KEY/],
    ...["0", "-1", "1.5", "1e3", "0x10", "ten", "", " 5", "99999999999999999999"].map((limit): [string[], RegExp] => [
      ["list", `--limit=${limit}`],
      /--limit takes a whole number, 1 or more/,
    ]),
  ])("%j", async (argv, why) => {
    const dir = tempDir();
    const ran = await cli(argv, { env: { OPENCLAW_STATE_DIR: dir } });
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(ran.stderr).toMatch(why);
    expect(ran.stderr).toMatch(/^Usage: openclaw-sessions (list|history|clear)/m);
    expect(ran.stderr).toMatch(/^More: openclaw-sessions --help$/m);
    expect(readdirSync(dir)).toEqual([]);
  });

  test("the usage shown is that of the command", async () => {
    const { stderr } = await cli(["history"]);
    expect(stderr).toContain("Usage: openclaw-sessions history KEY");
    expect(stderr).not.toContain("openclaw-sessions list");
  });
});

describe("help", () => {
  test.each(["--help", "-h"])("%s tells every command, option and exit code", async (option) => {
    const ran = await cli([option]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    for (const word of ["list", "history KEY", "clear KEY", "chat", "--agent", "--limit", "--all", "--json", "--dir"]) {
      expect(ran.stdout).toContain(word);
    }
    expect(ran.stdout).toMatch(/0 done.*1 failed.*2 not understood.*3 not found/);
  });

  test.each(["list", "history", "clear"])("%s --help tells its usage, also beside other options", async (name) => {
    for (const argv of [
      [name, "--help"],
      [name, "-h", "--json"],
      [name, KEY, "extra", "--help"],
    ]) {
      expect(await cli(argv)).toEqual({
        code: 0,
        stdout: expect.stringMatching(new RegExp(`^openclaw-sessions ${name} .*--json.*--dir DIR\\]\n$`)),
        stderr: "",
      });
    }
  });

  test("--version prints the version of the package", async () => {
    const path = resolve(import.meta.dirname, "../../package.json");
    const { version } = JSON.parse(readFileSync(path, "utf8")) as { version: string };
    expect(await cli(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });
});
