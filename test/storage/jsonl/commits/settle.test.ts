import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { mkdir, readdir, rename, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { encodeRecords, type LogRecord, ownerLine } from "../../../../src/storage/jsonl/commit/commit-record.js";
import { settleLogs } from "../../../../src/storage/jsonl/commit/commits.js";
import type { StorageReport } from "../../../../src/storage/report.js";
import { logsIn, openFor, Session, tempDir } from "./sessions-on-disk.js";

interface Logged {
  uuid: string;
  at: number;
  text: string;
}

const DEAD = { name: "dead" };

function logBytes(records: readonly Logged[], owner: unknown = DEAD): Buffer {
  const encoded = records.map(({ uuid, at, text }): LogRecord => ({ uuid, at, bytes: Buffer.from(text) }));
  return Buffer.concat([ownerLine(owner), encodeRecords(encoded)]);
}

async function store() {
  const dir = await tempDir();
  const reports: StorageReport[] = [];
  const path = (uuid: string) => join(dir, `${uuid}.jsonl`);
  return {
    dir,
    reports,
    path,
    transcript(content: string): string {
      const uuid = randomUUID();
      writeFileSync(path(uuid), content);
      return uuid;
    },
    log(records: readonly Logged[], { name = "commits-other-1.log", owner = DEAD as unknown } = {}): void {
      writeFileSync(join(dir, name), logBytes(records, owner));
    },
    read: (uuid: string) => readFileSync(path(uuid), "utf8"),
    settle: () =>
      settleLogs({
        dir,
        transcript: path,
        isDead: async (owner) => (owner as { name?: string } | undefined)?.name === "dead",
        ownToken: "own",
        report: (report) => reports.push(report),
      }),
  };
}

describe("what a transcript lacks is put back, and the log is removed", () => {
  test.each([
    ["the file ends before it", "one\n"],
    ["the file ends within it", "one\ntwo\nth"],
    ["the file has a hole in it", "one\n\0\0\0\0three\n"],
    ["the file has nothing of it and a hole where it ends", "one\n\0\0\0\0\0\0\0\0\0\0"],
  ])("G11 %s", async (_, onDisk) => {
    const { dir, transcript, log, read, settle, reports } = await store();
    const uuid = transcript(onDisk);
    log([
      { uuid, at: 4, text: "two\n" },
      { uuid, at: 8, text: "three\n" },
    ]);
    const { restored } = await settle();
    expect(read(uuid)).toBe("one\ntwo\nthree\n");
    expect(restored).toEqual([{ uuid, bytes: onDisk.startsWith("one\ntwo") ? 4 : onDisk.includes("three") ? 4 : 10 }]);
    expect(reports).toEqual([]);
    expect(await logsIn(dir)).toEqual([]);
  });

  test("of several sessions and several logs, in whatever order the logs come", async () => {
    const { dir, transcript, log, read, settle, reports } = await store();
    const [a, b] = [transcript("a0\n"), transcript("")];
    log(
      [
        { uuid: a, at: 6, text: "a2\n" },
        { uuid: b, at: 0, text: "b0\n" },
      ],
      { name: "commits-one-1.log" },
    );
    log(
      [
        { uuid: b, at: 3, text: "b1\n" },
        { uuid: a, at: 3, text: "a1\n" },
      ],
      { name: "commits-two-7.log" },
    );
    const { restored } = await settle();
    expect([read(a), read(b)]).toEqual(["a0\na1\na2\n", "b0\nb1\n"]);
    expect(restored.map(({ bytes }) => bytes)).toEqual([6, 6]);
    expect(reports).toEqual([]);
    expect(await logsIn(dir)).toEqual([]);
  });

  test("nothing is lacking: the transcript stays as it is, and what follows in it too", async () => {
    const { dir, transcript, log, read, settle } = await store();
    const uuid = transcript("one\ntwo\nthree\n");
    log([{ uuid, at: 4, text: "two\n" }]);
    expect(await settle()).toEqual({ restored: [] });
    expect(read(uuid)).toBe("one\ntwo\nthree\n");
    expect(await logsIn(dir)).toEqual([]);
  });

  test("S13 a transcript that was deleted stays deleted", async () => {
    const { dir, log, path, settle } = await store();
    const uuid = randomUUID();
    log([{ uuid, at: 0, text: "one\n" }]);
    expect(await settle()).toEqual({ restored: [] });
    expect(existsSync(path(uuid))).toBe(false);
    expect(await logsIn(dir)).toEqual([]);
  });

  test("G11 empty lines take the place of bytes nobody was told were safe, and a torn line before them ends there", async () => {
    const { dir, transcript, log, read, settle, reports } = await store();
    const uuid = transcript('{"id":1}\n{"to');
    log([{ uuid, at: 20, text: '{"id":3}\n' }]);
    expect(await settle()).toEqual({ restored: [{ uuid, bytes: 9 }] });
    expect(read(uuid)).toBe('{"id":1}\n{"to\n\n\n\n\n\n\n{"id":3}\n');
    expect(reports).toEqual([{ kind: "gap-closed", uuid, offset: 13, bytes: 7 }]);
    expect(await logsIn(dir)).toEqual([]);
  });
});

test("G11 a hole before it does not make it one line with a torn one", async () => {
  const { transcript, log, read, settle } = await store();
  const uuid = transcript('{"id":1}\n{"to\0\0\0\0\0\0\0\0\0\0');
  log([{ uuid, at: 20, text: '{"id":3}\n' }]);
  await settle();
  expect(read(uuid).split("\n")).toEqual(['{"id":1}', expect.stringMatching(/^\{"to\0+$/), '{"id":3}', ""]);
});

describe("what does not fit is left alone and reported, and so is its log", () => {
  test("other bytes in the place: everything else in the log is put back", async () => {
    const { dir, transcript, log, read, settle, reports } = await store();
    const [a, b] = [transcript("one\nTWO\n"), transcript("")];
    log([
      { uuid: a, at: 4, text: "two\n" },
      { uuid: a, at: 8, text: "three\n" },
      { uuid: b, at: 0, text: "b\n" },
    ]);
    const { restored } = await settle();
    expect(restored).toHaveLength(2);
    expect([read(a), read(b)]).toEqual(["one\nTWO\nthree\n", "b\n"]);
    expect(reports).toEqual([{ kind: "log-unsettled", log: "commits-other-1.log", uuid: a, offset: 4 }]);
    expect(await logsIn(dir)).toEqual(["commits-other-1.log"]);
  });

  test("an offset beyond belief makes no file of that size", async () => {
    const { dir, transcript, log, read, settle, reports } = await store();
    const uuid = transcript("one\n");
    log([{ uuid, at: 2 ** 45, text: "two\n" }]);
    await settle();
    expect(read(uuid)).toBe("one\n");
    expect(reports).toEqual([{ kind: "log-unsettled", log: "commits-other-1.log", uuid, offset: 2 ** 45 }]);
    expect(await logsIn(dir)).toHaveLength(1);
  });

  test.skipIf(process.platform === "win32")(
    "G27 a link in the place of a transcript is not written through",
    async () => {
      const { dir, transcript, log, path, settle, reports } = await store();
      const uuid = transcript("");
      const victim = join(await tempDir(), "victim");
      writeFileSync(victim, "");
      await rm(path(uuid));
      await symlink(victim, path(uuid));
      log([{ uuid, at: 0, text: "two\n" }]);
      await settle();
      expect(readFileSync(victim, "utf8")).toBe("");
      expect(reports.map(({ kind }) => kind)).toEqual(["log-unsettled"]);
      expect(await logsIn(dir)).toHaveLength(1);
    },
  );

  test("a directory in the place of a transcript", async () => {
    const { dir, log, path, settle, reports } = await store();
    const uuid = randomUUID();
    await mkdir(path(uuid));
    log([{ uuid, at: 0, text: "two\n" }]);
    await settle();
    expect(reports.map(({ kind }) => kind)).toEqual(["log-unsettled"]);
    expect(await logsIn(dir)).toHaveLength(1);
  });
});

describe("logs that are not touched", () => {
  test.each([
    ["of a living process", { owner: { name: "living" } }],
    ["of this process", { name: "commits-own-1.log" }],
    ["whose first line says nothing that is known", { owner: null }],
  ])("%s", async (_, which) => {
    const { dir, transcript, log, read, settle } = await store();
    const uuid = transcript("one\n");
    log([{ uuid, at: 4, text: "two\n" }], which);
    expect(await settle()).toEqual({ restored: [] });
    expect(read(uuid)).toBe("one\n");
    expect(await logsIn(dir)).toHaveLength(1);
  });

  test("other files and a directory that is not there", async () => {
    const { dir, settle } = await store();
    for (const name of ["commits.log", "commits-x.log", "commits-other-1.log.tmp", "sessions.json"]) {
      writeFileSync(join(dir, name), logBytes([]));
    }
    await settle();
    expect(await readdir(dir)).toHaveLength(4);
    await rm(dir, { recursive: true });
    expect(await settle()).toEqual({ restored: [] });
  });
});

test("G27 a uuid that is a path ends the reading of its log", async () => {
  const { dir, settle } = await store();
  const outside = join(await tempDir(), "victim");
  writeFileSync(`${outside}.jsonl`, "");
  const uuid = join("..", "..", outside);
  writeFileSync(join(dir, "commits-other-1.log"), logBytes([{ uuid, at: 0, text: "evil\n" }]));
  expect(await settle()).toEqual({ restored: [] });
  expect(readFileSync(`${outside}.jsonl`, "utf8")).toBe("");
});

test("G11 a log cut at every byte gives back each record that is whole, and nothing of the one that is not", async () => {
  const { dir, transcript, path, read, settle, reports } = await store();
  const [a, b] = [transcript(""), transcript("")];
  const records: Logged[] = [
    { uuid: a, at: 0, text: "a one\n" },
    { uuid: b, at: 0, text: "b one\n" },
    { uuid: a, at: 6, text: "a two\n" },
  ];
  const whole = logBytes(records);
  const ends = records.map((_, index) => logBytes(records.slice(0, index + 1)).length);
  for (let cut = 0; cut <= whole.length; cut += 1) {
    for (const hole of cut % 4 === 0 ? [0, 7] : [0]) {
      for (const uuid of [a, b]) writeFileSync(path(uuid), "");
      writeFileSync(join(dir, "commits-other-1.log"), Buffer.concat([whole.subarray(0, cut), Buffer.alloc(hole)]));
      await settle();
      const there = (uuid: string) =>
        records.filter((record, index) => record.uuid === uuid && (ends[index] as number) <= cut);
      const expected = (uuid: string) => there(uuid).reduce((text, record) => text + record.text, "");
      expect({ cut, hole, a: read(a), b: read(b) }).toEqual({ cut, hole, a: expected(a), b: expected(b) });
    }
  }
  expect(reports).toEqual([]);
});

test("G11 a record whose length is there and whose content is a hole does not count", async () => {
  const { dir, transcript, read, settle, reports } = await store();
  const uuid = transcript("one\n");
  const log = logBytes([{ uuid, at: 4, text: "two and more\n" }]);
  log.fill(0, log.length - 6);
  writeFileSync(join(dir, "commits-other-1.log"), log);
  await settle();
  expect(read(uuid)).toBe("one\n");
  expect(reports).toEqual([]);
});

test("done twice, or by four at the same time, it comes to the same", async () => {
  const { dir, transcript, log, read, settle, reports } = await store();
  const uuids = Array.from({ length: 20 }, () => transcript("0\n"));
  for (const name of ["commits-x-1.log", "commits-y-1.log", "commits-z-1.log"]) {
    const at = { x: 2, y: 4, z: 8 }[name[8] as "x" | "y" | "z"];
    log(
      uuids.map((uuid) => ({ uuid, at, text: `${at}\n` })),
      { name },
    );
  }
  await Promise.all([settle(), settle(), settle(), settle()]);
  await settle();
  for (const uuid of uuids) expect(read(uuid)).toBe("0\n2\n4\n\n\n8\n");
  expect(new Set(reports.map(({ kind }) => kind))).toEqual(new Set(["gap-closed"]));
  expect(await logsIn(dir)).toEqual([]);
});

test("a log that cannot be read ends it with an error, and nothing is removed", async () => {
  const { dir, transcript, log, settle } = await store();
  log([{ uuid: transcript(""), at: 0, text: "a\n" }]);
  await mkdir(join(dir, "commits-zz-1.log"));
  await expect(settle()).rejects.toMatchObject({ code: "STORAGE" });
  expect(await logsIn(dir)).toHaveLength(2);
});

test("what a process that was killed left in its log is settled by the next one", async () => {
  const dir = await tempDir();
  const sessions = await Session.beginMany(dir, 20);
  const { commits } = openFor(dir, "always", "killed");
  await Promise.all(sessions.map((session) => commits.commit(session.write("one\n"))));
  await Promise.all(sessions.map((session) => commits.commit(session.write("two\n"))));
  for (const { path, handle } of sessions.slice(5)) {
    truncateSync(path, 0);
    await handle.close();
  }
  const settle = () =>
    settleLogs({
      dir,
      transcript: (uuid) => join(dir, `${uuid}.jsonl`),
      isDead: async () => true,
      ownToken: "next",
      report: () => expect.unreachable(),
    });
  // Of another store in this process that is still open: whoever goes by the process alone may take it for dead.
  expect(await settle()).toEqual({ restored: [] });
  expect(await logsIn(dir)).toEqual(["commits-killed-1.log"]);
  await rename(join(dir, "commits-killed-1.log"), join(dir, "commits-dead-1.log"));
  const { restored } = await settle();
  expect(restored).toHaveLength(15);
  for (const session of sessions) expect(session.read()).toBe("one\ntwo\n");
  expect(await logsIn(dir)).toEqual([]);
  await commits.close();
  for (const { handle } of sessions.slice(0, 5)) await handle.close();
});
