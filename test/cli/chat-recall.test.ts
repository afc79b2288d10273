import { expect, test } from "vitest";
import { recall } from "../../src/cli/chat/recall.js";
import type { Message } from "../../src/index.js";

const heard = (...texts: string[]): Message[] =>
  texts.flatMap((text, index): Message[] => [
    ...(index === 0 ? [] : [{ role: "assistant" as const, content: `reply with ALPHA number ${index}` }]),
    { role: "user", content: text },
  ]);

const from = (name: string, text: string): Message => ({ role: "user", name, content: `${name}: ${text}` });

const FIRST = "This is our first conversation! I know nothing yet.";
const NOTHING = "Nothing was said about that in this conversation.";

test.each([
  ["What secrets do you know?", 'I was told "My secret is ALPHA".'],
  ["What is my name?", 'I was told "My name is Ann".'],
  ["what's my NAME", 'I was told "My name is Ann".'],
  ["What was the last message?", 'The last message was "The bus leaves at 8".'],
  ["What do you know about buses or the bus?", 'I was told "The bus leaves at 8".'],
  ["What do you know?", 'I was told "My secret is ALPHA", "My name is Ann", "The bus leaves at 8".'],
  ["Do you remember anything I told you?", 'I was told "My secret is ALPHA", "My name is Ann", "The bus leaves at 8".'],
  ["Who is Bob?", NOTHING],
  ["Was BETA said?", NOTHING],
])("asked %j it quotes what was said about it", (question, answer) => {
  expect(recall(heard("My secret is ALPHA", "My name is Ann", "The bus leaves at 8", question))).toBe(answer);
});

test("with nothing before it, a question is the first conversation", () => {
  for (const question of ["What secrets do you know?", "What was the last message?", "Who am I?"])
    expect(recall(heard(question))).toBe(FIRST);
});

test("a statement is acknowledged without being repeated, a greeting is answered", () => {
  expect(recall(heard("My secret is ALPHA"))).not.toContain("ALPHA");
  expect(recall(heard("Hello!"))).toBe("Hello! This is our first conversation.");
  expect(recall(heard("My secret is ALPHA", "hi"))).toBe("Hello again! Ask me what I remember.");
});

test("only what people said is searched, neither the replies nor the system's words", () => {
  const messages: Message[] = [
    { role: "system", content: "The secret is OMEGA" },
    { role: "user", content: "Hello" },
    { role: "assistant", content: "The secret is OMEGA" },
    { role: "user", content: '[The previous reply was stopped after: "The secret is OMEGA"]' },
    { role: "user", content: "What secrets do you know?" },
  ];
  expect(recall(messages)).toBe(NOTHING);
});

test("a question asked before is no answer to the same one", () => {
  expect(recall(heard("What is my name?", "What is my name?"))).toBe(NOTHING);
});

test("where speakers are named, quotes name them, and one's own words come first", () => {
  const messages = [from("alice", "My dog is Rex"), from("bob", "@bot, my dog is Max")];
  expect(recall([...messages, from("alice", "@bot what is my dog?")], true)).toBe(
    'I heard "My dog is Rex" from alice.',
  );
  expect(recall([...messages, from("carol", "@bot what dogs do you know?")], true)).toBe(
    'I heard "My dog is Rex" from alice, "my dog is Max" from bob.',
  );
  expect(recall([...messages, from("carol", "what did bob say?")], true)).toBe('I heard "my dog is Max" from bob.');
});

test("what fits more words of the question wins, and no more than the last five are quoted, none at full length", () => {
  expect(recall(heard("My red car is fast", "My blue car is slow", "What about the blue car?"))).toBe(
    'I was told "My blue car is slow".',
  );
  const many = Array.from({ length: 9 }, (_, index) => `fact ${index} ${"x".repeat(2000)}`);
  const answer = recall(heard(...many, "What facts do you know?"));
  expect(answer.match(/"fact \d/g)).toEqual(['"fact 4', '"fact 5', '"fact 6', '"fact 7', '"fact 8']);
  expect(answer.length).toBeLessThan(2000);
});

test("an empty context is no fault", () => {
  expect(recall([])).toBe("Nobody has said anything yet.");
});
