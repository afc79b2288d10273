import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Provenance } from "../../src/core/entry.js";
import { viewMessages } from "../../src/core/history-view.js";
import { jsonBytes } from "../../src/core/json.js";
import type { ContentPart, MessageEntry, SessionKey } from "../../src/index.js";
import { builders } from "../../src/testing.js";

const SECRET = "sk-aB3dE6gH9jK2mN5pQ8sT1vW4yZ7";
const CUT = /^(.*) \[… (\d+) characters left out.*…\] (.*)$/s;

const callOf = (input: unknown, toolName = "read"): ContentPart => ({
  type: "tool-call",
  toolCallId: "1",
  toolName,
  input,
});
const resultOf = (output: unknown, toolName = "read"): ContentPart => ({
  type: "tool-result",
  toolCallId: "1",
  toolName,
  output,
});

const viewOf = (...messages: MessageEntry[]) => viewMessages(messages, { includeTools: true });
const inputOf = (input: unknown) => {
  const { messages, truncated } = viewOf(builders().assistant([callOf(input)]));
  return { shown: messages[0]?.toolCalls?.[0]?.input, truncated };
};
const contentOf = (content: MessageEntry["content"]) => viewOf(builders().user(content)).messages[0]?.content;

describe("what is shown of a message", () => {
  test("is who said what and when, oldest first", () => {
    const { user, assistant, tool } = builders();
    const messages = [
      user("hello", { sender: { id: "7", name: "Ann" }, messageId: "m", address: "a" }),
      assistant([{ type: "text", text: "I look" }, callOf({ path: "x" })], { usage: { input: 1, output: 1 } }),
      tool([resultOf({ lines: 2 }), { ...resultOf("gone"), isError: true } as ContentPart]),
      user("hm", { sender: { id: "8" } }),
    ];
    const [first, second, third, last] = messages.map(({ id, role, timestamp }) => ({ id, role, timestamp }));
    expect(viewMessages(messages, { includeTools: true })).toEqual({
      messages: [
        { ...first, content: "hello", from: "Ann" },
        { ...second, content: "I look", toolCalls: [{ toolName: "read", input: { path: "x" } }] },
        {
          ...third,
          content: "",
          toolResults: [
            { toolName: "read", output: { lines: 2 } },
            { toolName: "read", output: "gone", isError: true },
          ],
        },
        { ...last, content: "hm", from: "8" },
      ],
      truncated: false,
    });
  });

  test("has the key of the session that sent it in full, where no name of a person can stand", () => {
    const from = `agent:other:telegram:dm:${"9".repeat(300)}` as SessionKey;
    const provenance: Provenance = { kind: "inter-session", from, hops: 1, chain: [from], run: "r" };
    expect(viewOf(builders().user("hi", { provenance, sender: { id: "7" } })).messages[0]?.session).toBe(from);
  });

  test("without tools has words alone, and is not there where there are none", () => {
    const { user, assistant, tool } = builders();
    const messages = [
      user("hello"),
      assistant([callOf({})]),
      tool([resultOf({})]),
      assistant([{ type: "text", text: "both" }, callOf({})]),
      assistant(" "),
    ];
    const shown = viewMessages(messages, { includeTools: false }).messages;
    expect(shown.map(({ content }) => content)).toEqual(["hello", "both"]);
    expect(shown.every((message) => message.toolCalls === undefined)).toBe(true);
  });

  test("has nothing of what the model thought or the provider keeps, nor of parts not known yet", () => {
    const { assistant } = builders();
    const thought: ContentPart = { type: "reasoning", text: "hidden", providerData: "hidden" };
    const later = { type: "later", text: "hidden" } as unknown as ContentPart;
    const messages = [
      assistant([thought]),
      assistant([thought, later, { type: "text", text: "said" }], { providerData: { hidden: "hidden" } }),
    ];
    const shown = viewMessages(messages, { includeTools: true });
    expect(shown.messages).toHaveLength(1);
    expect(JSON.stringify(shown)).not.toContain("hidden");
  });
});

