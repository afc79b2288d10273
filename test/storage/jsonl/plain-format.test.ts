import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { SessionManager } from "../../../src/index.js";
import { builders, scriptedProvider } from "../../../src/testing.js";
import { append, collect, contents, dm } from "../sessions.js";
import { openJsonl, tempDir } from "../storage-kinds.js";
import { collectReports, putFile, readIndexFile, transcriptPath } from "./store-files.js";

// The files of the specification, word for word.
const UUID = "f8282125-d96c-45a0-84cb-eb5fb6843d0a";
const KEY = dm("123456789");
const TRANSCRIPT = `{"role":"user","content":"Hello","timestamp":"2026-03-18T10:00:00Z"}
{"role":"assistant","content":"Hi! How can I help?","timestamp":"2026-03-18T10:00:01Z"}
{"role":"user","content":"What's the weather?","timestamp":"2026-03-18T10:01:00Z"}
`;
const INDEX = `{
"agent:main:telegram:dm:123456789": {
"uuid": "f8282125-d96c-45a0-84cb-eb5fb6843d0a",
"created": "2026-03-15T08:00:00Z",
"lastActive": "2026-03-18T10:01:00Z",
"messageCount": 47
}
}`;
const SAID = ["Hello", "Hi! How can I help?", "What's the weather?"];

function plainStore(transcript = TRANSCRIPT, index = INDEX): string {
  const dir = tempDir();
  putFile(dir, `${UUID}.jsonl`, transcript);
  putFile(dir, "sessions.json", index);
  return dir;
}

test("a store in the plain format of the specification is read, its counts taken from the transcript", async () => {
  const { reports, onReport } = collectReports();
  const storage = openJsonl(plainStore(), { onReport });
  const expected = {
    key: KEY,
    uuid: UUID,
    created: "2026-03-15T08:00:00Z",
    lastActive: "2026-03-18T10:01:00Z",
    messageCount: 3,
    state: { modelOverride: null, activationMode: "always" },
  };
  expect(await collect(storage.list())).toMatchObject([expected]);
  expect(await storage.read(KEY)).toMatchObject(expected);
  const entries = await collect(storage.entries(UUID));
  expect(contents(entries)).toEqual(SAID);
  expect(new Set(entries.map(({ id }) => id)).size).toBe(3);
  expect(contents(await collect(storage.entries(UUID, { last: 1 })))).toEqual(["What's the weather?"]);
  expect(contents(await collect(storage.entries(UUID, { after: entries[0]?.id })))).toEqual(SAID.slice(1));
  expect(reports).toEqual([]);
});

test.each([
  ["as it is", TRANSCRIPT],
  ["without the last newline", TRANSCRIPT.trimEnd()],
  ["with CR LF", TRANSCRIPT.replaceAll("\n", "\r\n")],
  ["with a byte order mark", `\ufeff${TRANSCRIPT}`],
])("a plain transcript (%s) is appended to, its own bytes untouched, and read again", async (_, transcript) => {
  const dir = plainStore(transcript);
  const storage = openJsonl(dir);
  expect(await append(storage, KEY, builders().user("new"))).toMatchObject({ messageCount: 4 });
  await append(storage, KEY, builders().assistant("one"), builders().state({ modelOverride: "m" }));
  await storage.close();
  expect(readFileSync(transcriptPath(dir, UUID), "utf8").startsWith(transcript)).toBe(true);
  const again = openJsonl(dir);
  expect(await again.read(KEY)).toMatchObject({ messageCount: 5, uuid: UUID, state: { modelOverride: "m" } });
  expect(contents(await collect(again.entries(UUID)))).toEqual([...SAID, "new", "one"]);
});

test("a plain store is taken over by a host: the model sees what was said before", async () => {
  const dir = plainStore();
  const provider = scriptedProvider(["Sunny."]);
  const manager = new SessionManager({ dir, provider, durability: "off" });
  const outcome = await manager.handle(builders().dm("123456789", "And today?"));
  expect(outcome).toMatchObject({ status: "replied", key: KEY, text: "Sunny." });
  expect(provider.requests[0]?.messages.map(({ content }) => content)).toEqual([...SAID, "And today?"]);
  await manager.close();
  expect(readIndexFile(dir)[KEY]).toMatchObject({ uuid: UUID, messageCount: 5, created: "2026-03-15T08:00:00Z" });
});

test("G10 a plain session that has been written to is found again by its transcript alone", async () => {
  const dir = plainStore();
  const storage = openJsonl(dir);
  await append(storage, KEY, builders().user("new"));
  await storage.close();
  putFile(dir, "sessions.json", "");
  const again = openJsonl(dir);
  expect(await again.read(KEY)).toMatchObject({ uuid: UUID, messageCount: 4 });
  expect(contents(await collect(again.entries(UUID)))).toEqual([...SAID, "new"]);
});

test("a plain session nobody has written to is lost from sight with its index, and reported; its file stays", async () => {
  const dir = plainStore();
  putFile(dir, "sessions.json", "");
  const { reports, onReport } = collectReports();
  const storage = openJsonl(dir, { onReport });
  expect(await storage.read(KEY)).toBeUndefined();
  expect(reports).toContainEqual({ kind: "transcript-unclaimed", uuid: UUID });
  await append(storage, KEY, builders().user("anew"));
  expect(readFileSync(transcriptPath(dir, UUID), "utf8")).toBe(TRANSCRIPT);
});

test("an index caught in one untruth does not cost plain sessions theirs", async () => {
  const dir = plainStore();
  const storage = openJsonl(dir);
  const bob = await append(storage, dm("bob"), builders().user("mine"));
  await storage.close();
  const index = readIndexFile(dir);
  putFile(dir, "sessions.json", JSON.stringify({ [KEY]: index[KEY], [dm("eve")]: index[bob.key] }));
  const again = openJsonl(dir);
  expect(await again.read(dm("eve"))).toBeUndefined();
  expect(await again.read(KEY)).toMatchObject({ uuid: UUID, messageCount: 3 });
  expect(await again.read(bob.key)).toEqual(bob);
});

test("times that are missing or none neither stop a session from being listed nor from growing newer", async () => {
  const dir = plainStore(
    '{"role":"user","content":"1"}\n{"role":"user","content":"2","timestamp":"soon"}\n',
    JSON.stringify({ [KEY]: { uuid: UUID } }),
  );
  const storage = openJsonl(dir);
  const timed = await append(storage, dm("bob"), builders().user("1"));
  expect((await collect(storage.list())).map(({ key }) => key)).toEqual([timed.key, KEY]);
  expect(await collect(storage.list({ activeSince: 0 }))).toEqual([timed]);
  const entry = builders().user("3", { timestamp: "2027-01-01T00:00:00.000Z" });
  expect(await append(storage, KEY, entry)).toMatchObject({ lastActive: entry.timestamp, messageCount: 3 });
  expect((await collect(openJsonl(dir).list())).map(({ key }) => key)).toEqual([KEY, timed.key]);
});
