import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { builders } from "../builders.js";
import { assertWhole, same } from "./assertions.js";
import type { Check } from "./check.js";
import { alice, append, collect, contents, countOf, dm, everything, present, say } from "./sessions.js";
import type { StorageProcess } from "./storage-process.js";
import { heldBack, within } from "./within.js";

const PROCESSES = 4;
const EACH = 25;
const BUSY = 1300;

/** Sees to it that of several processes one holds Alice's claim at a time. */
class OneProcess {
  #held = 0;
  readonly #children: readonly StorageProcess[];

  constructor(children: readonly StorageProcess[]) {
    this.#children = children;
  }

  async turn(child: StorageProcess, patience: number): Promise<void> {
    await within(child.askPatiently({ do: "claim", peer: "alice" }), "storage.claim in another process", patience);
    this.#held += 1;
    this.#assertAlone();
    // Whoever was granted the claim beside this one says so before it answers.
    await Promise.all(this.#children.map((other) => other.ask({ do: "ping" })));
    this.#assertAlone();
    await child.ask({ do: "say-with-claim", peer: "alice", text: "mine" });
    this.#held -= 1;
    await child.ask({ do: "release", peer: "alice" });
  }

  #assertAlone(): void {
    assert.equal(this.#held, 1, "one process holds the claim at a time");
  }
}

/** What several processes on one place promise each other: S4, S5, S9, S13, S16, S18, S19 and S20. */
export const processChecks: readonly Check[] = [
  {
    clause: "S4",
    name: "an update that SIGKILL cut off is there whole or not at all",
    needs: "processes",
    async run(trial) {
      const storage = await trial.open();
      for (const [n, child] of (await trial.processes(3)).entries()) {
        const peer = `p${n}`;
        void child.askPatiently({ do: "pour", peer });
        await child.progressed(3 + n);
        await child.kill();
        const record = present(await storage.read(dm(peer)), "a record");
        same((await everything(storage, record.uuid)).length % 2, 0, "both entries of each update are there, or none");
        await assertWhole(storage, dm(peer));
        same((await say(storage, dm(peer), "on")).messageCount, record.messageCount + 1, "the next update works");
        await assertWhole(storage, dm(peer));
      }
    },
  },
  {
    clause: "S5",
    name: "concurrent increments from four processes add up",
    needs: "processes",
    async run(trial) {
      const children = await trial.processes(PROCESSES);
      await Promise.all(children.map((child) => child.ask({ do: "increment", peer: "alice", times: EACH })));
      same(countOf(await (await trial.open()).read(alice)), PROCESSES * EACH, "every increment counts");
      for (const child of children)
        same(await child.ask({ do: "count", peer: "alice" }), PROCESSES * EACH, "every process sees all of them");
    },
  },
  {
    clause: "S5",
    name: "concurrent appends from four processes all arrive whole, each process's in its order",
    needs: "processes",
    async run(trial) {
      const children = await trial.processes(PROCESSES);
      const texts = (child: number) => Array.from({ length: EACH }, (_, n) => `${child}-${n}`);
      await Promise.all(children.map((child, n) => child.ask({ do: "say", peer: "alice", texts: texts(n) })));
      const storage = await trial.open();
      await assertWhole(storage);
      const { uuid } = present(await storage.read(alice), "a record");
      const told = contents(await everything(storage, uuid)).map(String);
      same(told.length, PROCESSES * EACH, "every message is there once");
      for (const [n] of children.entries())
        same(
          told.filter((text) => text.startsWith(`${n}-`)),
          texts(n),
          "the messages of one process are in order",
        );
    },
  },
  {
    clause: "S9",
    name: "an acknowledged update survives SIGKILL",
    needs: "processes",
    async run(trial) {
      const child = await trial.process();
      void child.askPatiently({ do: "pour", peer: "alice" });
      await child.progressed(8);
      await child.kill();
      const acknowledged = child.progress;
      const storage = await trial.open();
      const record = present(await storage.read(alice), "a record");
      const told = contents(await everything(storage, record.uuid));
      const expected = Array.from({ length: told.length }, (_, n) => `${Math.floor(n / 2)}`);
      same(told, expected, "every message is there once, in order");
      assert.ok(told.length >= acknowledged * 2, `all ${acknowledged} acknowledged updates are there`);
      same(await collect(storage.list()), [record], "the session is listed");
    },
  },
  {
    clause: "S9",
    name: "what one process has acknowledged another sees, also one that had read before",
    needs: "processes",
    async run(trial) {
      const storage = await trial.open();
      const child = await trial.process();
      await say(storage, alice, "1");
      same(await child.ask({ do: "contents", peer: "alice" }), ["1"], "a process sees what another wrote");
      same(await child.ask({ do: "say", peer: "alice", texts: ["2"] }), 2, "its update begins with that");
      same((await storage.read(alice))?.messageCount, 2, "and is seen in turn");
      await child.ask({ do: "say", peer: "bob", texts: ["1", "2"] });
      same((await storage.read(dm("bob")))?.messageCount, 2, "a session another process made is there");
      same(await storage.delete(alice), true, "there is something to delete");
      same(await child.ask({ do: "contents", peer: "alice" }), null, "a delete is seen");
    },
  },
  {
    clause: "S16",
    name: "a delete in one process that races updates of another leaves a whole session or none",
    needs: "processes",
    async run(trial) {
      const storage = await trial.open();
      const child = await trial.process();
      for (let round = 0; round < 8; round += 1) {
        const { uuid } = await say(storage, alice, "1", "2");
        await Promise.all([
          storage.delete(alice),
          child.ask({ do: "say", peer: "alice", texts: ["3", "4"] }),
          say(storage, alice, "5"),
        ]);
        const record = await storage.read(alice);
        if (record !== undefined) await assertWhole(storage);
        if (record?.uuid !== uuid) same(await everything(storage, uuid), [], "of a deleted session nothing is left");
        const seen = await child.ask({ do: "contents", peer: "alice" });
        same(Array.isArray(seen) ? seen.length : 0, record?.messageCount ?? 0, "both processes see the same");
        await storage.delete(alice);
      }
    },
  },
  {
    clause: "S18",
    name: "one claim per key at a time across processes",
    needs: "processes",
    async run(trial) {
      const children = await trial.processes(PROCESSES);
      const holder = new OneProcess(children);
      const turns = children.map(async (child) => {
        for (let turn = 0; turn < 3; turn += 1) await holder.turn(child, trial.timeout);
      });
      await Promise.all(turns);
    },
  },
  {
    clause: "S19",
    name: "the claim of a process that was killed is free within a second, or within the lease",
    needs: "processes",
    async run(trial) {
      const storage = await trial.open();
      const child = await trial.process();
      await say(storage, alice, "1");
      await child.ask({ do: "claim", peer: "alice" });
      const next = storage.claim(alice);
      assert.ok(await trial.stillOpen(next, storage, alice), "the claim is held");
      await child.kill();
      const since = performance.now();
      const claim = await within(next, "storage.claim after its holder was killed", trial.lease + trial.timeout);
      const waited = Math.round(performance.now() - since);
      assert.ok(waited <= trial.lease, `a dead claim is free within ${trial.lease} ms; it took ${waited} ms`);
      await append(storage, alice, [builders().user("2")], { claim });
      await claim.release();
    },
  },
  {
    clause: "S19",
    name: "the claim of a process that was killed goes to one of those who wait, in whatever process, then to the next",
    needs: "processes",
    async run(trial) {
      const [dying, ...waiting] = await trial.processes(PROCESSES);
      await dying?.ask({ do: "claim", peer: "alice" });
      const holder = new OneProcess(waiting);
      const turns = waiting.map((child) => heldBack(holder.turn(child, trial.lease + trial.timeout)));
      await dying?.kill();
      await Promise.all(turns);
    },
  },
  {
    clause: "S19",
    name: "the claim of a live process is not taken, however busy its event loop",
    needs: "processes",
    async run(trial) {
      const storage = await trial.open();
      const child = await trial.process();
      await say(storage, alice, "1");
      await child.ask({ do: "claim", peer: "alice" });
      const next = storage.claim(alice);
      await child.ask({ do: "be-busy", milliseconds: BUSY });
      assert.ok(await trial.stillOpen(next, storage, alice), "the claim is still held");
      same(await child.ask({ do: "say-with-claim", peer: "alice", text: "2" }), 2, "its holder can still write");
      await child.ask({ do: "release", peer: "alice" });
      await (await trial.granted(next)).release();
    },
  },
  {
    clause: "S20",
    name: "a claim in one process blocks nothing but claims in another",
    needs: "processes",
    async run(trial) {
      const storage = await trial.open();
      const child = await trial.process();
      const { uuid } = await say(storage, alice, "1");
      await child.ask({ do: "claim", peer: "alice" });
      same((await say(storage, alice, "2")).messageCount, 2, "another process updates");
      same(contents(await everything(storage, uuid)), ["1", "2"], "and reads");
      same(await child.ask({ do: "say-with-claim", peer: "alice", text: "3" }), 3, "the holder updates");
      same(await storage.delete(alice), true, "another process deletes");
      await child.ask({ do: "release", peer: "alice" });
    },
  },
];
