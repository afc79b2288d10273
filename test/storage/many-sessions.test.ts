import { describe, expect, test } from "vitest";
import { formatSessionKey, isSessionKey, type SessionKey } from "../../src/core.js";
import type { SessionStorage, TranscriptEntry } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { append, collect, contents, dm, freshRecord, say } from "./sessions.js";
import { storageKinds } from "./storage-kinds.js";

const alice = dm("alice");

async function everything(storage: SessionStorage, uuid: string): Promise<TranscriptEntry[]> {
  return collect(storage.entries(uuid));
}

describe.each(storageKinds)("$name", ({ place }) => {
  test("S10 keys that differ in case, in Unicode form or by a suffix are different sessions", async () => {
    const home = place();
    const storage = home.open();
    const keys = ["Alice", "alice", "caf\u00e9", "cafe\u0301", "ali", "alice ", "alice:1", "1", "\uFB01", "fi"].map(
      (id) => dm(id),
    );
    for (const key of keys) await append(storage, key, builders().user(`to ${key}`));
    for (const instance of [storage, home.open()]) {
      expect((await collect(instance.list())).map((record) => record.key).sort()).toEqual([...keys].sort());
      for (const key of keys) {
        const record = await instance.read(key);
        expect(record?.key).toBe(key);
        expect(contents(await everything(instance, record?.uuid ?? ""))).toEqual([`to ${key}`]);
      }
    }
  });

  test("S12 list yields each record once while sessions are changed, made and deleted", async () => {
    const storage = place().open();
    const keys = Array.from({ length: 30 }, (_, n) => dm(`p${n}`));
    for (const key of keys) await append(storage, key, builders().user("1"));
    const seen: SessionKey[] = [];
    let n = 0;
    for await (const { key } of storage.list()) {
      seen.push(key);
      n += 1;
      const changed = keys[n % 30] as SessionKey;
      await append(storage, changed, builders().user("2", { timestamp: new Date(Date.UTC(2027, 0, n)).toISOString() }));
      await append(storage, dm(`new${n}`), builders().user("1"));
      if (n <= 5) await storage.delete(dm(`p${20 + n}`));
    }
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(keys.slice(0, 20)));
  });

  test("S12 list gives the newest first, and what agentId, activeSince and limit ask for", async () => {
    const home = place();
    const storage = home.open();
    const at = (hour: number) => new Date(Date.UTC(2026, 2, 20, hour)).toISOString();
    for (const [peer, agentId, hour] of [
      ["a", "main", 1],
      ["b", "coder", 3],
      ["c", "main", 2],
      ["d", "coder", 2],
    ] as const)
      await append(storage, dm(peer, agentId), builders().user("x", { timestamp: at(hour) }));
    for (const instance of [storage, home.open()]) {
      const peers = async (query?: Parameters<SessionStorage["list"]>[0]) =>
        (await collect(instance.list(query))).map(({ key }) => key.slice(-1)).join("");
      expect(await peers()).toBe("bdca");
      expect(await peers({ agentId: "coder" })).toBe("bd");
      expect(await peers({ agentId: "nobody" })).toBe("");
      expect(await peers({ activeSince: Date.parse(at(2)) })).toBe("bdc");
      expect(await peers({ limit: 2 })).toBe("bd");
      expect(await peers({ limit: 0 })).toBe("");
      expect(await peers({ agentId: "main", limit: 1 })).toBe("c");
    }
  });

  test("S13 delete removes record and transcript; a later create starts empty with a new uuid", async () => {
    const home = place();
    const storage = home.open();
    expect(await storage.delete(alice)).toBe(false);
    const old = await say(storage, alice, 3);
    const other = await say(storage, dm("bob"), 1);
    expect(await storage.delete(alice)).toBe(true);
    expect(await storage.delete(alice)).toBe(false);
    expect(await storage.read(alice)).toBeUndefined();
    expect(await everything(storage, old.uuid)).toEqual([]);
    expect(await collect(storage.list())).toEqual([other]);
    const record = await append(storage, alice, builders().user("again"));
    expect(record.uuid).not.toBe(old.uuid);
    expect(record.messageCount).toBe(1);
    for (const instance of [storage, home.open()]) {
      expect(contents(await everything(instance, record.uuid))).toEqual(["again"]);
      expect(await everything(instance, old.uuid)).toEqual([]);
    }
  });

  test("S16 a delete that races updates leaves a whole session or none", async () => {
    const storage = place().open();
    const left = { whole: 0, none: 0 };
    for (let round = 0; round < 25; round += 1) {
      const key = dm(`round${round}`);
      const b = builders();
      const first = await append(storage, key, b.user("1"), b.assistant("2"));
      const racing = [
        () => append(storage, key, b.user("3"), b.assistant("4")),
        () => storage.delete(key),
        () => append(storage, key, b.user("5"), b.assistant("6")),
        () => collect(storage.entries(first.uuid)).then((entries) => expect(entries.length % 2).toBe(0)),
        () => storage.delete(key),
      ];
      const turned = [...racing.slice(round % racing.length), ...racing.slice(0, round % racing.length)];
      await Promise.all(turned.map((run) => run()));
      const record = await storage.read(key);
      if (record === undefined) {
        left.none += 1;
        expect(await everything(storage, first.uuid)).toEqual([]);
      } else {
        left.whole += 1;
        expect(await everything(storage, record.uuid)).toHaveLength(record.messageCount);
        expect(record.uuid === first.uuid).toBe(false);
      }
    }
    expect(left.none).toBeGreaterThan(0);
    expect(left.whole).toBeGreaterThan(0);
  });

  test("S17 hostile peer ids are ordinary", async () => {
    const home = place();
    const ids = [
      "__proto__",
      "constructor",
      "toString",
      "..",
      "/",
      "../../x",
      "/etc/passwd",
      "CON",
      "NUL",
      "\\",
      ".",
      "~",
    ];
    for (const [n, id] of ids.entries()) await say(home.open(), dm(id), n + 1);
    const storage = home.open();
    expect(await collect(storage.list())).toHaveLength(ids.length);
    for (const [n, id] of ids.entries()) {
      expect(isSessionKey(dm(id))).toBe(true);
      expect((await storage.read(dm(id)))?.messageCount).toBe(n + 1);
      expect(await storage.delete(dm(id))).toBe(true);
    }
    expect(await collect(home.open().list())).toEqual([]);
  });

  test("a new session cannot take the uuid of a session in which nobody has spoken", async () => {
    const storage = place().open();
    const silent = freshRecord(alice);
    await storage.update(alice, () => ({ record: silent }));
    const thief = freshRecord(dm("eve"), silent.uuid);
    await expect(storage.update(dm("eve"), () => ({ record: thief }))).rejects.toMatchObject({ code: "STORAGE" });
    expect(await storage.read(alice)).toEqual(silent);
  });

  test("sessions of several agents and of every form of key live beside each other", async () => {
    const home = place();
    const keys = [
      formatSessionKey({ kind: "main", agentId: "main", mainKey: "main" }),
      formatSessionKey({ kind: "main", agentId: "coder", mainKey: "main" }),
      formatSessionKey({ kind: "dm", agentId: "main", peerId: "alice" }),
      formatSessionKey({ kind: "dm", agentId: "main", channel: "telegram", accountId: "work", peerId: "42" }),
      formatSessionKey({ kind: "group", agentId: "main", channel: "telegram", groupId: "-100", topicId: "42" }),
      formatSessionKey({ kind: "group", agentId: "main", channel: "telegram", groupId: "-100" }),
      formatSessionKey({ kind: "subagent", agentId: "main", subagentId: "a1b2c3d4" }),
    ];
    const storage = home.open();
    for (const [n, key] of keys.entries()) await say(storage, key, n + 1);
    for (const [n, key] of keys.entries()) expect((await home.open().read(key))?.messageCount).toBe(n + 1);
  });
});
