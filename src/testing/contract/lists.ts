import type { SessionKey } from "../../core/key.js";
import type { ListQuery, SessionStorage } from "../../storage/storage.js";
import { builders } from "../builders.js";
import { same } from "./assertions.js";
import type { Check } from "./check.js";
import { append, collect, dm, say } from "./sessions.js";

const MANY = 110;

const at = (hour: number) => new Date(Date.UTC(2026, 2, 20, hour)).toISOString();

async function manySessions(storage: SessionStorage): Promise<SessionKey[]> {
  const keys = Array.from({ length: MANY }, (_, n) => dm(`p${n}`));
  await Promise.all(keys.map((key) => say(storage, key, "1")));
  return keys;
}

/** Fails unless nothing was listed twice, and what nobody touched was listed. */
function assertEachOnce(seen: readonly SessionKey[], untouched: readonly SessionKey[]): void {
  const twice = seen.filter((key, n) => seen.indexOf(key) !== n);
  same(twice, [], "no session is listed twice");
  const missing = untouched.filter((key) => !seen.includes(key));
  same(missing, [], "no session that was there all the time is missing");
}

/** S12: a list has each session once, whatever happens meanwhile. */
export const listChecks: readonly Check[] = [
  {
    clause: "S12",
    name: "list yields each record once, as it is read",
    async run(trial) {
      const storage = await trial.open();
      same(await collect(storage.list()), [], "an empty storage lists nothing");
      const keys = await manySessions(storage);
      for (const instance of [storage, await trial.open()]) {
        const records = await collect(instance.list());
        same(records.map(({ key }) => key).sort(), [...keys].sort(), "each session is listed once");
        same(records[7], await instance.read(records[7]?.key as SessionKey), "list gives what read gives");
      }
    },
  },
  {
    clause: "S12",
    name: "list yields each record once while its reader changes, makes and deletes sessions",
    async run(trial) {
      const storage = await trial.open();
      const keys = await manySessions(storage);
      const seen: SessionKey[] = [];
      for await (const { key } of storage.list()) {
        seen.push(key);
        const n = seen.length;
        if (n % 4 !== 0) continue;
        // A change moves a session to the top of the list: one that was listed, and one that is still to come.
        const timestamp = new Date(Date.UTC(2027, 0, n)).toISOString();
        for (const changed of [seen[n - 2], keys[n]])
          if (changed !== undefined) await append(storage, changed, [builders().user("2", { timestamp })]);
        await say(storage, dm(`new${n}`), "1");
        if (n <= 20) await storage.delete(dm(`p${MANY - n / 4}`));
      }
      assertEachOnce(seen, keys.slice(0, MANY - 5));
    },
  },
  {
    clause: "S12",
    name: "list yields each record once while updates run beside it",
    async run(trial) {
      const storage = await trial.open();
      const keys = await manySessions(storage);
      const timestamp = at(23);
      const updates = Promise.all(
        keys.map((key, n) => (n % 2 ? append(storage, key, [builders().user("2", { timestamp })]) : storage.read(key))),
      );
      const lists = await Promise.all([collect(storage.list()), collect(storage.list()), updates]);
      for (const list of lists.slice(0, 2))
        assertEachOnce(
          list.flatMap((record) => record?.key ?? []),
          keys,
        );
    },
  },
  {
    clause: "S12",
    name: "list gives the newest first, and what agentId, activeSince and limit ask for",
    async run(trial) {
      const storage = await trial.open();
      const sessions = [
        ["a", "main", 1],
        ["b", "coder", 4],
        ["c", "main", 3],
        ["d", "coder", 2],
      ] as const;
      for (const [peer, agentId, hour] of sessions)
        await append(storage, dm(peer, agentId), [builders().user("x", { timestamp: at(hour) })]);
      for (const instance of [storage, await trial.open()]) {
        const expect = async (query: ListQuery | undefined, expected: string) => {
          const peers = (await collect(instance.list(query))).map(({ key }) => key.slice(-1)).join("");
          same(peers, expected, `the list of ${JSON.stringify(query)} is what was asked for`);
        };
        await expect(undefined, "bcda");
        await expect({}, "bcda");
        await expect({ agentId: "coder" }, "bd");
        await expect({ agentId: "main" }, "ca");
        await expect({ agentId: "code" }, "");
        await expect({ activeSince: Date.parse(at(2)) }, "bcd");
        await expect({ activeSince: Date.parse(at(2)) + 1 }, "bc");
        await expect({ activeSince: 0 }, "bcda");
        await expect({ limit: 2 }, "bc");
        await expect({ limit: 0 }, "");
        await expect({ limit: Number.POSITIVE_INFINITY }, "bcda");
        await expect({ agentId: "main", limit: 1 }, "c");
        await expect({ agentId: "coder", activeSince: Date.parse(at(3)), limit: 9 }, "b");
      }
      await append(storage, dm("a"), [builders().user("y", { timestamp: at(9) })]);
      same((await collect(storage.list({ limit: 1 })))[0]?.key, dm("a"), "who speaks comes first");
    },
  },
];
