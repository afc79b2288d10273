import { expect, test } from "vitest";
import { dm, say } from "../../sessions.js";
import { openJsonl, tempDir } from "../../storage-kinds.js";
import { indexPath, readIndexFile, transcriptPath } from "../store-files.js";
import { canRun, expectStored, loadInChild } from "./children.js";

const inChild = loadInChild();
const strace = ["strace", "-f", "-qq", "-o", "/dev/null"];
const canInject = canRun("strace", [...strace.slice(1), "-e", "inject=fsync:error=EIO:when=1", "true"]);

/** A store with the session that the child goes on with. */
async function store() {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const { uuid } = await say(storage, dm("p0"), 1);
  await storage.close();
  return { dir, transcript: transcriptPath(dir, uuid) };
}

test.runIf(canInject).each([
  ["write", "EIO", "2"],
  ["write", "ENOSPC", "1..2"],
  ["fdatasync", "EIO", "2"],
])(
  "the kernel fails %s of a transcript with %s (%s): the update rejects, and the others are kept once and in order",
  async (syscall, code, when) => {
    const { dir, transcript } = await store();
    const by = [...strace, "-P", transcript, "-e", `inject=${syscall}:error=${code}:when=${when}`];
    const outcome = await inChild({ dir, sessions: 1, messages: 6, durability: "always" }, by);
    expect(outcome.refused.length).toBe(when === "2" ? 1 : 2);
    for (const refused of outcome.refused) expect(refused).toMatchObject({ code: "STORAGE", cause: code, typed: true });
    await expectStored(dir, outcome);
  },
  30_000,
);

test.runIf(canInject)(
  "G25 the kernel refuses to rename the index with EACCES three times: it is written, and nobody hears of it",
  async () => {
    const { dir } = await store();
    const by = [...strace, "-P", indexPath(dir), "-e", "inject=rename:error=EACCES:when=1..3"];
    const outcome = await inChild({ dir, sessions: 3, messages: 2, durability: "off" }, by);
    expect(outcome).toMatchObject({ refused: [], reports: [] });
    await expectStored(dir, outcome);
    expect(Object.keys(readIndexFile(dir))).toHaveLength(3);
  },
  30_000,
);
