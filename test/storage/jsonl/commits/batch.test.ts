import type { FileHandle } from "node:fs/promises";
import { rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Durability } from "../../../../src/storage/jsonl/durability.js";
import { fileHandles, openFor, Session, tempDir, until } from "./sessions-on-disk.js";

async function setUp(durability: Durability, count = 3) {
  const dir = await tempDir();
  const sessions = await Session.beginMany(dir, count);
  const synced: number[] = [];
  const prototype = await fileHandles();
  const real = prototype.datasync;
  const spy = vi.spyOn(prototype, "datasync").mockImplementation(async function (this: FileHandle) {
    synced.push((await this.stat()).ino);
    return real.call(this);
  });
  onTestFinished(async () => {
    spy.mockRestore();
    await Promise.all(sessions.map(({ handle }) => handle.close()));
  });
  const inodes = await Promise.all(sessions.map(async ({ handle }) => (await handle.stat()).ino));
  return { dir, sessions, first: sessions[0] as Session, synced, inodes, ...openFor(dir, durability) };
}

async function breakFile(session: Session): Promise<void> {
  await rm(session.path);
  await symlink(`${session.path}-elsewhere`, session.path);
}

test("batch: nobody waits; what was written is synced a second after the first write, each transcript once", async () => {
  const { sessions, commits, timers, synced, inodes } = await setUp("batch");
  for (const line of ["a\n", "b\n"]) {
    for (const session of sessions) expect(commits.commit(session.write(line))).toBeUndefined();
  }
  expect(timers.delays).toEqual([1000]);
  expect(synced).toEqual([]);
  timers.goOff();
  await until(() => synced.length >= 3);
  expect(synced.sort()).toEqual(inodes.sort());
  await commits.close();
  expect(synced).toHaveLength(3);
});

test("batch: what is written while others are being synced is synced a second later", async () => {
  const { first, commits, timers, synced } = await setUp("batch");
  commits.commit(first.write("a\n"));
  timers.goOff();
  await until(() => synced.length === 1);
  commits.commit(first.write("b\n"));
  expect(timers.delays).toEqual([1000]);
  timers.goOff();
  await until(() => synced.length === 2);
});

test("batch: G5 a failed sync is reported, and the next commit of that session rejects, once", async () => {
  const { first, sessions, commits, timers, reports, synced } = await setUp("batch");
  for (const session of sessions) commits.commit(session.write("a\n"));
  await breakFile(first);
  timers.goOff();
  await until(() => synced.length === 2 && reports.length === 1);
  expect(reports).toEqual([{ kind: "sync-failed", error: expect.objectContaining({ code: "ELOOP" }) }]);
  await expect(commits.commit(first.write("b\n"))).rejects.toMatchObject({ code: "ELOOP" });
  expect(commits.commit(first.write("c\n"))).toBeUndefined();
  expect(commits.commit((sessions[1] as Session).write("b\n"))).toBeUndefined();
});

test("batch: close syncs what is left, without waiting for the second", async () => {
  const { sessions, commits, timers, synced, inodes } = await setUp("batch");
  for (const session of sessions) commits.commit(session.write("a\n"));
  await commits.close();
  expect(synced.sort()).toEqual(inodes.sort());
  expect(timers.delays).toEqual([]);
  await commits.close();
});

test("batch: close rejects when something could not be synced, after having synced the others", async () => {
  const { first, sessions, commits, synced } = await setUp("batch");
  for (const session of sessions) commits.commit(session.write("a\n"));
  await breakFile(first);
  await expect(commits.close()).rejects.toMatchObject({ code: "ELOOP" });
  expect(synced).toHaveLength(2);
});

test("batch: a transcript that was deleted meanwhile is no fault", async () => {
  const { dir, first, commits, reports } = await setUp("batch");
  commits.commit(first.write("a\n"));
  await rm(join(dir, `${first.uuid}.jsonl`));
  await commits.close();
  expect(reports).toEqual([]);
});

test("off: nobody waits and nothing is synced", async () => {
  const { first, commits, timers, synced } = await setUp("off");
  expect(commits.commit(first.write("a\n"))).toBeUndefined();
  await commits.close();
  expect(timers.delays).toEqual([]);
  expect(synced).toEqual([]);
});
