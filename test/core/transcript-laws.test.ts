import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkAddress, formatAddress } from "../../src/core/address.js";
import { enveloped } from "../../src/core/envelope.js";
import {
  buildContext,
  type ContentPart,
  formatSessionKey,
  initialRecord,
  isEntryOf,
  isMessageEntry,
  type Message,
  type MessageEntry,
  type ParsedSessionKey,
  project,
  type SessionRecord,
  type SessionState,
  type TranscriptEntry,
  textOf,
  windowOf,
} from "../../src/core.js";
import { anyTranscript, renamed } from "./entry-arbitraries.js";

const created = "2026-03-15T08:00:00.000Z";
const uuid = "f8282125-d96c-45a0-84cb-eb5fb6843d0a";
const recordOf = (parsed: ParsedSessionKey) => initialRecord({ key: formatSessionKey(parsed), uuid, created });
const dm = recordOf({ kind: "dm", agentId: "main", channel: "telegram", peerId: "1" });
const anyRecord = fc.constantFrom(
  dm,
  recordOf({ kind: "main", agentId: "main", mainKey: "main" }),
  recordOf({ kind: "group", agentId: "main", channel: "x", groupId: "7" }),
);
const many = { numRuns: 1000 };

function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) frozen(part);
  }
  return value;
}

describe("a record is a fold", () => {
  test("projecting in two steps is projecting in one, wherever the cut, and changes nothing it was given", () => {
    fc.assert(
      fc.property(anyRecord, anyTranscript, fc.nat(20), (record, entries, cut) => {
        const [a, b] = [entries.slice(0, cut), entries.slice(cut)];
        const whole = project(frozen(structuredClone(record)), frozen(entries));
        expect(project(project(record, a), b)).toEqual(whole);
        expect(entries.reduce((sofar, entry) => project(sofar, [entry]), record)).toEqual(whole);
        expect(JSON.parse(JSON.stringify(whole))).toEqual(whole);
      }),
      many,
    );
  });

  test("its counts are those of the transcript, counted another way", () => {
    fc.assert(
      fc.property(anyRecord, anyTranscript, (record, entries) => {
        const folded = project(record, entries);
        const cleared = entries.findLastIndex((entry) => isEntryOf(entry, "clear"));
        const inForce = entries.slice(cleared + 1).filter(isMessageEntry);
        const ended = (id: string, after: number) =>
          entries.slice(after).some((entry) => isEntryOf(entry, "turn") && entry.of === id);
        const ids = entries.flatMap((entry) =>
          (isMessageEntry(entry) || isEntryOf(entry, "command")) && entry.messageId !== undefined ? [entry.id] : [],
        );
        expect(folded.messageCount).toBe(inForce.filter((entry) => !entry.cleared).length);
        expect(folded.lastClear).toBe(entries[cleared]?.id ?? null);
        expect(folded.openTurns).toEqual(
          entries.flatMap((entry, place) =>
            isMessageEntry(entry) && entry.turn && !ended(entry.id, place) ? [entry.id] : [],
          ),
        );
        const seen = folded.recentMessages.map(({ id }) => id);
        expect(seen).toEqual(ids.slice(ids.length - seen.length));
        expect(seen.length).toBeGreaterThanOrEqual(Math.min(ids.length, 4));
        expect(folded.state).toEqual(buildContext([...stateOf(record), ...entries]).state);
      }),
      many,
    );
  });
});

// A context's state starts as a dm's; a group's differs from it in one setting.
function stateOf({ state }: SessionRecord): TranscriptEntry[] {
  return [{ type: "state", id: "s", timestamp: created, patch: { activationMode: state.activationMode } }];
}

