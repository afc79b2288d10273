import { chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { SessionManager } from "../../src/index.js";
import { builders, scriptedProvider } from "../../src/testing.js";
import { all, deferred, filesBelow, tempDir } from "../session/store-dir.js";
import { bot, cli, jsonOf, storeWith } from "./run-cli.js";

const KEY = "agent:main:telegram:dm:42";

describe("clear KEY", () => {
  test("G15 empties the history, keeps the settings, and says what it did", async () => {
    const dir = tempDir();
    const host = bot(dir);
    await host.hears("42", "hello");
    await host.hears("42", "/model gpt-4o");
    await host.close();
    expect(await cli(["clear", KEY, "--dir", dir])).toEqual({
      code: 0,
      stdout: `cleared ${KEY} (2 messages)\n`,
      stderr: "",
    });
    const manager = new SessionManager({ dir });
    const record = await manager.get(KEY);
    expect(record).toMatchObject({ messageCount: 0, state: { modelOverride: "gpt-4o" } });
    expect(await all(manager.history(KEY))).toEqual([]);
    expect(await all(manager.history(KEY, { includeCleared: true }))).toHaveLength(2);
    await manager.close();
    expect((await cli(["clear", KEY, "--dir", dir])).stdout).toBe(`cleared ${KEY} (0 messages)\n`);
  });

  test("--json prints the key and how many messages were cleared", async () => {
    const dir = tempDir();
    await storeWith(dir, [{ role: "user", content: "only" }]);
    const ran = await cli(["clear", KEY, "--json", "--dir", dir]);
    expect(ran.code).toBe(0);
    expect(jsonOf(ran)).toEqual([{ key: KEY, cleared: 1 }]);
  });

  test("a key without a session exits 3 and makes none", async () => {
    const dir = tempDir();
    await storeWith(dir, [{ role: "user", content: "hi" }]);
    const ran = await cli(["clear", "agent:main:telegram:dm:nobody", "--dir", dir]);
    expect(ran).toMatchObject({ code: 3, stdout: "" });
    expect(ran.stderr).toContain("SESSION_NOT_FOUND: There is no session agent:main:telegram:dm:nobody;");
    expect(jsonOf(await cli(["list", "--json", "--dir", dir]))).toHaveLength(1);
  });

  test("- clears every key on stdin that has a session", async () => {
    const dir = tempDir();
    const host = bot(dir);
    for (const peer of ["1", "2", "3"]) await host.hears(peer, "hello");
    await host.close();
    const keys = ["1", "nobody", "2"].map((peer) => `agent:main:telegram:dm:${peer}`);
    const ran = await cli(["clear", "-", "--json", "--dir", dir], { stdin: [keys.join("\n")] });
    expect(ran.code).toBe(3);
    expect(jsonOf(ran)).toEqual([
      { key: keys[0], cleared: 2 },
      { key: keys[2], cleared: 2 },
    ]);
    const left = jsonOf<{ key: string; messageCount: number }>(await cli(["list", "--json", "--dir", dir]));
    expect(Object.fromEntries(left.map(({ key, messageCount }) => [key, messageCount]))).toEqual({
      "agent:main:telegram:dm:1": 0,
      "agent:main:telegram:dm:2": 0,
      "agent:main:telegram:dm:3": 2,
    });
  });

  test("goes on when nobody reads what it prints any more", async () => {
    const dir = tempDir();
    const host = bot(dir);
    for (const peer of ["1", "2", "3"]) await host.hears(peer, "hello");
    await host.close();
    const keys = ["1", "2", "3"].map((peer) => `agent:main:telegram:dm:${peer}`);
    const ran = await cli(["clear", "-", "--dir", dir], {
      stdin: [keys.join("\n")],
      stdoutFails: { code: "EPIPE", from: 2 },
    });
    expect(ran).toEqual({ code: 0, stdout: `cleared ${keys[0]} (2 messages)\n`, stderr: "" });
    const left = jsonOf<{ messageCount: number }>(await cli(["list", "--json", "--dir", dir]));
    expect(left.map(({ messageCount }) => messageCount)).toEqual([0, 0, 0]);
  });

  // Only root can give files away.
  test.skipIf(process.getuid?.() !== 0)("G22 run as root it leaves the index to whoever owns the store", async () => {
    const dir = tempDir();
    await storeWith(dir, [{ role: "user", content: "hi" }]);
    const sessions = join(dir, "agents/main/sessions");
    const owner = { uid: 65_534, gid: 65_533 };
    for (const path of [sessions, ...filesBelow(sessions).keys()]) chownSync(path, owner.uid, owner.gid);
    expect((await cli(["clear", KEY, "--dir", dir])).code).toBe(0);
    expect(statSync(join(sessions, "sessions.json"))).toMatchObject(owner);
    expect(statSync(join(sessions, "sessions.json")).mode & 0o777).toBe(0o600);
  });

  test("a transcript of a newer version is left as it is, with the code on stderr", async () => {
    const dir = tempDir();
    const sessions = join(dir, "agents/main/sessions");
    const uuid = "f8282125-d96c-45a0-84cb-eb5fb6843d0a";
    mkdirSync(sessions, { recursive: true });
    const header = { type: "session", version: 99, uuid, key: KEY, created: "2026-03-18T10:00:00.000Z", ancestors: [] };
    const text = `${JSON.stringify(header)}\n{"role":"user","content":"hi","timestamp":"2026-03-18T10:00:00.000Z","id":"1"}\n`;
    writeFileSync(join(sessions, `${uuid}.jsonl`), text);
    const ran = await cli(["clear", KEY, "--dir", dir]);
    expect(ran).toMatchObject({ code: 1, stdout: "" });
    expect(ran.stderr).toMatch(/^openclaw-sessions: UNSUPPORTED_VERSION: .*$/m);
    expect(readFileSync(join(sessions, `${uuid}.jsonl`), "utf8")).toBe(text);
    expect((await cli(["history", KEY, "--dir", dir])).stdout).toContain("  hi\n");
  });
});

test("G10 an unreadable index is set aside and made again, and that is said", async () => {
  const dir = tempDir();
  await storeWith(dir, [{ role: "user", content: "hi" }]);
  const index = join(dir, "agents/main/sessions/sessions.json");
  writeFileSync(index, "{ torn");
  const ran = await cli(["clear", KEY, "--dir", dir]);
  expect(ran.code).toBe(0);
  const aside = /was set aside as (\S+) and made again/.exec(ran.stderr)?.[1] ?? "";
  expect(readFileSync(aside, "utf8")).toBe("{ torn");
  expect(JSON.parse(readFileSync(index, "utf8"))).toMatchObject({ [KEY]: { messageCount: 0 } });
});

describe("beside a running host", () => {
  test("what was cleared is not in the host's next turn, and the host sees it itself", async () => {
    const dir = tempDir();
    const host = bot(dir);
    await host.hears("42", "my secret is ALPHA");
    await host.hears("42", "/model gpt-4o");
    expect((await cli(["clear", KEY, "--dir", dir])).code).toBe(0);

    const session = await host.manager.open({ channel: "telegram", chatType: "dm", peerId: "42" });
    expect(await session.status()).toMatchObject({ messageCount: 0, model: "gpt-4o" });
    expect(await all(session.history())).toEqual([]);
    expect((await session.context()).messages).toEqual([]);

    await host.hears("42", "what do you know?");
    const { messages, model } = host.provider.requests.at(-1) ?? {};
    expect(messages).toMatchObject([{ role: "user", content: "what do you know?" }]);
    expect(JSON.stringify(messages)).not.toContain("ALPHA");
    expect(model).toBe("gpt-4o");

    const seen = await cli(["history", KEY, "--dir", dir]);
    expect(seen.stdout).toContain("what do you know?");
    expect(seen.stdout).not.toContain("ALPHA");
    await host.close();
    expect((await cli(["history", KEY, "--dir", dir])).stdout).toBe(seen.stdout);
  });

  test("a reply under way while it is cleared is kept and stays out of the new conversation", async () => {
    const dir = tempDir();
    const asked = deferred();
    const answer = deferred<string>();
    const provider = scriptedProvider([
      () => {
        asked.resolve();
        return answer.promise;
      },
      "fresh",
    ]);
    const manager = new SessionManager({ dir, provider });
    const build = builders();
    const turn = manager.handle(build.dm("42", "question before"));
    await asked.promise;
    expect((await cli(["clear", KEY, "--dir", dir])).stdout).toBe(`cleared ${KEY} (1 message)\n`);
    answer.resolve("answer to what was before");
    expect(await turn).toMatchObject({ status: "replied" });
    await manager.handle(build.dm("42", "question after"));
    expect(JSON.stringify(provider.requests[1]?.messages)).not.toContain("before");
    await manager.close();
    const kept = await cli(["history", KEY, "--all", "--dir", dir]);
    expect(kept.stdout).toContain("  assistant  [cleared]\n  answer to what was before\n");
  });

  test("G4 clears and turns at the same time lose nothing that was said", async () => {
    const dir = tempDir();
    const host = bot(dir);
    await host.hears("42", "first");
    const [, ...codes] = await Promise.all([
      (async () => {
        for (let n = 0; n < 10; n += 1) await host.hears("42", `message ${n}`);
      })(),
      ...Array.from({ length: 5 }, async () => (await cli(["clear", KEY, "--dir", dir])).code),
    ]);
    expect(codes).toEqual([0, 0, 0, 0, 0]);
    await host.close();
    const everything = jsonOf(await cli(["history", KEY, "--all", "--json", "--dir", dir]));
    const said = ["first", ...Array.from({ length: 10 }, (_, n) => `message ${n}`)];
    expect(everything.filter(({ role }) => role === "user").map(({ content }) => content)).toEqual(said);
    expect(everything).toHaveLength(2 * said.length);
  });
});
