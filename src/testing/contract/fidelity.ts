import { isMessageEntry, type TranscriptEntry } from "../../core/entry.js";
import type { SessionRecord } from "../../core/record.js";
import { builders } from "../builders.js";
import { same } from "./assertions.js";
import type { Check } from "./check.js";
import { alice, append, appending, bob, collect, contents, everything, freshRecord, present, say } from "./sessions.js";

function nested(depth: number): unknown {
  let value: unknown = "inmost";
  for (let n = 0; n < depth; n += 1) value = n % 2 === 0 ? [value] : { deeper: value };
  return value;
}

function spoil(record: SessionRecord | undefined): void {
  const spoilt = present(record, "a record");
  spoilt.messageCount = 99;
  spoilt.state.extra.spoilt = true;
  spoilt.openTurns.push("spoilt");
}

/** What the library hands through without looking into it. */
function hostValues(entry: TranscriptEntry): unknown[] {
  if (!isMessageEntry(entry) || typeof entry.content === "string") return [];
  return entry.content.map((part) => ("input" in part ? part.input : "output" in part ? part.output : undefined));
}

const texts: readonly (readonly [string, string])[] = [
  ["an empty text", ""],
  ["line breaks of every kind", "a\nb\r\nc\rd\u2028e\u2029f\u0085g\vh\fi"],
  ["a text that looks like a line of a transcript", '{"type":"clear","timestamp":"","id":"x"}\n'],
  ["emoji and joined emoji", "👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈"],
  ["lone surrogates", "\ud800 x \udfff \udc00\ud800"],
  ["NUL and other controls", "\0\u0001\u001b[31m\u007f\u009b"],
  ["a byte order mark", "\ufefftext\ufeff"],
  ["composed and decomposed letters", "caf\u00e9 cafe\u0301"],
  ["right-to-left marks and noncharacters", "\u202eabc\u2066\uffff\ufffe"],
  ["quotes and what other languages read", `'; DROP TABLE x; -- "\\" $1 %s {{x}} \${x}`],
  ["space at either end", " \t x \t "],
];