describe("G15 a clear is a barrier", () => {
  const marked = (entries: TranscriptEntry[]) =>
    JSON.parse(JSON.stringify(entries), (name, value) =>
      ["text", "content", "summary", "reply"].includes(name) && typeof value === "string" ? `SECRET ${value}` : value,
    ) as TranscriptEntry[];
  const clear: TranscriptEntry = { type: "clear", id: "c", timestamp: created };
  // What was saved of the conversation before says nothing about the new one.
  const settings = ({ memoryFlushed: _, ...state }: SessionState) => state;

  test("nothing from before the last clear is in the context, and the state is as if there had been none", () => {
    fc.assert(
      fc.property(
        anyTranscript,
        anyTranscript,
        fc.boolean(),
        fc.boolean(),
        (earlier, later, pointsBack, nameSenders) => {
          const [before, after] = [marked(earlier), renamed(later, pointsBack)];
          const context = buildContext([...before, clear, ...after], { nameSenders });
          expect(JSON.stringify([context.summary, context.messages])).not.toContain("SECRET");
          expect(context.messages).toEqual(buildContext(after, { nameSenders }).messages);
          expect(settings(context.state)).toEqual(settings(buildContext([...before, ...after]).state));
          expect(project(dm, [...before, clear]).messageCount).toBe(0);
          expect(project(dm, [...before, clear]).state).toEqual({ ...project(dm, before).state, memoryFlushed: false });
        },
      ),
      many,
    );
  });
});

test("a window is the end of what was said since the last clear, in order", () => {
  fc.assert(
    fc.property(anyTranscript, (entries) => {
      const cleared = entries.findLastIndex((entry) => isEntryOf(entry, "clear"));
      const inForce = entries.slice(cleared + 1);
      const said = inForce.filter((entry) => isMessageEntry(entry) && !entry.cleared);
      const { messages } = windowOf(entries);
      expect(messages).toEqual(said.slice(said.length - messages.length));
      // A summary that is empty is none, and its compaction cuts all the same.
      if (!inForce.some((entry) => isEntryOf(entry, "compaction"))) expect(messages).toHaveLength(said.length);
    }),
    many,
  );
});

