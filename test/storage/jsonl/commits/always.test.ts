import { readFileSync, statSync } from "node:fs";
import { rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { fileHandles, gate, logsIn, openFor, Session, tempDir, until, watchLogSyncs } from "./sessions-on-disk.js";

const EIO = Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO", syscall: "fdatasync" });

async function setUp(count: number) {
  const dir = await tempDir();
  const sessions = await Session.beginMany(dir, count);
  const opened = openFor(dir, "always");
  onTestFinished(async () => {
    // Some tests leave what cannot be synced.
    await Promise.allSettled([opened.commits.close()]);
    await Promise.all(sessions.map(({ handle }) => handle.close()));
  });
  return { dir, sessions, first: sessions[0] as Session, ...opened };
}

describe("a few sessions", () => {
  test("a single commit is synced in its transcript, begun before `commit` returns, without a log or a timer", async () => {
    const { dir, first, commits, timers } = await setUp(1);
    const done = commits.commit(first.write("a\n"));
    expect(first.syncs).toBe(1);
    await done;
    expect(await logsIn(dir)).toEqual([]);
    expect(timers.delays).toEqual([]);
  });

  test("three sessions at once are each synced in place, side by side", async () => {
    const { dir, sessions, commits } = await setUp(3);
    const gates = sessions.map(() => gate());
    for (const [index, session] of sessions.entries())
      session.sync = () => (gates[index] as { promise: Promise<void> }).promise;
    const done = sessions.map((session) => commits.commit(session.write("a\n")));
    await until(() => sessions.every(({ syncs }) => syncs === 1));
    for (const each of gates) each.open();
    await Promise.all(done);
    expect(await logsIn(dir)).toEqual([]);
  });

  test("updates of one session that wait together share one sync, which begins after the last was written", async () => {
    const { first, commits } = await setUp(1);
    const inFlight = gate();
    const sizes: number[] = [];
    first.sync = () => {
      sizes.push(first.size);
      return inFlight.promise;
    };
    const done = [commits.commit(first.write("a\n"))];
    for (const line of ["b\n", "c\n", "d\n"]) done.push(commits.commit(first.write(line)));
    let later = false;
    void done[1]?.then(() => {
      later = true;
    });
    inFlight.open();
    await done[0];
    expect(later).toBe(false);
    await Promise.all(done);
    expect(sizes).toEqual([2, 8]);
  });

  test("a transcript is pinned until its commit is over, whether it succeeds or fails", async () => {
    const { first, commits } = await setUp(1);
    const done = commits.commit(first.write("a\n"));
    expect(first.pins).toBe(1);
    await done;
    expect(first.pins).toBe(0);
    first.sync = () => Promise.reject(EIO);
    await expect(commits.commit(first.write("b\n"))).rejects.toBe(EIO);
    expect(first.pins).toBe(0);
  });

  test("G5 a sync that fails rejects the commits of that session and of no other", async () => {
    const { sessions, first, commits } = await setUp(3);
    first.sync = () => Promise.reject(EIO);
    const done = sessions.map((session) => commits.commit(session.write("a\n")));
    const results = await Promise.allSettled(done);
    expect(results.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled"]);
    expect(results[0]).toMatchObject({ reason: EIO });
  });

  test("G5 what was written before a failed sync was known is not called safe by a later one", async () => {
    const { first, commits } = await setUp(1);
    const inFlight = gate();
    first.sync = () => inFlight.promise;
    const done = [commits.commit(first.write("a\n")), commits.commit(first.write("b\n"))];
    inFlight.fail(EIO);
    const results = await Promise.allSettled(done);
    expect(results).toEqual([
      { status: "rejected", reason: EIO },
      { status: "rejected", reason: EIO },
    ]);
    expect(first.syncs).toBe(1);
    first.sync = () => Promise.resolve();
    await commits.commit(first.write("c\n"));
  });
});

describe("many sessions", () => {
  test("G8 fifty that wait together are made safe by one sync of one log", async () => {
    const { dir, sessions, commits } = await setUp(50);
    const logSyncs = await watchLogSyncs(sessions);
    await Promise.all(sessions.map((session) => commits.commit(session.write(`from ${session.uuid}\n`))));
    expect(logSyncs.count).toBe(1);
    expect(sessions.reduce((sum, { syncs }) => sum + syncs, 0)).toBeLessThanOrEqual(3);
    expect(await logsIn(dir)).toEqual(["commits-t-1.log"]);
    const log = readFileSync(join(dir, "commits-t-1.log"), "utf8");
    expect(JSON.parse(log.slice(0, log.indexOf("\n")))).toEqual({ owner: { name: "t" } });
    for (const { uuid, syncs } of sessions) if (syncs === 0) expect(log).toContain(`from ${uuid}\n`);
    if (process.platform !== "win32") expect(statSync(join(dir, "commits-t-1.log")).mode & 0o777).toBe(0o600);
  });

  test.skipIf(process.platform === "win32")(
    "the directory is synced when a log is made, and not for each batch",
    async () => {
      const { sessions, commits } = await setUp(10);
      const sync = vi.spyOn(await fileHandles(), "sync");
      onTestFinished(() => sync.mockRestore());
      for (const line of ["a\n", "b\n", "c\n"]) {
        await Promise.all(sessions.map((session) => commits.commit(session.write(line))));
      }
      expect(sync).toHaveBeenCalledTimes(1);
    },
  );

  test("what arrives while a batch is under way makes the next one", async () => {
    const { sessions, commits } = await setUp(20);
    const logSyncs = await watchLogSyncs(sessions);
    await Promise.all(sessions.map((session) => commits.commit(session.write("a\n"))));
    const before = logSyncs.count;
    const inPlace = sessions.reduce((sum, { syncs }) => sum + syncs, 0);
    await Promise.all(
      sessions.map(async (session) => {
        for (let n = 0; n < 10; n += 1) await commits.commit(session.write(`${n}\n`));
      }),
    );
    expect(logSyncs.count - before).toBeLessThanOrEqual(12);
    expect(sessions.reduce((sum, { syncs }) => sum + syncs, 0) - inPlace).toBeLessThanOrEqual(6);
    expect(sessions.every(({ pins }) => pins === 0)).toBe(true);
  });

  test("G5 a failed sync of the log rejects its batch; the log stays as it is and the next batch has a new one", async () => {
    const { dir, sessions, commits } = await setUp(20);
    await watchLogSyncs(sessions, (sync) => (sync === 2 ? EIO : undefined));
    await Promise.all(sessions.map((session) => commits.commit(session.write("a\n"))));
    const failed = await Promise.allSettled(sessions.map((session) => commits.commit(session.write("b\n"))));
    expect(failed).toEqual(sessions.map(() => ({ status: "rejected", reason: EIO })));
    const kept = readFileSync(join(dir, "commits-t-1.log"), "utf8");
    await Promise.all(sessions.map((session) => commits.commit(session.write("c\n"))));
    expect(await logsIn(dir)).toEqual(["commits-t-1.log", "commits-t-2.log"]);
    await commits.close();
    expect(await logsIn(dir)).toEqual(["commits-t-1.log"]);
    expect(readFileSync(join(dir, "commits-t-1.log"), "utf8")).toBe(kept);
  });

  test("a log that takes only part of a batch is given up: its sessions are synced in place, and it is reported", async () => {
    const { dir, sessions, commits, reports } = await setUp(20);
    const prototype = await fileHandles();
    const real = prototype.write as (...args: unknown[]) => Promise<{ bytesWritten: number; buffer: Buffer }>;
    const write = vi.spyOn(prototype, "write").mockImplementationOnce(function (this: unknown, bytes: unknown) {
      return real.call(this, bytes, 0, (bytes as Buffer).length - 1) as never;
    });
    onTestFinished(() => write.mockRestore());
    const line = `${"x".repeat(60_000)}\n`;
    await Promise.all(sessions.map((session) => commits.commit(session.write(line))));
    expect(write).toHaveBeenCalledTimes(1);
    expect(reports.map(({ kind }) => kind)).toEqual(["log-not-written"]);
    expect(sessions.every(({ syncs }) => syncs === 1)).toBe(true);
    await until(async () => (await logsIn(dir)).length === 0);
    await Promise.all(sessions.map((session) => commits.commit(session.write("b\n"))));
    expect(await logsIn(dir)).toEqual(["commits-t-2.log"]);
  });

  test("without a place for logs each session is synced in place, and it is reported once", async () => {
    const { sessions } = await setUp(20);
    const { commits, reports } = openFor(join(await tempDir(), "gone"), "always");
    for (const line of ["a\n", "b\n"]) {
      await Promise.all(sessions.map((session) => commits.commit(session.write(line))));
    }
    expect(sessions.every(({ syncs }) => syncs === 2)).toBe(true);
    expect(reports).toEqual([{ kind: "log-not-written", error: expect.objectContaining({ code: "ENOENT" }) }]);
  });

  test.skipIf(process.platform === "win32")("G27 a link in the place of a log is not followed", async () => {
    const { dir, sessions, commits } = await setUp(20);
    const victim = join(await tempDir(), "victim");
    await writeFile(victim, "mine");
    await symlink(victim, join(dir, "commits-t-1.log"));
    await Promise.all(sessions.map((session) => commits.commit(session.write("a\n"))));
    expect(readFileSync(victim, "utf8")).toBe("mine");
    await Promise.all(sessions.map((session) => commits.commit(session.write("b\n"))));
    expect(await logsIn(dir)).toContain("commits-t-2.log");
  });

  test("a session that is being synced in place waits for that, so that a log never begins behind bytes under way", async () => {
    const { dir, sessions, first, commits } = await setUp(20);
    const inFlight = gate();
    first.sync = () => inFlight.promise;
    const done = [commits.commit(first.write("first\n")), commits.commit(first.write("second\n"))];
    await Promise.all(sessions.slice(1).map((session) => commits.commit(session.write("a\n"))));
    expect(readFileSync(join(dir, "commits-t-1.log"), "utf8")).not.toContain(first.uuid);
    inFlight.open();
    await Promise.all(done);
    expect(first.syncs).toBe(2);
  });

  test("an update of which nobody knows for certain where it stands is synced in place", async () => {
    const { dir, sessions, first, commits } = await setUp(20);
    await Promise.all(
      [...sessions].reverse().map((session) => {
        const written = session.write("a\n");
        return commits.commit(session === first ? { ...written, offset: undefined } : written);
      }),
    );
    expect(first.syncs).toBe(1);
    expect(readFileSync(join(dir, "commits-t-1.log"), "utf8")).not.toContain(first.uuid);
  });

  test("an update larger than a batch should be is synced in place", async () => {
    const { dir, sessions, first, commits } = await setUp(20);
    const large = `${"x".repeat(300_000)}\n`;
    await Promise.all(
      [...sessions.slice(1), first].map((session) => commits.commit(session.write(session === first ? large : "a\n"))),
    );
    expect(first.syncs).toBe(1);
    expect(statSync(join(dir, "commits-t-1.log")).size).toBeLessThan(10_000);
  });
});

describe("the end of a log", () => {
  test("a log nobody has used for a second is removed once its transcripts are synced in place", async () => {
    const { dir, sessions, commits, timers } = await setUp(10);
    await Promise.all(sessions.map((session) => commits.commit(session.write("a\n"))));
    expect(timers.delays).toEqual([1000]);
    timers.goOff();
    expect(await logsIn(dir)).toHaveLength(1);
    expect(timers.delays).toEqual([1000]);
    const inPlace = vi.spyOn(await fileHandles(), "datasync");
    onTestFinished(() => inPlace.mockRestore());
    timers.goOff();
    await until(async () => (await logsIn(dir)).length === 0);
    expect(inPlace.mock.calls.length).toBeGreaterThanOrEqual(7);
    expect(timers.delays).toEqual([]);
  });

  test("a log of 4 MB is followed by a new one and removed", async () => {
    const { dir, sessions, commits } = await setUp(30);
    const line = `${"x".repeat(240_000)}\n`;
    await Promise.all(sessions.map((session) => commits.commit(session.write(line))));
    await Promise.all(sessions.map((session) => commits.commit(session.write("b\n"))));
    await until(async () => (await logsIn(dir)).join() === "commits-t-2.log");
  });

  test("G5 when a transcript cannot be synced in place its log is kept, and it is reported", async () => {
    const { dir, sessions, first, commits, timers, reports } = await setUp(10);
    await Promise.all(sessions.reverse().map((session) => commits.commit(session.write("a\n"))));
    await rm(first.path);
    await symlink(join(dir, "elsewhere"), first.path);
    timers.goOff();
    timers.goOff();
    await until(() => reports.length > 0);
    expect(reports).toEqual([{ kind: "sync-failed", error: expect.objectContaining({ code: "ELOOP" }) }]);
    await commits.close();
    expect(await logsIn(dir)).toEqual(["commits-t-1.log"]);
  });

  test("G5 when a sync in place fails, a log that names the transcript is kept, whatever later syncs say", async () => {
    const { dir, sessions, first, commits } = await setUp(10);
    await Promise.all(sessions.reverse().map((session) => commits.commit(session.write("a\n"))));
    expect(first.syncs).toBe(0);
    await new Promise((resolve) => setImmediate(resolve));
    first.sync = () => Promise.reject(EIO);
    await expect(commits.commit(first.write("b\n"))).rejects.toBe(EIO);
    await commits.close();
    expect(await logsIn(dir)).toEqual(["commits-t-1.log"]);
  });

  test("S13 transcripts deleted meanwhile do not keep a log", async () => {
    const { dir, sessions, commits } = await setUp(10);
    await Promise.all(sessions.map((session) => commits.commit(session.write("a\n"))));
    await Promise.all(sessions.map(({ path }) => rm(path)));
    await commits.close();
    expect(await logsIn(dir)).toEqual([]);
  });
});

describe("close", () => {
  test("S15 waits for commits under way, syncs in place what logs hold, removes them, and can be called twice", async () => {
    const { dir, sessions, commits, timers } = await setUp(20);
    let acknowledged = 0;
    for (const session of sessions) {
      void commits.commit(session.write("a\n"))?.then(() => {
        acknowledged += 1;
      });
    }
    await commits.close();
    expect(acknowledged).toBe(20);
    expect(await logsIn(dir)).toEqual([]);
    expect(timers.delays).toEqual([]);
    await commits.close();
  });

  test("rejects when something could not be synced in place, and keeps the log", async () => {
    const { dir, sessions, first, commits } = await setUp(10);
    await Promise.all(sessions.reverse().map((session) => commits.commit(session.write("a\n"))));
    await rm(first.path);
    await symlink(join(dir, "elsewhere"), first.path);
    await expect(commits.close()).rejects.toMatchObject({ code: "ELOOP" });
    expect(await logsIn(dir)).toEqual(["commits-t-1.log"]);
  });

  test("a commit after it is still made safe, in place", async () => {
    const { dir, sessions, commits } = await setUp(10);
    await commits.close();
    await Promise.all(sessions.map((session) => commits.commit(session.write("a\n"))));
    expect(sessions.every(({ syncs }) => syncs === 1)).toBe(true);
    expect(await logsIn(dir)).toEqual([]);
  });
});