describe("G21 media are named and their bytes never shown", () => {
  const data = "iVBORw0KGgo".repeat(50);
  test("in the words of a message", () => {
    const content: ContentPart[] = [
      { type: "text", text: "look" },
      { type: "image", mediaType: "image/png", data, filename: "cat.png" },
      { type: "text", text: "and" },
      { type: "file", mediaType: "application/pdf", url: "https://example.org/a.pdf" },
    ];
    expect(contentOf(content)).toBe(
      "look\n[image image/png not shown here: cat.png]\nand\n[file application/pdf not shown here: https://example.org/a.pdf]",
    );
    expect(contentOf(`see data:image/png;base64,${data} there`)).toBe("see [image image/png not shown here] there");
  });

  test.each<[string, unknown, unknown]>([
    ["a part of the AI SDK", { type: "media", data, mediaType: "image/png" }, "[image image/png not shown here]"],
    ["MCP", { type: "image", data, mimeType: "image/png" }, "[image image/png not shown here]"],
    [
      "Anthropic",
      { type: "image", source: { type: "base64", data, media_type: "image/png" } },
      "[image image/png not shown here]",
    ],
    [
      "OpenAI",
      { type: "image_url", image_url: { url: `data:image/png;base64,${data}` } },
      { type: "image_url", image_url: { url: "[image image/png not shown here]" } },
    ],
    ["an answer with bytes", { b64_json: data }, { b64_json: "[file not shown here]" }],
    ["a Buffer", { type: "Buffer", data: [1, 2, 3] }, "[file not shown here]"],
    ["an array of bytes", { ...new Uint8Array(100) }, "[file not shown here]"],
  ])("as %s has them within a value", (_who, value, shown) => {
    expect(inputOf([{ value }])).toEqual({ shown: [{ value: shown }], truncated: false });
  });
});

describe("G22 a secret is shown nowhere", () => {
  test.each<[string, MessageEntry["content"]]>([
    ["its words", `it is ${SECRET}!`],
    [
      "two parts of it",
      [
        { type: "text", text: SECRET.slice(0, 12) },
        { type: "text", text: SECRET.slice(12) },
      ],
    ],
    ["the name of a file, which is cut", [{ type: "file", mediaType: "a/b", filename: `${"f".repeat(85)}.${SECRET}` }]],
    ["the link of a file", [{ type: "file", mediaType: "a/b", url: `https://example.org/${SECRET}` }]],
    ["a call", [callOf({ command: `curl -H "x: ${SECRET}"` })]],
    ["a result", [resultOf([{ deep: [SECRET] }])]],
    ["the name of a field", [resultOf({ [SECRET]: 1 })]],
    ["the name of a tool", [callOf({}, SECRET)]],
  ])("in %s", (_where, content) => {
    const shown = JSON.stringify(
      viewOf(builders().assistant(content, { sender: { id: SECRET, name: `I ${SECRET}` } })),
    );
    expect(shown).not.toContain(SECRET.slice(3, 9));
    expect(shown).toContain("sk-***");
  });

  test("a field whose name says so is masked whatever it holds", () => {
    const input = { user: "ann", password: "two words", keys: { apiKey: ["a", "b"], pin: 1 }, passphrase: 12345 };
    expect(inputOf(input).shown).toEqual({
      user: "ann",
      password: "***",
      keys: { apiKey: ["***", "***"], pin: 1 },
      passphrase: "***",
    });
  });

  test("not in part where a text is cut, wherever the cut falls", () => {
    const filler = fc.integer({ min: 0, max: 40_000 }).map((length) => "x ".repeat(length / 2));
    const secrets = fc.integer({ min: 1, max: 3000 }).map((times) => `${SECRET} `.repeat(times));
    const longSecrets = fc
      .tuple(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 80 }))
      .map(([times, length]) => `${SECRET.repeat(length)} `.repeat(times));
    const text = fc
      .array(fc.oneof(filler, secrets, longSecrets), { minLength: 1, maxLength: 5 })
      .map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, (words) => {
        const shown = contentOf(words) ?? "";
        expect(shown.length).toBeLessThanOrEqual(4000);
        expect(shown.match(/aB3|6gH|9jK|mN5|Q8s|1vW|4yZ7/)).toBe(null);
      }),
      { numRuns: 60 },
    );
  });
});