describe("G1 a context is one a provider accepts", () => {
  const partsOf = (message: Message | undefined): ContentPart[] =>
    typeof message?.content === "string" ? [] : (message?.content ?? []);
  const idsOf = (message: Message | undefined, type: "tool-call" | "tool-result") =>
    partsOf(message).flatMap((part) => (part.type === type && "toolCallId" in part ? [part.toolCallId] : []));

  test("calls are the assistant's, each has an id of its own and is answered at once, nothing else is, and nobody says nothing", () => {
    fc.assert(
      fc.property(anyTranscript, fc.boolean(), (entries, nameSenders) => {
        const { messages } = buildContext(frozen(entries), { nameSenders });
        for (const [place, message] of messages.entries()) {
          const calls = idsOf(message, "tool-call");
          const results = idsOf(message, "tool-result");
          if (calls.length > 0) {
            expect(message.role).toBe("assistant");
            expect(messages[place + 1]?.role).toBe("tool");
          }
          if (message.role === "tool") {
            expect(partsOf(message)).toHaveLength(results.length);
            expect(results.length).toBeGreaterThan(0);
            expect(results).toEqual(idsOf(messages[place - 1], "tool-call"));
          } else {
            expect(results).toEqual([]);
          }
          expect(
            partsOf(message).some((part) => part.type !== "text") || wordsOf(message).join("").trim(),
          ).toBeTruthy();
        }
        const calls = messages.flatMap((message) => idsOf(message, "tool-call"));
        expect(new Set(calls).size).toBe(calls.length);
      }),
      many,
    );
  });

  test("no word of the window is lost but half an emoji, and no result that has its call", () => {
    fc.assert(
      fc.property(anyTranscript, (entries) => {
        const whole = windowOf(entries).messages.filter((entry) => !isCut(entry));
        const context = buildContext(entries);
        const shown = context.messages.filter(({ content }) => !isHead(content));
        expect(shown.flatMap((message) => (isToldAsCut(message) ? [] : wordsOf(message)))).toEqual(
          whole.filter((entry) => entry.role !== "tool").flatMap((entry) => wordsShown(entry).map(wellFormed)),
        );
        for (const id of new Set(whole.flatMap((entry) => idsOf(entry, "tool-call")))) {
          const calling = whole.filter((entry) => idsOf(entry, "tool-call").includes(id));
          const [call] = calling;
          // An id that is used more than once, or answered before it is called, has examples of its own.
          if (call?.role !== "assistant" || calling.length > 1) continue;
          const before = whole.slice(0, whole.indexOf(call)).flatMap((entry) => idsOf(entry, "tool-result"));
          const [answer] = whole
            .flatMap(partsOf)
            .filter((part) => part.type === "tool-result" && part.toolCallId === id);
          if (answer !== undefined && !before.includes(id)) expect(shown.flatMap(partsOf)).toContainEqual(answer);
        }
      }),
      many,
    );
  });

  const wellFormed = (text: string) => text.replaceAll("\ud800", "\ufffd");
  const isCut = (entry: MessageEntry) =>
    entry.role === "assistant" && (entry.stopReason === "aborted" || entry.stopReason === "error");
  const isHead = (content: Message["content"]) =>
    typeof content === "string" &&
    /^\[(Summary of the conversation|The conversation begins|\d+ earlier message)/.test(content);
  const isToldAsCut = ({ role, content }: Message) =>
    role === "user" && typeof content === "string" && content.startsWith("[The previous reply");
  const wordsShown = (entry: MessageEntry) =>
    entry.role === "user" && entry.provenance !== undefined
      ? [enveloped(entry.provenance, textOf(entry))]
      : wordsOf(entry);
  const wordsOf = (message: Message): string[] =>
    (typeof message.content === "string"
      ? [message.content]
      : message.content.flatMap((part) => (part.type === "text" ? [part.text] : []))
    ).filter((text) => text.trim() !== "");
});

describe("G16 a record without extra stays under 4 kB of JSON", () => {
  // Ids of every length a key or an address may have. Quotes and backslashes, which JSON doubles, are few in a platform's ids.
  const longId = fc
    .tuple(fc.constantFrom("x", "é", "模", "😀", "a:b", "/", " "), fc.integer({ min: 1, max: 1000 }))
    .map(([unit, bytes]) => unit.repeat(Math.max(1, Math.floor(bytes / Buffer.byteLength(unit)))));
  const anyModel = fc.constantFrom("gpt-4o", "x".repeat(256), "模".repeat(85), "\u0001".repeat(42));

  const bytes = (record: SessionRecord) => new TextEncoder().encode(JSON.stringify({ ...record })).length;

  test("whatever its key, its models, its senders and its message ids", () => {
    const id = fc.oneof(longId, fc.constantFrom('"', "\\", "a\u0000b"));
    const messageIds = fc.array(fc.oneof(fc.nat().map(String), fc.constantFrom("x".repeat(256), "模".repeat(256))), {
      minLength: 1,
      maxLength: 40,
    });
    let largest = 0;
    fc.assert(
      fc.property(
        id,
        fc.constantFrom("dm", "main"),
        anyModel,
        messageIds,
        fc.array(id, { minLength: 1, maxLength: 12 }),
        (peerId, kind, model, ids, senders) => {
          fc.pre(fits(peerId) && senders.every(fits));
          const record =
            kind === "main"
              ? recordOf({ kind: "main", agentId: "a".repeat(64), mainKey: "m".repeat(64) })
              : recordOf({ kind: "dm", agentId: "main", channel: "x", peerId });
          const entries = ids.map(
            (messageId, n): TranscriptEntry => ({
              role: "user",
              content: "hi",
              id: `01J${String(n).padStart(23, "0")}`,
              timestamp: "2026-03-18T10:00:00.000Z",
              messageId,
              address: addressOf(kind === "main" ? (senders[n % senders.length] as string) : peerId),
              ...(n === ids.length - 1 ? { turn: true } : {}),
            }),
          );
          const set: TranscriptEntry[] = [
            {
              type: "state",
              id: "s",
              timestamp: created,
              patch: { model, modelOverride: model, activationMode: "mention" },
            },
            { type: "compaction", id: "c", timestamp: created, summary: "S", firstKept: "s" },
            { type: "clear", id: `01J${"0".repeat(23)}`, timestamp: created },
          ];
          const folded = project(record, [...set, ...entries]);
          largest = Math.max(largest, bytes(folded));
          expect(bytes(folded)).toBeLessThan(4096);
          expect(folded.recentMessages.at(-1)?.messageId).toBe(ids.at(-1));
        },
      ),
      many,
    );
    expect(largest).toBeGreaterThan(3500);
  });

  const addressOf = (peerId: string) => formatAddress(checkAddress({ chatType: "dm", channel: "x", peerId }));
  const fits = (peerId: string) =>
    new TextEncoder().encode(`agent:main:x:default:dm:${peerId.replace(/[:\0]/g, "%3A")}`).length <= 1024;
});
