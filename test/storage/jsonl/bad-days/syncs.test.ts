import { existsSync, readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { builders } from "../../../../src/testing.js";
import { append, appending, collect, contents, dm, say } from "../../sessions.js";
import { openJsonl, tempDir } from "../../storage-kinds.js";
import { collectReports, fileNames, indexPath, readIndexFile } from "../store-files.js";
import { type Call, FailingDisk } from "./failing-disk.js";
import { expectTyped } from "./failures.js";

const alice = dm("alice");
const bob = dm("bob");

let disk: FailingDisk;
beforeEach(async () => {
  disk = await FailingDisk.install();
});
afterEach(() => disk.remove());

const isTranscript = ({ path }: Call) => /\/[0-9a-f-]{36}\.jsonl$/.test(path);

test("a failed fdatasync rejects the update, and the next one reads the file before it writes", async () => {
  const dir = tempDir();
  const first = openJsonl(dir);
  await say(first, alice, 2);
  await first.close();
  const storage = openJsonl(dir, { durability: "always" });
  const b = builders();
  disk.start(dir);
  disk.failNext((call) => call.kind === "handle datasync" && isTranscript(call), ["EIO"]);
  const error: unknown = await append(storage, alice, b.user("unsure", { id: "unsure" })).catch((cause) => cause);
  expectTyped(error);
  expect(error).toMatchObject({ code: "STORAGE", cause: { code: "EIO", syscall: "datasync" } });
  expect(disk.calls.filter(({ kind }) => kind === "handle datasync")).toHaveLength(1);
  disk.start(dir);
  const record = await append(storage, alice, b.user("after", { id: "after" }));
  const own = disk.calls.filter(isTranscript).map(({ kind }) => kind);
  expect(own.indexOf("handle read")).toBeGreaterThanOrEqual(0);
  expect(own.indexOf("handle read")).toBeLessThan(own.indexOf("writeSync"));
  expect(own.filter((kind) => kind === "handle datasync")).toHaveLength(1);
  // It was written; whether it is safe is what nobody knew.
  expect(record.messageCount).toBe(4);
  disk.stop();
  await storage.close();
  const found = contents(await collect(openJsonl(dir).entries(record.uuid)));
  expect(found).toEqual(["1", "2", "unsure", "after"]);
});

test("who sends again what a failed fdatasync left unsure, by its message id, has it once", async () => {
  const dir = tempDir();
  const first = openJsonl(dir);
  const { uuid } = await say(first, alice, 1);
  await first.close();
  const storage = openJsonl(dir, { durability: "always" });
  const seven = builders().user("seven", { messageId: "7", address: "telegram:default:dm:alice" });
  const sendOnce = () =>
    storage.update(alice, (current) =>
      current?.recentMessages.some((known) => JSON.stringify(known).includes('"7"'))
        ? undefined
        : appending(alice, [seven])(current),
    );
  disk.start(dir);
  disk.failNext((call) => call.kind === "handle datasync" && isTranscript(call), ["EIO"]);
  await expect(sendOnce()).rejects.toMatchObject({ code: "STORAGE" });
  disk.stop();
  await sendOnce();
  expect(contents(await collect(storage.entries(uuid)))).toEqual(["1", "seven"]);
});

test.each(["EPERM", "EBUSY", "EACCES"])(
  "G25 a rename refused three times (%s), as by a virus scanner, is tried again and the index is written",
  async (code) => {
    const dir = tempDir();
    const collected = collectReports();
    const storage = openJsonl(dir, collected);
    disk.start(dir);
    const isIndex = (call: Call) => call.kind === "rename" && call.to === indexPath(dir);
    disk.failNext(isIndex, [code, code, code]);
    await say(storage, alice, 1);
    await say(storage, bob, 1);
    await storage.close();
    expect(disk.failed).toBe(3);
    disk.stop();
    expect(collected.reports).toEqual([]);
    expect(Object.keys(readIndexFile(dir)).sort()).toEqual([alice, bob]);
  },
);

test.each([
  ["open, callback", "EMFILE"],
  ["open, callback", "EACCES"],
  ["write, callback", "ENOSPC"],
  ["write, callback", "SHORT"],
  ["fsync, callback", "EIO"],
  ["close, callback", "EIO"],
  ["rename, callback", "EACCES"],
  ["mkdir, callback", "EROFS"],
  ["utimes, callback", "EIO"],
  ["stat, callback", "EIO"],
])("G10 an index that cannot be written (%s, %s) is reported, and nothing else happens", async (kind, code) => {
  const dir = tempDir();
  const first = openJsonl(dir);
  await say(first, alice, 1);
  await first.close();
  const before = readFileSync(indexPath(dir), "utf8");
  const collected = collectReports();
  const storage = openJsonl(dir, collected);
  await storage.read(alice);
  disk.start(dir);
  disk.failNext(
    (call) => call.kind === kind,
    Array.from({ length: 100 }, () => code),
  );
  expect(await say(storage, alice, 2)).toMatchObject({ messageCount: 3 });
  await storage.close();
  const { failed } = disk;
  disk.stop();
  // proper-lockfile asks for the time only once in a process.
  if (failed === 0) expect(kind).toBe("utimes, callback");
  else expect(new Set(collected.reports.map((report) => report.kind))).toEqual(new Set(["index-not-written"]));
  if (failed > 0) expect(readFileSync(indexPath(dir), "utf8")).toBe(before);
  expect(fileNames(dir).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  expect(await openJsonl(dir).read(alice)).toMatchObject({ messageCount: 3 });
});

test("G10 what is left of an index that could not be put in place is removed when one can", async () => {
  const dir = tempDir();
  const storage = openJsonl(dir);
  disk.start(dir);
  disk.failNext((call) => call.kind === "rename" && call.to === indexPath(dir), ["EIO", "EIO"]);
  disk.failNext((call) => call.kind === "unlink" && call.path.endsWith(".tmp"), ["EIO", "EIO"]);
  await say(storage, alice, 1);
  await storage.close();
  disk.stop();
  expect(existsSync(indexPath(dir))).toBe(false);
  const next = openJsonl(dir);
  await say(next, alice, 1);
  await next.close();
  expect(readIndexFile(dir)).toMatchObject({ [alice]: { messageCount: 2 } });
});