describe("long texts are cut", () => {
  test.each([4001, 32_768, 32_769, 1_000_000])(
    "one of %d characters, to 4,000, and says how much is missing",
    (length) => {
      const text = `begin ${"word ".repeat(length)}`.slice(0, length - 4).concat(" end");
      const { messages, truncated } = viewOf(builders().user(text));
      const [, head = "", missing, tail = ""] = CUT.exec(messages[0]?.content ?? "") ?? [];
      expect(truncated).toBe(true);
      expect(head.startsWith("begin word")).toBe(true);
      expect(tail.endsWith(" end")).toBe(true);
      expect(head.length + tail.length).toBeGreaterThan(3800);
      expect(head.length + tail.length).toBeLessThan(4000);
      expect(head.length + tail.length + Number(missing)).toBe(text.length);
    },
  );

  test("not one of 4,000", () => {
    const text = "word ".repeat(800);
    expect(viewOf(builders().user(text))).toMatchObject({ messages: [{ content: text }], truncated: false });
  });

  test("within inputs and outputs too, where names are kept", () => {
    const { shown, truncated } = inputOf({ a: ["y ".repeat(5000)], b: 1 });
    expect(truncated).toBe(true);
    expect(shown).toEqual({ a: [expect.stringMatching(CUT)], b: 1 });
  });

  test("never within a character", () => {
    for (const text of ["😀".repeat(3000), `x${"😀".repeat(3000)}`, "😀".repeat(30_000), `x${"😀".repeat(30_000)}`])
      expect(contentOf(text)).not.toMatch(/\p{Surrogate}/u);
  });
});

describe("inputs and outputs of any shape are shown", () => {
  test("as deep as tells anything", () => {
    let deep: unknown = "bottom";
    for (let level = 0; level < 100_000; level += 1) deep = level % 2 === 0 ? [deep] : { deep };
    const { shown, truncated } = inputOf(deep);
    expect(truncated).toBe(true);
    expect(JSON.stringify(shown)).toContain("[… what is deeper left out …]");
  });

  test("as wide as tells anything", () => {
    const many = Array.from({ length: 5000 }, (_, at) => at);
    expect(inputOf({ many })).toEqual({
      shown: { many: [...many.slice(0, 998), "[… 4002 more left out …]"] },
      truncated: true,
    });
    const wide = Object.fromEntries(many.map((at) => [`n${at}`, at]));
    expect(inputOf(wide).shown).toHaveProperty("…", "[… 4001 more left out …]");
  });

  test("with a field named __proto__ as it is", () => {
    const shown = inputOf(JSON.parse('{"__proto__": {"a": 1}}')).shown as object;
    expect(JSON.stringify(shown)).toBe('{"__proto__":{"a":1}}');
    expect(Object.getPrototypeOf(shown)).toBe(Object.prototype);
  });

  test.each([null, true, 0, "", undefined])("such as %j", (input) => {
    expect(inputOf(input)).toEqual({ shown: input, truncated: false });
  });
});

