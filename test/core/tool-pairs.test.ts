import { describe, expect, test } from "vitest";
import { pairToolCalls } from "../../src/core/tool-pairs.js";
import type { ContentPart, Message } from "../../src/core.js";

const call = (toolCallId: string, input: unknown = {}): ContentPart => ({
  type: "tool-call",
  toolCallId,
  toolName: "search",
  input,
});
const result = (toolCallId: string, output: unknown): ContentPart => ({
  type: "tool-result",
  toolCallId,
  toolName: "search",
  output,
});
const lost = (toolCallId: string): ContentPart => ({
  type: "tool-result",
  toolCallId,
  toolName: "search",
  output: expect.stringContaining("unknown"),
  isError: true,
});
const assistant = (...content: ContentPart[]): Message => ({ role: "assistant", content });
const tool = (...content: ContentPart[]): Message => ({ role: "tool", content });
const user = (content: string): Message => ({ role: "user", content });
const text = (words: string): ContentPart => ({ type: "text", text: words });

describe("G1 every call is followed at once by its result", () => {
  test.each<[what: string, before: Message[], after: Message[]]>([
    [
      "a complete pair stays as it is",
      [user("q"), assistant(text("let me see"), call("1")), tool(result("1", "A")), assistant(text("done"))],
      [user("q"), assistant(text("let me see"), call("1")), tool(result("1", "A")), assistant(text("done"))],
    ],
    [
      "parallel calls get their results in one message, in the order of the calls",
      [assistant(call("1"), call("2"), call("3")), tool(result("3", "C")), tool(result("1", "A"), result("2", "B"))],
      [assistant(call("1"), call("2"), call("3")), tool(result("1", "A"), result("2", "B"), result("3", "C"))],
    ],
    [
      "a late result moves up to its call",
      [assistant(call("1")), user("are you there?"), tool(result("1", "A"))],
      [assistant(call("1")), tool(result("1", "A")), user("are you there?")],
    ],
    [
      "a result that was never written becomes an error",
      [assistant(call("1"), call("2")), tool(result("2", "B")), user("hello?")],
      [assistant(call("1"), call("2")), tool(lost("1"), result("2", "B")), user("hello?")],
    ],
    ["a call at the very end becomes an error", [assistant(call("1"))], [assistant(call("1")), tool(lost("1"))]],
    [
      "a result without a call is left out",
      [user("q"), tool(result("1", "A")), assistant(text("done"))],
      [user("q"), assistant(text("done"))],
    ],
    [
      "a result before its call is not its result",
      [tool(result("1", "early")), assistant(call("1"))],
      [assistant(call("1")), tool(lost("1"))],
    ],
    [
      "a second result is left out",
      [assistant(call("1")), tool(result("1", "first")), tool(result("1", "second"))],
      [assistant(call("1")), tool(result("1", "first"))],
    ],
    [
      "an id used again in a later turn gets the later result, and a name of its own",
      [
        assistant(call("1", "a")),
        tool(result("1", "A")),
        user("again"),
        assistant(call("1", "b")),
        tool(result("1", "B")),
      ],
      [
        assistant(call("1", "a")),
        tool(result("1", "A")),
        user("again"),
        assistant(call("1_2", "b")),
        tool(result("1_2", "B")),
      ],
    ],
    [
      "a lost result is not replaced by that of a later call with the same id",
      [assistant(call("1", "a")), user("again"), assistant(call("1", "b")), tool(result("1", "B"))],
      [
        assistant(call("1", "a")),
        tool(lost("1")),
        user("again"),
        assistant(call("1_2", "b")),
        tool(result("1_2", "B")),
      ],
    ],
    [
      "nor by a second result of that call",
      [assistant(call("1")), assistant(call("1")), tool(result("1", "B")), tool(result("1", "second"))],
      [assistant(call("1")), tool(lost("1")), assistant(call("1_2")), tool(result("1_2", "B"))],
    ],
    [
      "parallel calls of one id get the results of that id in order, each under a name of its own",
      [assistant(call("1", "a"), call("1", "b"), call("1", "c")), tool(result("1", "A")), tool(result("1", "B"))],
      [
        assistant(call("1", "a"), call("1_2", "b"), call("1_3", "c")),
        tool(result("1", "A"), result("1_2", "B"), lost("1_3")),
      ],
    ],
    [
      "a name that is given is not one that another call has",
      [
        assistant(call("1")),
        tool(result("1", "A")),
        assistant(call("1")),
        assistant(call("1_2")),
        tool(result("1_2", "C")),
      ],
      [
        assistant(call("1")),
        tool(result("1", "A")),
        assistant(call("1_3")),
        tool(lost("1_3")),
        assistant(call("1_2")),
        tool(result("1_2", "C")),
      ],
    ],
    [
      "a call of another id does not end the search for a late result",
      [assistant(call("1"), call("2")), tool(result("1", "A")), assistant(call("1")), tool(result("2", "late"))],
      [
        assistant(call("1"), call("2")),
        tool(result("1", "A"), result("2", "late")),
        assistant(call("1_2")),
        tool(lost("1_2")),
      ],
    ],
    [
      "a result inside a user's message, as one provider writes them, is the result",
      [assistant(call("1")), { role: "user", content: [result("1", "A"), text("go on")] }],
      [assistant(call("1")), tool(result("1", "A")), { role: "user", content: [text("go on")] }],
    ],
    [
      "a result inside the message of its call, as tools run by a provider leave it, is the result",
      [assistant(call("1"), result("1", "A"), text("so it is"))],
      [assistant(call("1"), text("so it is")), tool(result("1", "A"))],
    ],
    [
      "a call that is not the assistant's is left out",
      [
        { role: "user", content: [call("1"), text("hi")] },
        { role: "user", content: [call("2")] },
        { role: "system", content: [call("3")] },
      ],
      [{ role: "user", content: [text("hi")] }],
    ],
    [
      "messages that say nothing are left out",
      [user(""), assistant(), assistant(text("")), user("q"), tool()],
      [user("q")],
    ],
  ])("%s", (_what, before, after) => {
    expect(pairToolCalls(before)).toEqual(after);
  });
});

