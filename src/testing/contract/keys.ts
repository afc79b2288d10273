import { formatSessionKey, type SessionKey } from "../../core/key.js";
import { same } from "./assertions.js";
import type { Check } from "./check.js";
import { collect, contents, dm, everything, present, say } from "./sessions.js";
import type { Trial } from "./trial.js";

/** Makes a session of each key, and looks at each alone: by read, list, entries, claim and delete. */
async function areDistinct(trial: Trial, keys: readonly SessionKey[]): Promise<void> {
  const storage = await trial.open();
  for (const key of keys) await say(storage, key, `to ${key}`);
  for (const instance of [storage, await trial.open()]) {
    same((await collect(instance.list())).map(({ key }) => key).sort(), [...keys].sort(), "each is listed once");
    for (const key of keys) {
      const record = present(await instance.read(key), `a record of ${key}`);
      same(record.key, key, "read gives the session asked for");
      same(contents(await everything(instance, record.uuid)), [`to ${key}`], `${key} has only what was said to it`);
    }
  }
  const claims = await Promise.all(keys.map((key) => trial.granted(storage.claim(key))));
  for (const claim of claims) await claim.release();
  for (const [n, key] of keys.entries()) {
    same(await storage.delete(key), true, `${key} is deleted`);
    same((await collect(storage.list())).length, keys.length - n - 1, `the delete of ${key} took one session`);
  }
}

/** S10 and S17: a key is compared by code unit and is nothing but a name. */
export const keyChecks: readonly Check[] = [
  {
    clause: "S10",
    name: "keys that differ in case, in Unicode form, by a suffix or by space are different sessions",
    run: (trial) =>
      areDistinct(
        trial,
        [
          "Alice",
          "alice",
          "caf\u00e9",
          "cafe\u0301",
          "\uFB01",
          "fi",
          "ali",
          "alice ",
          " alice",
          "alice:1",
          "1",
          "01",
        ].map((id) => dm(id)),
      ),
  },
  {
    clause: "S10",
    name: "sessions of several agents and of every form of key live beside each other",
    run: (trial) =>
      areDistinct(trial, [
        formatSessionKey({ kind: "main", agentId: "main", mainKey: "main" }),
        formatSessionKey({ kind: "main", agentId: "coder", mainKey: "main" }),
        formatSessionKey({ kind: "dm", agentId: "main", peerId: "alice" }),
        formatSessionKey({ kind: "dm", agentId: "main", channel: "telegram", peerId: "42" }),
        formatSessionKey({ kind: "dm", agentId: "main", channel: "telegram", accountId: "work", peerId: "42" }),
        formatSessionKey({ kind: "group", agentId: "main", channel: "telegram", groupId: "-100" }),
        formatSessionKey({ kind: "group", agentId: "main", channel: "telegram", groupId: "-100", topicId: "42" }),
        formatSessionKey({ kind: "subagent", agentId: "main", subagentId: "a1b2c3d4" }),
      ]),
  },
  {
    clause: "S17",
    name: "names of objects, of directories and of devices are ordinary peer ids",
    run: (trial) =>
      areDistinct(
        trial,
        ["__proto__", "constructor", "toString", "hasOwnProperty", "..", ".", "/", "../../x", "/etc/passwd"]
          .concat(["CON", "NUL", "nul.txt", "\\", "C:\\x", "~"])
          .map((id) => dm(id)),
      ),
  },
  {
    clause: "S17",
    name: "quotes, wildcards, percent signs, controls, emoji and ids as long as a key allows are ordinary peer ids",
    run: (trial) =>
      areDistinct(
        trial,
        ["'; DROP TABLE x; --", '"', "*", "%", "%25", "_", "?", "$1", "a\nb", "\0", "👩‍👩‍👧", "undefined", "null"]
          .concat(["x".repeat(900), `${"x".repeat(899)}y`])
          .map((id) => dm(id)),
      ),
  },
];