describe("the whole is limited in bytes", () => {
  test("the newest that fit are shown, without a gap", () => {
    const { user } = builders();
    const messages = Array.from({ length: 100 }, (_, at) => user(`${at} ${"ü".repeat(at === 90 ? 2000 : 100)}`));
    const { messages: shown, truncated } = viewMessages(messages, { includeTools: true, maxBytes: 4000 });
    expect(shown.map(({ id }) => id)).toEqual(messages.slice(91).map(({ id }) => id));
    expect(truncated).toBe(true);
  });

  test("to the byte", () => {
    const { user } = builders();
    const messages = Array.from({ length: 40 }, () => user("hello"));
    const exact = jsonBytes(viewMessages(messages, { includeTools: true }).messages);
    const shown = (maxBytes: number) => viewMessages(messages, { includeTools: true, maxBytes }).messages.length;
    expect([shown(exact), shown(exact - 1)]).toEqual([40, 39]);
  });

  test("what would not have been shown anyway is not missing", () => {
    const { user, tool } = builders();
    const messages = [tool([resultOf("x".repeat(100_000))]), user("hello")];
    expect(viewMessages(messages, { includeTools: false, maxBytes: 1024 })).toMatchObject({
      messages: [{ content: "hello" }],
      truncated: false,
    });
  });

  test("a newest message that does not fit alone is cut until it does", () => {
    const { tool } = builders();
    const output = Array.from({ length: 50 }, (_, at) => `${at} ${"x".repeat(3000)}`);
    for (const maxBytes of [65_536, 20_000, 5000]) {
      const { messages, truncated } = viewMessages([tool([resultOf(output)])], { includeTools: true, maxBytes });
      expect(truncated).toBe(true);
      expect(jsonBytes(messages)).toBeLessThanOrEqual(maxBytes);
      expect(messages[0]?.toolResults?.[0]?.output).toEqual(expect.arrayContaining([expect.stringMatching(/^0 x/)]));
    }
  });

  test("a message that no cut makes fit says so", () => {
    const calls = Array.from({ length: 1000 }, () => callOf({}));
    const options = { includeTools: true, maxBytes: 1024 };
    const { messages } = viewMessages([builders().assistant(calls)], options);
    expect(messages).toEqual([expect.objectContaining({ content: "[… too large to be shown …]" })]);
    const words = viewMessages([builders().assistant([{ type: "text", text: "I look" }, ...calls])], options).messages;
    expect(words).toEqual([expect.objectContaining({ content: "I look" })]);
  });

  test("no message is no message", () => {
    expect(viewMessages([], { includeTools: true })).toEqual({ messages: [], truncated: false });
  });

  const text = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.integer({ min: 0, max: 9000 }).map((length) => "\u0001".repeat(length)),
    fc.tuple(fc.string(), fc.string()).map(([before, after]) => `${before} ${SECRET} ${after}`),
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      text,
      fc.double(),
      fc.array(tie("value"), { maxLength: 6 }),
      fc.dictionary(text, tie("value"), { maxKeys: 4 }),
    ),
  }));
  const part = fc.oneof<fc.Arbitrary<ContentPart>[]>(
    text.map((words) => ({ type: "text", text: words })),
    text.map((filename) => ({ type: "file", mediaType: "a/b", filename })),
    fc.tuple(value, text).map(([input, toolName]) => callOf(input, toolName)),
    fc.tuple(value, text).map(([output, toolName]) => resultOf(output, toolName)),
  );
  const message = fc.record({
    id: text,
    timestamp: text,
    role: fc.constantFrom("user" as const, "assistant" as const, "tool" as const),
    content: fc.oneof(text, fc.array(part, { maxLength: 8 })),
    sender: fc.record({ id: text, name: text }),
  });

  test("for any messages the limit holds, no secret is shown, and one message is where there is any", () => {
    const limit = fc.integer({ min: 0, max: 20_000 });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), limit, fc.boolean(), (messages, maxBytes, includeTools) => {
        const all = viewMessages(messages, { includeTools, maxBytes: 10_000_000 });
        const { messages: shown, truncated } = viewMessages(messages, { includeTools, maxBytes });
        expect(jsonBytes(shown)).toBeLessThanOrEqual(Math.max(maxBytes, 1024));
        expect(JSON.stringify(all)).not.toContain(SECRET.slice(3, 9));
        expect(JSON.stringify(shown)).not.toContain(SECRET.slice(3, 9));
        expect(shown.length > 0).toBe(all.messages.length > 0);
        if (!truncated) expect(shown).toEqual(all.messages);
      }),
      { numRuns: 300 },
    );
  });
});
