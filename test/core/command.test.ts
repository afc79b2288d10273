import { describe, expect, test } from "vitest";
import { commandName, isHarmless } from "../../src/core/command.js";
import { COMMANDS, type Command, type CommandName, parseCommand } from "../../src/core.js";

const NAMES = Object.keys(COMMANDS) as CommandName[];

test.each<[text: string, command: Command]>([
  ["/model gpt-4o", { name: "model", model: "gpt-4o" }],
  ["/model anthropic/claude-sonnet-4-20250514", { name: "model", model: "anthropic/claude-sonnet-4-20250514" }],
  ["/model", { name: "model" }],
  ["/model GPT-4o", { name: "model", model: "GPT-4o" }],
  ["/model default", { name: "model", model: "default" }],
  ["/model __proto__", { name: "model", model: "__proto__" }],
  ["/model gpt 4o", { name: "usage", of: "model" }],
  [`/model ${"x".repeat(257)}`, { name: "usage", of: "model" }],
  ["/activation", { name: "activation" }],
  ["/activation always", { name: "activation", mode: "always" }],
  ["/activation MENTION", { name: "activation", mode: "mention" }],
  ["/activation: always", { name: "activation", mode: "always" }],
  ["/activation bogus", { name: "usage", of: "activation" }],
  ["/clear", { name: "clear" }],
  ["/new", { name: "new" }],
  ["/status", { name: "status" }],
  ["/stop", { name: "stop" }],
  ["/help", { name: "help" }],
  ["/clear everything", { name: "usage", of: "clear" }],
  ["/new topic", { name: "usage", of: "new" }],
  ["/CLEAR", { name: "clear" }],
  ["/Model GPT", { name: "model", model: "GPT" }],
  ["  /clear\n", { name: "clear" }],
  ["/clear:", { name: "clear" }],
  ["/model\ngpt-4o", { name: "model", model: "gpt-4o" }],
  ["/model   gpt-4o   ", { name: "model", model: "gpt-4o" }],
  ["/clear@mybot", { name: "clear" }],
  ["/MODEL@MyBot gpt-4o", { name: "model", model: "gpt-4o" }],
  ["/activation@mybot: always", { name: "activation", mode: "always" }],
])("%j is a command", (text, command) => {
  expect(parseCommand(text)).toEqual(command);
});

test.each([
  "",
  "/",
  "hello",
  "clear",
  "please /clear",
  "//clear",
  "/ clear",
  "/foo",
  "/reset",
  "/clear2",
  "/clearly",
  "/models",
  "/clear.",
  "/clear-all",
  "/clear@",
  "/clear @mybot@x".replace(" ", ""),
  "/etc/passwd",
  "/model/gpt-4o",
  "/constructor",
  "/__proto__",
  "/hasOwnProperty",
  "/toString",
  "/usage",
  "\\clear",
  "／clear",
  "/ｃlear",
  "/cle\u0430r",
  "/\u017ftatus",
  "/clear\u200b",
])("G15 %j goes to the model", (text) => {
  expect(parseCommand(text, { botName: "mybot" })).toBeUndefined();
});

describe("a command addressed to a bot by name", () => {
  test.each(["mybot", "@mybot", "MyBot", "@MYBOT"])("is ours when the bot is called %j", (botName) => {
    expect(parseCommand("/clear@MyBot", { botName })).toEqual({ name: "clear" });
    expect(parseCommand("/clear", { botName })).toEqual({ name: "clear" });
  });

  test("is not ours when it names another", () => {
    for (const text of ["/clear@other_bot", "/clear@mybot2", "/clear@mybo", "/model@other x"])
      expect(parseCommand(text, { botName: "mybot" })).toBeUndefined();
  });

  test("is taken for ours when the host does not say how it is called", () => {
    expect(parseCommand("/clear@other_bot")).toEqual({ name: "clear" });
    expect(parseCommand("/clear@other_bot", { botName: undefined })).toEqual({ name: "clear" });
  });
});

test("every command is read from its bare word, and has its usage and what it is about", () => {
  for (const name of NAMES) {
    expect(parseCommand(`/${name}`)).toEqual({ name });
    expect(COMMANDS[name].usage).toMatch(new RegExp(`^/${name}( |$)`));
    expect(COMMANDS[name].about).not.toBe("");
  }
});

test("a command given wrongly counts as that command", () => {
  expect(commandName({ name: "usage", of: "model" })).toBe("model");
  expect(commandName({ name: "clear" })).toBe("clear");
});

test("G15 only looking is harmless", () => {
  expect(NAMES.filter(isHarmless)).toEqual(["status", "help"]);
});

test("a megabyte of a command is read in no time", () => {
  for (const filler of [" ", "a", ":", "@", "\n", "a@"]) {
    const text = `/model${filler.repeat(1_000_000 / filler.length)}`;
    const start = performance.now();
    parseCommand(text);
    parseCommand(`${text}\u0000`);
    expect(performance.now() - start).toBeLessThan(1000);
  }
});
