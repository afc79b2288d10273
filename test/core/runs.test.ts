import { expect, test } from "vitest";
import { initialRecord, project, type SessionKey, type TranscriptEntry } from "../../src/core.js";

const KEY = "agent:main:telegram:dm:1" as SessionKey;
const CHILD = "agent:main:subagent:1" as SessionKey;
const timestamp = "2026-03-18T10:00:00.000Z";
const fresh = initialRecord({ key: KEY, uuid: "u", created: timestamp });
const provenance = {
  kind: "inter-session" as const,
  from: "agent:b:main" as SessionKey,
  hops: 1,
  chain: [],
  run: "r1",
};
const run: TranscriptEntry = { type: "run", id: "r1", timestamp, content: "hi", provenance };
const spawn: TranscriptEntry = { type: "spawn", id: "s1", timestamp, child: CHILD, run: "c1", mode: "start" };
const end = (more: object = {}) =>
  ({
    type: "spawn-end",
    id: "e1",
    timestamp,
    child: CHILD,
    run: "c1",
    status: "completed",
    ...more,
  }) as TranscriptEntry;

test("what is accepted waits until its message is there, or it was ended before", () => {
  expect(project(fresh, [run]).waiting).toEqual([{ run: "r1" }]);
  const message: TranscriptEntry = { role: "user", content: "hi", id: "m", timestamp, turn: true, provenance };
  expect(project(fresh, [run, message])).toMatchObject({ waiting: [], openTurns: ["m"] });
  expect(project(fresh, [run, { type: "turn", id: "t", timestamp, of: "r1", status: "aborted" }]).waiting).toEqual([]);
});

test("G20 of what waits, it is known what tells of a sub-agent", () => {
  const result: TranscriptEntry = {
    ...{ type: "run", id: "r2", timestamp, content: "done" },
    provenance: { ...provenance, kind: "sub-agent", from: CHILD, run: "r2", status: "completed" },
  };
  const task: TranscriptEntry = {
    ...{ type: "run", id: "r3", timestamp, content: "work" },
    provenance: { ...provenance, kind: "task", run: "r3" },
  };
  expect(project(fresh, [run, result, task]).waiting).toEqual([
    { run: "r1" },
    { run: "r2", result: true },
    { run: "r3" },
  ]);
});

test("what was accepted still waits after a clear, and belongs to what was cleared", () => {
  const cleared = project(fresh, [run, { type: "clear", id: "c", timestamp }]);
  expect(cleared.waiting).toEqual([{ run: "r1", cleared: true }]);
});

test("G20 a sub-agent lives from its spawn to its first end, and is billed once", () => {
  const usage = { input: 5, output: 1 };
  const alive = project(fresh, [spawn]);
  expect(alive.subagents).toEqual([{ key: CHILD, run: "c1", mode: "start" }]);
  const ended = project(alive, [end({ usage })]);
  expect(ended).toMatchObject({ subagents: [], usageTotal: { input: 5, output: 1 } });
  expect(project(ended, [end({ usage, status: "orphaned" })])).toEqual(ended);
});

test("a sub-agent of a conversation that was cleared lives on, and is known as one of it", () => {
  const cleared = project(fresh, [spawn, { type: "clear", id: "c", timestamp }]);
  expect(cleared.subagents).toEqual([{ key: CHILD, run: "c1", mode: "start", cleared: true }]);
});

test("G20 a sub-agent that was not to be kept is to be deleted from its first end until that is noted, a kept one never", () => {
  const unkept = { ...spawn, cleanup: "delete" } as TranscriptEntry;
  const ended = project(fresh, [unkept, end()]);
  expect(ended).toMatchObject({ subagents: [], toDelete: [{ key: CHILD, run: "c1" }] });
  expect(project(ended, [end({ status: "killed" })])).toEqual(ended);
  const deleted: TranscriptEntry = { type: "spawn-deleted", id: "d1", timestamp, child: CHILD, run: "c1" };
  expect(project(ended, [{ ...deleted, run: "another" }]).toDelete).toEqual(ended.toDelete);
  expect(project(ended, [{ type: "clear", id: "c", timestamp }]).toDelete).toEqual(ended.toDelete);
  expect(project(ended, [deleted]).toDelete).toEqual([]);
  expect(project(fresh, [spawn, end()]).toDelete).toEqual([]);
});
