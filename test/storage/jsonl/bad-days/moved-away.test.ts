import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { JsonlStorage } from "../../../../src/index.js";
import { builders } from "../../../../src/testing.js";
import { append, collect, contents, dm, say } from "../../sessions.js";
import { openJsonl, tempDir } from "../../storage-kinds.js";
import { pathsBelow } from "../store-files.js";
import { openBelow } from "./bad-day.js";

const alice = dm("alice");

test("a store that is deleted under a running host is begun anew, and nothing of it stays open", async () => {
  const dir = join(tempDir(), "store");
  const storage = openJsonl(dir, { durability: "always" });
  await say(storage, alice, 3);
  const claim = await storage.claim(alice);
  rmSync(dir, { recursive: true });
  await expect(append(storage, alice, builders().user("under the claim"))).resolves.toMatchObject({ messageCount: 1 });
  const lost: unknown = await storage
    .update(alice, (current) => current && { record: current, append: [builders().user("x")] }, { claim })
    .catch((error: unknown) => error);
  expect(lost).toMatchObject({ code: "CLAIM_LOST" });
  expect(claim.signal.aborted).toBe(true);
  await claim.release();
  expect(await say(storage, dm("bob"), 2)).toMatchObject({ messageCount: 2 });
  await storage.close();
  expect(openBelow(dir)).toEqual([]);
  const found = await collect(openJsonl(dir).list());
  expect(found.map(({ key, messageCount }) => [key, messageCount]).sort()).toEqual([
    [alice, 1],
    [dm("bob"), 2],
  ]);
});

test("a store that is moved under a running host gets no more messages there, and the one in its place has them", async () => {
  const home = tempDir();
  const dir = join(home, "store");
  const storage = openJsonl(dir);
  const record = await say(storage, alice, 3);
  renameSync(dir, join(home, "moved"));
  // So long an open transcript is taken to be in its place.
  const began = performance.now();
  while (performance.now() - began < 1_100) await new Promise((resolve) => setTimeout(resolve, 100));
  await append(storage, alice, builders().user("after"));
  await storage.close();
  const moved = openJsonl(join(home, "moved"));
  expect(contents(await collect(moved.entries(record.uuid)))).toEqual(["1", "2", "3"]);
  const present = await collect(openJsonl(dir).list());
  expect(present.map(({ key, messageCount }) => [key, messageCount])).toEqual([[alice, 1]]);
});

test("G3 no two names that a store makes differ only in case, whatever the keys are", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir, { durability: "always" });
  const peers = ["alice", "Alice", "ALICE", "straße", "STRASSE", "ı", "I", "i", "é", "e\u0301"];
  const claims = await Promise.all(peers.map((peer) => storage.claim(dm(peer))));
  await Promise.all(peers.map((peer) => append(storage, dm(peer), builders().user(peer))));
  expect(namesAlike(dir)).toEqual([]);
  for (const claim of claims) await claim.release();
  await storage.close();
  const names = pathsBelow(dir);
  expect(namesAlike(dir)).toEqual([]);
  expect(names.filter((name) => name.endsWith(".jsonl")).length).toBeGreaterThanOrEqual(peers.length);
  const again = openJsonl(dir);
  for (const peer of peers) {
    const { uuid } = (await again.read(dm(peer))) ?? { uuid: "" };
    expect(contents(await collect(again.entries(uuid)))).toEqual([peer]);
  }
});

test("G3 an agent is named in lower case only, so that two of them never share a directory", async () => {
  const storage = new JsonlStorage({ dir: tempDir() });
  for (const agentId of ["Main", "MAIN"]) {
    expect(() => dm("alice", agentId)).toThrow();
    await expect(storage.read(`agent:${agentId}:telegram:dm:alice` as typeof alice)).rejects.toMatchObject({
      code: "INVALID_SESSION_KEY",
    });
  }
  await storage.close();
});

function namesAlike(dir: string): string[][] {
  if (!existsSync(dir)) return [];
  const folded = new Map<string, string[]>();
  for (const path of readdirSync(dir, { recursive: true, encoding: "utf8" })) {
    const name = path.normalize("NFC").toUpperCase().toLowerCase();
    folded.set(name, [...(folded.get(name) ?? []), path]);
  }
  return [...folded.values()].filter(({ length }) => length > 1);
}
