import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { TranscriptEntry } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { append, collect, dm, freshRecord } from "./sessions.js";
import { storageKinds } from "./storage-kinds.js";

const alice = dm("alice");

function nested(depth: number): unknown {
  let value: unknown = "inmost";
  for (let n = 0; n < depth; n += 1) value = n % 2 === 0 ? [value] : { deeper: value };
  return value;
}

describe.each(storageKinds)("$name", ({ place }) => {
  test.each([
    ["an empty text", ""],
    ["line breaks of every kind", "a\nb\r\nc\rd\u2028e\u2029f\u0085g\vh\fi"],
    ["a text that looks like a line of the transcript", '{"type":"clear","timestamp":"","id":"x"}\n'],
    ["emoji and joined emoji", "👍🏽 👨‍👩‍👧‍👦 🏳️‍🌈"],
    ["lone surrogates", "\ud800 x \udfff \udc00\ud800"],
    ["NUL and other controls", "\0\u0001\u001b[31m\u007f\u009b"],
    ["a byte order mark", "\ufefftext\ufeff"],
    ["composed and decomposed letters", "caf\u00e9 cafe\u0301"],
    ["right-to-left marks and noncharacters", "\u202eabc\u2066\uffff\ufffe"],
    ["a megabyte", "ab\u00e9\n".repeat(262_144)],
  ])("S14 %s comes back as it was", async (_, content) => {
    const home = place();
    const entry = builders().user(content, { sender: { id: content, name: content } });
    const { uuid } = await append(home.open(), alice, entry);
    expect((await collect(home.open().entries(uuid)))[0]).toEqual(entry);
    expect(await collect(home.open().entries(uuid, { last: 1 }))).toEqual([entry]);
  });

  test("S14 content parts, tool traffic and nesting a thousand deep come back as they were", async () => {
    const home = place();
    const b = builders();
    const entries = [
      b.user([
        { type: "text", text: "look" },
        { type: "image", mediaType: "image/png", data: "aGk=" },
      ]),
      b.assistant([{ type: "tool-call", toolCallId: "1", toolName: "deep", input: nested(1000) }], {
        usage: { input: 1, output: 2 },
      }),
      b.tool([{ type: "tool-result", toolCallId: "1", toolName: "deep", output: { a: null, b: [0, -1.5e300, true] } }]),
      b.assistant("done", { providerData: { "": [], "\ud800": { constructor: 1, length: 0 } } }),
    ];
    const { uuid } = await append(home.open(), alice, ...entries);
    expect(await collect(home.open().entries(uuid))).toEqual(entries);
  });

  test("S14 any JSON value within a message comes back as it was", async () => {
    const home = place();
    const storage = home.open();
    const text = fc.string({ unit: "binary", maxLength: 20 });
    const json = fc.jsonValue({
      maxDepth: 4,
      stringUnit: "binary",
      noUnicodeString: false,
    } as fc.JsonSharedConstraints);
    let n = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(text, json), { minLength: 1, maxLength: 4 }), async (values) => {
        const b = builders();
        const entries = values.map(([content, providerData]) => b.user(content, { providerData }));
        const { uuid } = await append(storage, dm(`p${++n}`), ...entries);
        // What JSON cannot tell apart, such as 0 and -0, is not told apart here either.
        const kept: unknown = JSON.parse(JSON.stringify(entries));
        expect(JSON.parse(JSON.stringify(await collect(storage.entries(uuid))))).toEqual(kept);
      }),
      { numRuns: 150 },
    );
  });

  test("S14 settings with hostile names are kept as names", async () => {
    const home = place();
    const record = freshRecord(alice);
    record.state.extra = JSON.parse('{"constructor":1,"toString":{"__proto__":[1]},"":null,"a b":"\\u2028"}');
    await home.open().update(alice, () => ({ record }));
    expect(JSON.stringify((await home.open().read(alice))?.state.extra)).toBe(JSON.stringify(record.state.extra));
  });

  test("unknown entry types and unknown fields are kept", async () => {
    const home = place();
    const b = builders();
    const entries = [
      { type: "label", id: "u1", timestamp: "2026-03-18T10:00:00.000Z", text: "from the future", deep: { a: [1] } },
      { ...b.user("hi"), mood: "curious" },
      { ...b.state({ modelOverride: "m" }), why: "asked" },
      { ...b.clear(), by: "someone" },
      { type: "__proto__", id: "u2", timestamp: "" },
    ] as TranscriptEntry[];
    const { uuid } = await append(home.open(), alice, ...entries);
    expect(await collect(home.open().entries(uuid))).toEqual(entries);
  });

  test.each([
    ["a header", { type: "session", id: "x", timestamp: "", version: 1, uuid: "x", key: "y", created: "z" }],
    ["a record", { type: "record", id: "x", timestamp: "", record: {} }],
    ["an entry that counts lines", { role: "user", content: "x", id: "x", timestamp: "", _more: 3 }],
    ["an entry that begins an update of its own", { type: "note", id: "x", timestamp: "", _lines: 2 }],
    ["an entry of neither role nor type", { id: "x", timestamp: "" }],
    ["a message whose role nobody has", { role: "robot", content: "x", id: "x", timestamp: "" }],
    ["a text", "hello"],
    ["nothing", null],
  ])("S8 %s among the entries could not be read back, so the update is refused", async (_, entry) => {
    const home = place();
    const storage = home.open();
    const b = builders();
    const before = await append(storage, alice, b.user("before"));
    const wrong = () => ({ record: { ...before, messageCount: 9 }, append: [b.user("x"), entry as never] });
    await expect(storage.update(alice, wrong)).rejects.toThrow(TypeError);
    expect(await storage.read(alice)).toEqual(before);
    await append(storage, alice, b.user("after"));
    const entries = await collect(home.open().entries(before.uuid));
    expect(entries).toMatchObject([{ content: "before" }, { content: "after" }]);
  });
});