/** S9, S11 and S14: what was stored is there, is what was given, and stays it. */
export const fidelityChecks: readonly Check[] = [
  {
    clause: "S9",
    name: "what update has acknowledged is seen by a storage opened later on the same place",
    async run(trial) {
      const record = await say(await trial.open(), alice, "1", "2", "3");
      const other = await trial.open();
      same(await other.read(alice), record, "read gives the record");
      same(contents(await everything(other, record.uuid)), ["1", "2", "3"], "entries gives the entries");
      same(await collect((await trial.open()).list()), [record], "list gives the session");
    },
  },
  {
    clause: "S9",
    name: "what update has acknowledged is seen by a storage opened before",
    async run(trial) {
      const storage = await trial.open();
      const beside = await trial.open();
      await say(storage, bob, "1");
      await beside.read(bob);
      same(await beside.read(alice), undefined, "there is no record yet");
      const first = await say(storage, alice, "1");
      same(await beside.read(alice), first, "read gives a new record");
      same(contents(await everything(beside, first.uuid)), ["1"], "entries gives its entries");
      const second = await say(beside, alice, "2");
      same(second.messageCount, 2, "an update begins with what another instance wrote");
      same(await storage.read(alice), second, "read gives a changed record");
      same(contents(await everything(storage, first.uuid)), ["1", "2"], "entries gives further entries");
    },
  },
  {
    clause: "S9",
    name: "what update has acknowledged outlives the instance that wrote it",
    needs: "persistence",
    async run(trial) {
      const first = await trial.open();
      const record = await say(first, alice, "1", "2");
      await first.update(bob, () => ({ record: freshRecord(bob) }));
      await first.close();
      const second = await trial.open();
      same(await second.read(alice), record, "read gives the record");
      same(contents(await everything(second, record.uuid)), ["1", "2"], "entries gives the entries");
      same((await collect(second.list())).length, 2, "list gives the sessions");
      same((await say(second, alice, "3")).messageCount, 3, "the next update begins with it");
    },
  },
  {
    clause: "S11",
    name: "what was passed in can be changed afterwards without changing what is stored",
    async run(trial) {
      const storage = await trial.open();
      const content = [{ type: "text" as const, text: "said" }];
      const entry = builders().user(content);
      const change = appending(alice, [entry])(undefined);
      const kept = structuredClone(change);
      const updated = await storage.update(alice, () => change);
      for (const part of content) part.text = "spoilt";
      Object.assign(entry, { id: "spoilt" });
      spoil(change.record);
      same(updated, kept.record, "what update resolved to is as it was");
      same(await storage.read(alice), kept.record, "the record is as it was");
      same(await everything(storage, kept.record.uuid), kept.append, "the entries are as they were");
    },
  },
  {
    clause: "S11",
    name: "what was handed out can be changed without changing what is stored",
    async run(trial) {
      const storage = await trial.open();
      const change = appending(alice, [builders().user([{ type: "text", text: "said" }])])(undefined);
      const kept = structuredClone(change);
      const assertKept = async (what: string) => {
        same(await storage.read(alice), kept.record, `the record is as it was after changing ${what}`);
        same(await collect(storage.list()), [kept.record], `the list is as it was after changing ${what}`);
        same(await everything(storage, kept.record.uuid), kept.append, `the entries are as they were after ${what}`);
      };
      spoil(await storage.update(alice, () => change));
      await assertKept("what update resolved to");
      spoil(await storage.read(alice));
      await assertKept("what read gave");
      for (const record of await collect(storage.list())) spoil(record);
      await assertKept("what list gave");
      for (const stored of await everything(storage, kept.record.uuid)) {
        if ("role" in stored && Array.isArray(stored.content))
          Object.assign(stored.content[0] ?? {}, { text: "spoilt" });
        Object.assign(stored, { id: "spoilt" });
      }
      await assertKept("what entries gave");
      spoil(await storage.update(alice, () => undefined));
      await assertKept("what an update that wrote nothing gave");
      await storage.update(alice, (current) => {
        spoil(current);
        return undefined;
      });
      await assertKept("what an updater got");
    },
  },
  {
    clause: "S14",
    name: "texts come back as they were: line breaks, U+2028, lone surrogates, emoji, controls, the empty one",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const entries = texts.map(([, text]) => b.user(text, { sender: { id: text, name: text } }));
      const { uuid } = await append(storage, alice, entries);
      const stored = [await everything(await trial.open(), uuid), await everything(storage, uuid)];
      for (const [n, [what]] of texts.entries())
        for (const all of stored) same(all[n], entries[n], `${what} comes back as it was`);
      same(await collect(storage.entries(uuid, { last: 1 })), entries.slice(-1), "read from the end it is the same");
    },
  },
  {
    clause: "S14",
    name: "a message of a megabyte comes back as it was",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const entries = [b.user("before"), b.user("ab\u00e9\n".repeat(262_144)), b.user("after")];
      const { uuid } = await append(storage, alice, entries);
      same(await everything(await trial.open(), uuid), entries, "the message is as it was");
      same(await collect(storage.entries(uuid, { last: 2 })), entries.slice(1), "read from the end it is the same");
    },
  },
  {
    clause: "S14",
    name: "content parts, tool traffic and values nested a thousand deep come back as they were",
    async run(trial) {
      const storage = await trial.open();
      const b = builders();
      const entries: TranscriptEntry[] = [
        b.user([
          { type: "text", text: "look" },
          { type: "image", mediaType: "image/png", data: "aGk=" },
        ]),
        b.assistant([{ type: "tool-call", toolCallId: "1", toolName: "deep", input: nested(1000) }], {
          usage: { input: 1, output: 2 },
        }),
        b.tool([
          { type: "tool-result", toolCallId: "1", toolName: "deep", output: { z: null, a: [0, -1.5e300, true, []] } },
        ]),
        b.assistant("done", { providerData: { "": [], "\ud800": { constructor: 1, length: 0, b: {}, a: "\0" } } }),
      ];
      const { uuid } = await append(storage, alice, entries);
      const stored = await everything(await trial.open(), uuid);
      same(stored, entries, "the entries are as they were");
      // A provider that caches by prefix sees another text when the fields of a tool's input change places.
      const ofTheHost = (all: readonly TranscriptEntry[]) => JSON.stringify(all.map(hostValues));
      same(ofTheHost(stored), ofTheHost(entries), "the fields of tool traffic stand in the order given");
    },
  },
  {
    clause: "S14",
    name: "settings with hostile names and texts are kept as they are",
    async run(trial) {
      const storage = await trial.open();
      const record = freshRecord(alice);
      record.state.extra = JSON.parse(
        '{"constructor":1,"toString":{"__proto__":[1]},"":null,"a b":"\\u2028\\ud800\\u0000","number":-1.5e300}',
      ) as SessionRecord["state"]["extra"];
      await storage.update(alice, () => ({ record }));
      const stored = present(await (await trial.open()).read(alice), "a record");
      same(JSON.stringify(stored.state.extra), JSON.stringify(record.state.extra), "the settings are as they were");
      same(await collect(storage.list()), [record], "also in the list");
    },
  },
];
