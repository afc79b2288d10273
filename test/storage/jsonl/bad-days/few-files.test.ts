import { expect, test } from "vitest";
import { tempDir } from "../../storage-kinds.js";
import { canRun, expectStored, loadInChild } from "./children.js";

const inChild = loadInChild();

const canLimit = canRun("bash", ["-c", "ulimit -n 64"]);
const limited = ["bash", "-c", 'ulimit -n 64 && exec "$0" "$@"'];

// Each session that is being made or synced holds its file, and the others wait for it to be let go of.
test.runIf(canLimit)("200 sessions at once are all acknowledged by a process that may open 64 files", async () => {
  const dir = tempDir();
  const outcome = await inChild({ dir, sessions: 200, messages: 3, openFiles: 4, durability: "always" }, limited);
  expect(outcome.refused).toEqual([]);
  await expectStored(dir, outcome);
});