describe("G1 every call has an id that all providers take, and no other call has", () => {
  const idsIn = (messages: readonly Message[]) =>
    messages.flatMap(({ content }) =>
      typeof content === "string" ? [] : content.flatMap((part) => ("toolCallId" in part ? [part.toolCallId] : [])),
    );
  const [calls, long] = [(...ids: string[]) => assistant(...ids.map((id) => call(id))), "x".repeat(64)];
  const named = (...ids: string[]) => idsIn(pairToolCalls(ids.map((id) => calls(id)))).filter((_, at) => at % 2 === 0);

  test.each<[what: string, ids: string[], names: string[]]>([
    [
      "signs that are refused are replaced",
      ["functions.search:0", "a b", "\ud83d"],
      ["functions_search_0", "a_b", "_"],
    ],
    ["ids that differ in those alone stay apart", ["a.1", "a:1", "a_1", "a.1"], ["a_1_2", "a_1_3", "a_1", "a_1_4"]],
    ["an id of 40 characters stays", ["x".repeat(40)], ["x".repeat(40)]],
    ["a long one is cut", [`${long}1`], ["x".repeat(40)]],
    ["long ones that end differently stay apart", [`${long}1`, `${long}2`], ["x".repeat(40), `${"x".repeat(32)}_2`]],
    [
      "one of 40 characters that is used again fits",
      Array(2).fill("x".repeat(40)),
      ["x".repeat(40), `${"x".repeat(32)}_2`],
    ],
    ["an empty id is an id", ["", ""], ["_", "__2"]],
    ["names that count up already are passed over", ["1", "1_2", "1", "1", "1_3"], ["1", "1_2", "1_4", "1_5", "1_3"]],
    ["ids that objects know stay", ["__proto__", "constructor"], ["__proto__", "constructor"]],
  ])("%s", (_what, ids, names) => {
    expect(named(...ids)).toEqual(names);
  });

  test("results go with their calls, by the ids they were stored under", () => {
    const messages = [calls("a.1", "a:1"), tool(result("a:1", "B"), result("a_1", "?"), result("a.1", "A"))];
    expect(pairToolCalls(messages)[1]).toEqual(tool(result("a_1", "A"), result("a_1_2", "B")));
  });

  test("the same part used in two messages is two calls", () => {
    const [same, again] = [calls("1"), tool(result("1", "A"))];
    expect(pairToolCalls([same, again, same])).toEqual([same, again, calls("1_2"), tool(lost("1_2"))]);
  });

  test("a conversation of 40,000 calls takes no time to speak of, whether ids repeat or nothing was answered", () => {
    const many = Array.from({ length: 40_000 }, (_, n) => n);
    const begun = performance.now();
    const conversations = [
      many.map(() => calls("1")),
      many.map((n) => calls(`${long}${n}`)),
      many.map((n) => calls(`${long.slice(0, 36)}${n % 20_000}`.slice(0, 40))),
      [calls(...many.map(() => "1")), tool(...many.map((n) => result("1", n)))],
      many.map((n) => calls(String(n))),
    ];
    for (const messages of conversations) {
      const ids = idsIn(pairToolCalls(messages));
      expect(new Set(ids).size).toBe(many.length);
      expect(ids.every((id) => /^[a-zA-Z0-9_-]{1,40}$/.test(id))).toBe(true);
    }
    expect(performance.now() - begun).toBeLessThan(5000);
  });
});

test("what else a message carries stays with it", () => {
  const message: Message = {
    role: "assistant",
    name: "bot",
    providerData: { s: 1 },
    content: [call("1"), result("0", "x")],
  };
  expect(pairToolCalls([message])[0]).toEqual({ ...message, content: [call("1")] });
});

test("a result keeps its error mark and whatever output it had", () => {
  const failed: ContentPart = { type: "tool-result", toolCallId: "1", toolName: "search", output: null, isError: true };
  expect(pairToolCalls([assistant(call("1")), tool(failed)])[1]).toEqual(tool(failed));
});

test("pairing what is paired changes nothing, and the messages given are not touched", () => {
  const messages = [assistant(call("1"), call("2")), user("x"), tool(result("2", "B"), result("9", "?"))];
  const copy = structuredClone(messages);
  const paired = pairToolCalls(messages);
  expect(messages).toEqual(copy);
  expect(pairToolCalls(paired)).toEqual(paired);
});
