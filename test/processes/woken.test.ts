import { watch } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { builders } from "../../src/testing.js";
import { append, dm } from "../storage/sessions.js";
import { openJsonl, tempDir } from "../storage/storage-kinds.js";
import { type Child, children } from "./children.js";
import { type Acked, faultsOf, finalOf } from "./history.js";

const ROUNDS = 12;

const start = children();

/** Stops a process as soon as it has made the next transcript. */
function stopAtNextTranscript(files: string, child: Child): Promise<void> {
  return new Promise((resolve) => {
    const watching = watch(files, (_, name) => {
      if (!name?.endsWith(".jsonl")) return;
      child.signal("SIGSTOP");
      watching.close();
      resolve();
    });
    onTestFinished(() => watching.close());
  });
}

// With "always" the disk is waited for between the two, which is when it is stopped most of the time.
test("S5 S13 a process stopped between making a session and saying so finds on waking that another was first", async () => {
  const dir = tempDir();
  const b = builders();
  const { uuid: other } = await append(openJsonl(dir), dm("other"), b.user("x", { id: "other.0.1of1" }));
  const child = await start(dir, "always");
  const happened: Acked[] = [
    { kind: "update", key: dm("other"), uuid: other, ids: ["other.0.1of1"], start: 0, end: 1 },
  ];
  happened.push(...((await child.tell({ do: "append", key: dm("first"), writer: "first", count: 1 })) as Acked[]));
  for (let round = 0; round < ROUNDS; round += 1) {
    const key = dm(`round${round}`);
    const visitors = [openJsonl(dir), openJsonl(dir)];
    for (const visitor of visitors) await visitor.read(key);
    const stopped = stopAtNextTranscript(join(dir, "agents/main/sessions"), child);
    const told = child.tell({ do: "append", key, writer: `child${round}`, count: 1 });
    await stopped;
    // Each closes a generation of the journal and removes it: the one that the child knows, and the one that has the mark.
    for (const [visit, visitor] of visitors.entries()) {
      const written = visit === 0 ? dm("other") : key;
      const id = `visit${round}-${visit}.0.1of1`;
      const { uuid } = await append(visitor, written, b.user("x", { id }));
      happened.push({ kind: "update", key: written, uuid, ids: [id], start: 0, end: 1 });
      await visitor.close();
    }
    child.signal("SIGCONT");
    const acked = (await told) as Acked[];
    happened.push(...acked);
    expect(acked[0]?.uuid, `round ${round}`).toBe(happened.at(-2)?.uuid);
  }
  const { sessions, faults } = await finalOf(openJsonl(dir));
  expect([...faults, ...faultsOf(happened, sessions)]).toEqual([]);
});
