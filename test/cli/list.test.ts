import { chmodSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { JsonlStorage, SessionManager, type SessionRecord } from "../../src/index.js";
import { manualClock } from "../../src/testing.js";
import { all, filesBelow, tempDir } from "../session/store-dir.js";
import { bot, cli, jsonOf, START, storeWith } from "./run-cli.js";

const HOUR = 3_600_000;

/** A store with three sessions of two agents, the oldest made first. */
async function threeSessions(dir: string): Promise<void> {
  const clock = manualClock(START);
  const manager = new SessionManager({ dir, clock, durability: "off" });
  const addresses = [
    { channel: "discord", chatType: "dm", peerId: "user#1234", agentId: "coder" },
    { channel: "telegram", chatType: "group", groupId: "-1001234" },
    { channel: "telegram", chatType: "dm", peerId: "123456789" },
  ] as const;
  for (const [index, address] of addresses.entries()) {
    const session = await manager.open(address);
    for (let n = 0; n <= index; n += 1) await session.append({ role: "user", content: "hi" });
    clock.advance(24 * HOUR);
  }
  await manager.close();
}

const WHEN_LOOKED_AT = START + 2 * 24 * HOUR + 2 * HOUR;

describe("list", () => {
  test("prints key, messages and when last active in aligned columns, newest first", async () => {
    const dir = tempDir();
    await threeSessions(dir);
    const ran = await cli(["list", "--dir", dir], { now: WHEN_LOOKED_AT });
    expect(ran).toEqual({
      code: 0,
      stderr: "",
      stdout: [
        "KEY                                 MESSAGES  LAST ACTIVE",
        "agent:main:telegram:dm:123456789    3         2 hours ago",
        "agent:main:telegram:group:-1001234  2         1 day ago",
        "agent:coder:discord:dm:user#1234    1         2 days ago",
        "",
      ].join("\n"),
    });
  });

  test("--limit gives the newest so many", async () => {
    const dir = tempDir();
    await threeSessions(dir);
    const { stdout } = await cli(["list", "--limit", "2", "--dir", dir]);
    expect(stdout).toContain("dm:123456789");
    expect(stdout).toContain("group:-1001234");
    expect(stdout).not.toContain("user#1234");
  });

  test("--agent gives that agent's alone, and says when it has none", async () => {
    const dir = tempDir();
    await threeSessions(dir);
    const coder = await cli(["list", "--agent", "coder", "--dir", dir]);
    expect(coder.stdout.split("\n").filter((line) => line.startsWith("agent:"))).toHaveLength(1);
    expect(coder.stdout).toContain("agent:coder:discord:dm:user#1234");
    const nobody = await cli(["list", "--agent", "nobody", "--dir", dir]);
    expect(nobody).toEqual({
      code: 0,
      stdout: "",
      stderr: `openclaw-sessions: No sessions of agent nobody in ${dir}\n`,
    });
  });

  test("--json prints the records as the library gives them", async () => {
    const dir = tempDir();
    await threeSessions(dir);
    const ran = await cli(["list", "--json", "--dir", dir]);
    const manager = new SessionManager({ dir });
    expect(jsonOf<SessionRecord>(ran)).toEqual(await all(manager.list()));
    await manager.close();
    expect(ran.stdout.endsWith("]\n")).toBe(true);
  });

  test("an empty store is said on stderr and is no failure", async () => {
    const dir = tempDir();
    const said = `openclaw-sessions: No sessions in ${dir}\n`;
    expect(await cli(["list", "--dir", dir])).toEqual({ code: 0, stdout: "", stderr: said });
    expect(await cli(["list", "--json", "--dir", dir])).toEqual({ code: 0, stdout: "[]\n", stderr: said });
  });

  test("wide characters in an id keep the columns aligned", async () => {
    const dir = tempDir();
    await storeWith(dir, [{ role: "user", content: "hi" }], "東京");
    await storeWith(dir, [{ role: "user", content: "hi" }], "abcdef");
    const { stdout } = await cli(["list", "--dir", dir]);
    expect(stdout).toContain("agent:main:telegram:dm:東京    1 ");
    expect(stdout).toContain("agent:main:telegram:dm:abcdef  1 ");
  });
});

describe("which directory", () => {
  test("$OPENCLAW_STATE_DIR stands in for --dir, and --dir wins over it", async () => {
    const [one, other] = [tempDir(), tempDir()];
    await storeWith(one, [{ role: "user", content: "hi" }], "in-one");
    await storeWith(other, [{ role: "user", content: "hi" }], "in-other");
    const byEnv = await cli(["list"], { env: { OPENCLAW_STATE_DIR: one } });
    expect(byEnv.stdout).toContain("dm:in-one");
    const byOption = await cli(["list", "--dir", other], { env: { OPENCLAW_STATE_DIR: one } });
    expect(byOption.stdout).toContain("dm:in-other");
    expect(byOption.stdout).not.toContain("dm:in-one");
  });

  test("without either it is ~/.openclaw, which need not exist yet", async ({ onTestFinished }) => {
    const home = tempDir();
    onTestFinished(() => void vi.unstubAllEnvs());
    vi.stubEnv("HOME", home).stubEnv("USERPROFILE", home);
    expect((await cli(["list"])).stderr).toBe(`openclaw-sessions: No sessions in ${join(home, ".openclaw")}\n`);
    expect(readdirSync(home)).toEqual([]);
    await storeWith(join(home, ".openclaw"), [{ role: "user", content: "hi" }], "at-home");
    expect((await cli(["list"])).stdout).toContain("dm:at-home");
    expect((await cli(["list"], { env: { OPENCLAW_STATE_DIR: "" } })).stdout).toContain("dm:at-home");
  });

  test.each(["list", "history", "clear"])(
    "%s says when the named directory does not exist, and makes none",
    async (name) => {
      const dir = join(tempDir(), "nothing");
      const key = name === "list" ? [] : ["agent:main:telegram:dm:1"];
      const expected = { code: 3, stdout: "", stderr: `openclaw-sessions: There is no directory ${dir}\n` };
      expect(await cli([name, ...key, "--dir", dir])).toEqual(expected);
      expect(await cli([name, ...key], { env: { OPENCLAW_STATE_DIR: dir } })).toEqual(expected);
      expect(readdirSync(join(dir, ".."))).toEqual([]);
    },
  );

  test("a directory that is a file is a failure with its code", async () => {
    const file = join(tempDir(), "file");
    writeFileSync(file, "no directory");
    const ran = await cli(["list", "--dir", file]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toBe("");
    expect(ran.stderr).toMatch(/^openclaw-sessions: STORAGE: .*ENOTDIR.*\n$/);
  });
});

describe("reading leaves the store as it is", () => {
  const READING = [
    ["list"],
    ["list", "--json"],
    ["history", "agent:main:telegram:dm:42"],
    ["history", "agent:main:telegram:dm:nobody"],
  ];

  test.each(["missing", "unreadable"])("G10 an index that is %s is neither made nor moved", async (state) => {
    const dir = tempDir();
    await storeWith(dir, [{ role: "user", content: "hi" }]);
    const index = join(dir, "agents/main/sessions/sessions.json");
    rmSync(index);
    if (state === "unreadable") writeFileSync(index, "{ torn");
    const before = filesBelow(dir);
    for (const argv of READING) {
      const ran = await cli([...argv, "--dir", dir]);
      if (argv.at(-1)?.endsWith("nobody")) expect(ran.code).toBe(3);
      else
        expect(ran).toMatchObject({
          code: 0,
          stderr: "",
          stdout: expect.stringMatching(/agent:main:telegram:dm:42|hi/),
        });
      expect(filesBelow(dir)).toEqual(before);
    }
  });

  test("a whole store is the same afterwards, byte for byte", async () => {
    const dir = tempDir();
    const host = bot(dir);
    await host.hears("42", "hello");
    await host.close();
    const before = filesBelow(dir);
    for (const argv of READING) await cli([...argv, "--dir", dir]);
    expect(filesBelow(dir)).toEqual(before);
  });

  test("the storage the command line reads through refuses every write with a typed error", async () => {
    const dir = tempDir();
    const key = await storeWith(dir, [{ role: "user", content: "hi" }]);
    const before = filesBelow(dir);
    const manager = new SessionManager({ storage: new JsonlStorage({ dir, readOnly: true }) });
    await expect(manager.clear(key)).rejects.toMatchObject({ code: "STORAGE", key });
    await expect(manager.purge(key)).rejects.toMatchObject({ code: "STORAGE", key });
    const someoneNew = { channel: "telegram", chatType: "dm", peerId: "new" } as const;
    await expect(manager.open(someoneNew)).rejects.toMatchObject({ code: "STORAGE" });
    await manager.close();
    expect(filesBelow(dir)).toEqual(before);
  });

  test("an empty directory stays empty", async () => {
    const dir = tempDir();
    for (const argv of READING) await cli([...argv, "--dir", dir]);
    await cli(["clear", "agent:main:telegram:dm:1", "--dir", dir]);
    expect(readdirSync(dir)).toEqual([]);
  });

  // Root may write anywhere, so the modes say nothing to it.
  test.skipIf(process.getuid?.() === 0)(
    "a directory that may not be written is read all the same",
    async ({ onTestFinished }) => {
      const dir = tempDir();
      await storeWith(dir, [{ role: "user", content: "hi" }]);
      const sessions = join(dir, "agents/main/sessions");
      chmodSync(sessions, 0o500);
      onTestFinished(() => chmodSync(sessions, 0o700));
      expect((await cli(["list", "--dir", dir])).stdout).toContain("agent:main:telegram:dm:42");
    },
  );
});

test("G11 a line that cannot be read is said once, with where it stands, and the rest is shown", async () => {
  const dir = tempDir();
  const sessions = join(dir, "agents/main/sessions");
  mkdirSync(sessions, { recursive: true });
  const uuid = "f8282125-d96c-45a0-84cb-eb5fb6843d0a";
  const key = "agent:main:telegram:dm:123456789";
  const line = (content: string) => `${JSON.stringify({ role: "user", content, timestamp: "2026-03-18T10:00:00Z" })}\n`;
  writeFileSync(join(sessions, "sessions.json"), JSON.stringify({ [key]: { uuid, created: "2026-03-15T08:00:00Z" } }));
  writeFileSync(join(sessions, `${uuid}.jsonl`), `${line("first")}{"role":"user","cont\n{"role":\n${line("second")}`);
  const ran = await cli(["history", key, "--dir", dir]);
  expect(ran.code).toBe(0);
  expect(ran.stdout).toContain("first");
  expect(ran.stdout).toContain("second");
  expect(ran.stderr).toBe(
    `openclaw-sessions: note: 2 lines of ${uuid}.jsonl could not be read and were passed over, the first at byte ${line("first").length}\n`,
  );
});
