import { randomUUID } from "node:crypto";
import { readFileSync, rmSync, statSync } from "node:fs";
import { expect, test } from "vitest";
import { type JsonlStorage, SessionManager, type SessionRecord, type TranscriptEntry } from "../../../src/index.js";
import { builders, manualClock, scriptedProvider } from "../../../src/testing.js";
import { append, collect, dm } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { collectReports, indexPath, putFile, readIndexFile, transcriptPath } from "./store-files.js";

// As long as the number that takes its place in each cut copy, so that no byte moves.
const PEER = "abcdef";

/** A transcript, where each of its updates ends, and what each appended. */
interface Made {
  uuid: string;
  bytes: Buffer;
  indexed: Record<string, unknown>;
  updates: { end: number; entries: TranscriptEntry[] }[];
}

/** A storage that notes what each of its updates left behind. */
function noting(storage: JsonlStorage, dir: string) {
  const updates: Made["updates"] = [];
  const update: JsonlStorage["update"] = async (key, updater, options) => {
    let entries: readonly TranscriptEntry[] = [];
    const before = updates.at(-1)?.end ?? 0;
    const record = await storage.update(
      key,
      (current) => {
        const change = updater(current);
        entries = change?.append ?? [];
        return change;
      },
      options,
    );
    const end = statSync(transcriptPath(dir, record?.uuid ?? "")).size;
    if (end > before) updates.push({ end, entries: [...entries] });
    return record;
  };
  const noted = new Proxy(storage, {
    get(target, name) {
      if (name === "update") return update;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  return { noted, updates };
}

function made(dir: string, uuid: string, updates: Made["updates"]): Made {
  const [indexed = {}] = Object.values(readIndexFile(dir));
  return { uuid, bytes: readFileSync(transcriptPath(dir, uuid)), indexed, updates };
}

async function singleLineUpdates(): Promise<Made> {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const { noted, updates } = noting(storage, dir);
  const b = builders();
  const key = dm(PEER);
  const { uuid } = await append(noted, key);
  for (const entry of [b.user("Grüße 👋"), b.assistant("line\nbreak"), b.state({ modelOverride: "m" }), b.clear()])
    await append(noted, key, entry);
  await append(noted, key, b.user("after\u2028the clear"));
  await storage.close();
  return made(dir, uuid, updates);
}

async function realTurns(): Promise<Made> {
  const dir = tempDir();
  const storage = openJsonl(dir);
  const { noted, updates } = noting(storage, dir);
  const tool = { type: "tool-call", toolCallId: "1", toolName: "t", input: {} } as const;
  const provider = scriptedProvider([
    "Hi!",
    {
      messages: [
        { role: "assistant", content: [tool] },
        { role: "assistant", content: "42" },
      ],
      usage: { input: 9, output: 1 },
    },
  ]);
  const config = { agents: { defaults: { model: "m" } } };
  const manager = new SessionManager({ storage: noted, provider, config, clock: manualClock() });
  const b = builders();
  const { key } = await manager.handle(b.dm(PEER, "Hello"));
  await manager.handle(b.dm(PEER, "/model big"));
  await manager.handle(b.dm(PEER, "What is 6 × 7?"));
  const uuid = (await manager.get(key))?.uuid ?? "";
  await manager.close();
  return made(dir, uuid, updates);
}

/** The copy of a transcript that is cut at byte `k`: a session of its own. */
function cutAt({ uuid, bytes, indexed, updates }: Made, k: number) {
  const copy = { key: dm(String(k).padStart(PEER.length, "0")), uuid: randomUUID() };
  const swap = (text: string) => text.replaceAll(PEER, copy.key.slice(-PEER.length)).replaceAll(uuid, copy.uuid);
  const whole = updates.filter(({ end }) => end - 1 <= k);
  const begun = whole.at(-1)?.end ?? 0;
  return {
    ...copy,
    k,
    bytes: Buffer.from(swap(bytes.toString("latin1")), "latin1").subarray(0, k),
    indexed: JSON.parse(swap(JSON.stringify(indexed))) as object,
    // A line that lacks nothing but its newline says all it has to say.
    readable: whole.length > 0,
    entries: JSON.parse(swap(JSON.stringify(whole.flatMap(({ entries }) => entries)))) as TranscriptEntry[],
    torn:
      k <= begun
        ? 0
        : bytes
            .subarray(begun, k - 1)
            .toString("latin1")
            .split("\n").length,
    fresh: Array.from({ length: 1 + (k % 4) }, (_, n) => builders().user(`new ${n}`, { id: randomUUID() })),
  };
}

async function manyAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const worker = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await work(item);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

test.each([
  ["one line an update", singleLineUpdates],
  ["real turns, several lines an update", realTurns],
])(
  "G11 a file cut at any byte (%s) loses the update that was cut and nothing else, and takes new ones",
  async (_, make) => {
    const original = await make();
    expect(original.updates.at(-1)?.end).toBe(original.bytes.length);
    const cuts = Array.from({ length: original.bytes.length + 1 }, (_, k) => cutAt(original, k));
    const dir = tempDir();
    for (const { uuid, bytes } of cuts) putFile(dir, `${uuid}.jsonl`, bytes);
    // Every second one is indexed as it was before the crash.
    const indexed = cuts.filter(({ k }) => k % 2 === 0).map((cut) => [cut.key, cut.indexed]);
    putFile(dir, "sessions.json", JSON.stringify(Object.fromEntries(indexed)));

    const writer = openJsonl(dir);
    const written = new Map<string, SessionRecord>();
    await manyAtOnce(cuts, async (cut) => {
      written.set(cut.key, await append(writer, cut.key, ...cut.fresh));
    });
    await writer.close();

    rmSync(indexPath(dir));
    const { reports, onReport } = collectReports();
    const reader = openJsonl(dir, { readOnly: true, onReport });
    const records = new Map((await collect(reader.list())).map((record) => [record.key as string, record]));
    expect(records).toEqual(written);
    const skipped = reports.flatMap((report) => (report.kind === "line-skipped" ? [report.uuid] : []));
    const unclaimed = new Set(
      reports.flatMap((report) => (report.kind === "transcript-unclaimed" ? [report.uuid] : [])),
    );
    await manyAtOnce(cuts, async ({ k, key, uuid, bytes, readable, entries, torn, fresh }) => {
      const now = readFileSync(transcriptPath(dir, uuid));
      const session = written.get(key)?.uuid ?? "";
      const where = `cut at byte ${k} of ${original.bytes.length}`;
      expect(now.subarray(0, k).equals(bytes), where).toBe(true);
      expect(await collect(reader.entries(session)), where).toEqual([...entries, ...fresh]);
      if (k % 8 === 0) expect(await collect(reader.entries(session, { last: fresh.length })), where).toEqual(fresh);
      // Where nothing tells any more whose it was, the file stays, and the conversation begins anew.
      expect(session === uuid, where).toBe(readable);
      expect(now.length > k, where).toBe(readable);
      expect(unclaimed.has(uuid), where).toBe(!readable);
      if (readable)
        expect(
          skipped.filter((each) => each === uuid),
          where,
        ).toHaveLength(torn);
    });
  },
  60_000,
);

test("S4 an update cut between two of its lines stays out, whatever number of lines the next one has", async () => {
  const original = await realTurns();
  const text = original.bytes.toString("latin1");
  let cuts = 0;
  for (let k = text.indexOf("\n") + 1; k > 0; k = text.indexOf("\n", k) + 1) {
    if (original.updates.some(({ end }) => end === k)) continue;
    cuts += 1;
    for (const length of [1, 2, 3, 4]) await cutBetweenLines(original, k, length);
  }
  expect(cuts).toBeGreaterThan(3);
});

async function cutBetweenLines({ uuid, bytes, updates }: Made, k: number, length: number): Promise<void> {
  const dir = tempDir();
  putFile(dir, `${uuid}.jsonl`, bytes.subarray(0, k));
  const b = builders();
  const fresh = Array.from({ length }, (_, n) => b.user(`new ${n}`));
  const storage = openJsonl(dir);
  const written = await append(storage, dm(PEER), ...fresh);
  const whole = updates.filter(({ end }) => end <= k).flatMap(({ entries }) => entries);
  const reader = openJsonl(dir, { readOnly: true });
  expect(await collect(reader.entries(written.uuid))).toEqual([...whole, ...fresh]);
  expect(await reader.read(dm(PEER))).toEqual(written);
}
