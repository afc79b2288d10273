import { expect, test } from "vitest";
import { contentSchema, messageSchema, ownFields, saysNothing, usageSchema } from "../../src/core/message.js";
import { type ContentPart, type Message, textOf } from "../../src/core.js";

const parts: ContentPart[] = [
  { type: "text", text: "look " },
  { type: "image", mediaType: "image/png", url: "https://example.com/a.png" },
  { type: "file", mediaType: "application/pdf", data: "AAAA", filename: "a.pdf" },
  { type: "reasoning", text: "hm" },
  { type: "tool-call", toolCallId: "c1", toolName: "search", input: { q: ["x"] } },
  { type: "tool-result", toolCallId: "c1", toolName: "search", output: null, isError: true },
  { type: "text", text: "here" },
];

test("the words of a message are its text parts, without media, reasoning and tool traffic", () => {
  expect(textOf({ content: "as it is" })).toBe("as it is");
  expect(textOf({ content: parts })).toBe("look here");
  expect(textOf({ content: [] })).toBe("");
});

test("every kind of part passes the schema unchanged", () => {
  expect(contentSchema.parse(parts)).toEqual(parts);
});

test("fields the schema does not know are kept, in a message and in its parts", () => {
  const message = {
    role: "assistant",
    content: [{ type: "text", text: "hi", citations: [1] }],
    providerData: { signature: "abc" },
    later: true,
  };
  expect(messageSchema.parse(message)).toEqual(message);
});

test.each<[what: string, message: unknown]>([
  ["no role", { content: "hi" }],
  ["another role", { role: "developer", content: "hi" }],
  ["no content", { role: "user" }],
  ["content of another type", { role: "user", content: 5 }],
  ["a part without a type", { role: "user", content: [{ text: "hi" }] }],
  ["a text part without text", { role: "user", content: [{ type: "text" }] }],
  ["a file without its media type", { role: "user", content: [{ type: "file", url: "x" }] }],
  ["a file of no media type", { role: "user", content: [{ type: "file", mediaType: "", url: "x" }] }],
  ["a call without an id", { role: "assistant", content: [{ type: "tool-call", toolName: "x", input: 1 }] }],
  ["a call with an empty id", { role: "assistant", content: [{ type: "tool-call", toolCallId: "", toolName: "x" }] }],
  ["bare text among parts", { role: "user", content: ["hi"] }],
])("%s is no message", (_what, message) => {
  expect(messageSchema.safeParse(message).success).toBe(false);
});

test("usage counts in non-negative numbers", () => {
  expect(usageSchema.safeParse({ input: 1, output: 0, cacheRead: 2, reasoning: 3 }).success).toBe(true);
  expect(usageSchema.safeParse({ input: -1, output: 0 }).success).toBe(false);
  expect(usageSchema.safeParse({ input: 1 }).success).toBe(false);
});

test.each<[content: Message["content"], nothing: boolean]>([
  ["", true],
  [[], true],
  [[{ type: "text", text: "" }], true],
  [" \n\t", true],
  [[{ type: "text", text: " " }], true],
  [" x", false],
  [
    [
      { type: "text", text: "" },
      { type: "image", mediaType: "image/png", url: "x" },
    ],
    false,
  ],
])("whether %j says nothing: %s", (content, nothing) => {
  expect(saysNothing(content)).toBe(nothing);
});

test("of what a provider hands back, only what is a message's own is kept", () => {
  const own = { role: "assistant" as const, content: "hi", name: "bot", providerData: { s: 1 } };
  expect(ownFields({ ...own, id: "resp_1", type: "clear", usage: {} })).toEqual(own);
  expect(Object.keys(ownFields({ role: "user", content: "hi" }))).toEqual(["role", "content"]);
});
