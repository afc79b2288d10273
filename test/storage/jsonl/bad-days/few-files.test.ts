import { expect, test } from "vitest";
import { tempDir } from "../../storage-kinds.js";
import { canRun, expectStored, loadInChild } from "./children.js";

const inChild = loadInChild();

const canLimit = canRun("bash", ["-c", "ulimit -n 64"]);
const limited = ["bash", "-c", 'ulimit -n 64 && exec "$0" "$@"'];

test.runIf(canLimit)(
  "a process that may open 64 files loses nothing of 200 sessions at once, and says what it lacks",
  async () => {
    const dir = tempDir();
    const outcome = await inChild({ dir, sessions: 200, messages: 3, openFiles: 4, durability: "always" }, limited);
    for (const refused of outcome.refused) expect(refused).toMatchObject({ cause: "EMFILE", typed: true });
    await expectStored(dir, outcome);
  },
  30_000,
);

// Each session that is being made or synced holds its file, and nobody waits for one of the others to be done.
test.runIf(canLimit).fails(
  "200 sessions at once are all acknowledged by a process that may open 64 files",
  async () => {
    const load = { dir: tempDir(), sessions: 200, messages: 3, openFiles: 4, durability: "always" } as const;
    expect((await inChild(load, limited)).refused).toEqual([]);
  },
  30_000,
);
