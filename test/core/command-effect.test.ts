import { describe, expect, test } from "vitest";
import { type CommandEffect, type CommandSurroundings, commandEffect } from "../../src/core/command-effect.js";
import {
  buildContext,
  COMMANDS,
  initialRecord,
  parseCommand,
  project,
  resolveSessionKey,
  type SessionRecord,
  type StatePatch,
  type TranscriptEntry,
} from "../../src/core.js";
import { builders } from "../../src/testing.js";

const key = {
  dm: resolveSessionKey({ chatType: "dm", channel: "telegram", peerId: "42" }),
  group: resolveSessionKey({ chatType: "group", channel: "telegram", groupId: "-100" }),
};

function recordOf(kind: keyof typeof key = "dm", patch: StatePatch = {}): SessionRecord {
  const record = initialRecord({ key: key[kind], uuid: "u", created: "2026-01-01T00:00:00.000Z" });
  return project(record, [builders().state(patch)]);
}

function give(text: string, around: Partial<CommandSurroundings> = {}): CommandEffect {
  const command = parseCommand(text);
  if (command === undefined) throw new Error(`${text} is no command.`);
  return commandEffect(command, {
    record: recordOf(),
    agentModel: "house-model",
    busy: false,
    subagents: 0,
    size: undefined,
    resolveModel: (name) => name,
    ...around,
  });
}

describe("/model NAME", () => {
  test("sets the override to what the name resolves to", () => {
    const effect = give("/model fast", { resolveModel: (name) => `vendor/${name}` });
    expect(effect).toEqual({ reply: expect.stringContaining("vendor/fast"), patch: { modelOverride: "vendor/fast" } });
  });

  test("is refused when the name resolves to nothing", () => {
    const effect = give("/model nonsense", { resolveModel: () => undefined });
    expect(effect).toEqual({ reply: expect.stringContaining("not changed") });
    expect(effect.reply).not.toContain("nonsense");
  });

  test.each(["default", "DEFAULT"])("with the word %s unsets the override without asking the host", (word) => {
    const effect = give(`/model ${word}`, {
      record: recordOf("dm", { modelOverride: "gpt-4o" }),
      resolveModel: () => {
        throw new Error("asked");
      },
    });
    expect(effect).toEqual({ reply: give("/model").reply, patch: { modelOverride: null } });
  });
});

describe("/model", () => {
  test("shows the override and what it overrides, and changes nothing", () => {
    const effect = give("/model", { record: recordOf("dm", { modelOverride: "gpt-4o" }) });
    expect(Object.keys(effect)).toEqual(["reply"]);
    expect(effect.reply).toContain("gpt-4o");
    expect(effect.reply).toContain("house-model");
  });

  test("shows the agent's model, else the one of the last turn, else that the host decides", () => {
    expect(give("/model").reply).toContain("house-model");
    expect(give("/model", { agentModel: undefined, record: recordOf("dm", { model: "last" }) }).reply).toContain(
      "last",
    );
    expect(give("/model", { agentModel: undefined }).reply).toContain("host's default");
  });
});

describe("/activation", () => {
  test("sets the mode it names", () => {
    expect(give("/activation always", { record: recordOf("group") })).toEqual({
      reply: expect.stringContaining("always"),
      patch: { activationMode: "always" },
    });
    expect(give("/activation MENTION", { record: recordOf("group") }).patch).toEqual({ activationMode: "mention" });
  });

  test("shows the mode when it names none", () => {
    expect(give("/activation", { record: recordOf("group") })).toEqual({ reply: expect.stringContaining("mention") });
  });

  test("says in a dm that it takes effect in groups", () => {
    expect(give("/activation mention").reply).toContain("groups");
    expect(give("/activation mention", { record: recordOf("group") }).reply).not.toContain("groups");
  });
});

test("/stop stops what runs or waits, and says when there is nothing", () => {
  expect(give("/stop", { busy: true })).toEqual({ reply: expect.any(String), stop: true });
  expect(give("/stop", { subagents: 1 })).toEqual({ reply: expect.any(String), stop: true });
  expect(give("/status", { subagents: 2 }).reply).toContain("Sub-agents at work: 2");
  expect(give("/stop")).toEqual({ reply: expect.any(String) });
});

test("/status shows the key, the model, the size and what goes on, and changes nothing", () => {
  const record = project(recordOf(), [builders().user("a"), builders().assistant("b")]);
  const size = { tokensUsed: 12_500, tokensSource: "provider", contextWindow: 200_000, compactAt: 180_000 };
  const effect = give("/status", { record, busy: true, size });
  expect(Object.keys(effect)).toEqual(["reply"]);
  for (const fact of [
    record.key,
    "house-model",
    "Messages: 2",
    "12500 of 200000 (6 %)",
    "above 180000",
    "always",
    "being written",
  ])
    expect(effect.reply).toContain(fact);
  const estimated = give("/status", { record, size: { ...size, tokensSource: "estimate" } });
  expect(estimated.reply).toContain("Tokens: about 12500");
});

test("G12 /status tells how often the session was compacted, and that memory could not be saved", () => {
  const b = builders();
  const kept = b.user("kept");
  const compacted = project(recordOf(), [kept, b.compaction("S", kept.id)]);
  expect(give("/status", { record: compacted }).reply).toContain("Compactions: 1, the last at 2026-03-18T10:00:");
  expect(give("/status").reply).toContain("Compactions: 0\n");
  const failed = project(compacted, [b.memoryFlush("failed")]);
  expect(give("/status", { record: failed }).reply).toContain("memory could not be saved");
});

test("/compact compacts, with what it is to take care of, and changes nothing else", () => {
  expect(give("/compact")).toEqual({ reply: expect.any(String), compact: {} });
  expect(give("/compact the deploy  steps")).toEqual({
    reply: expect.any(String),
    compact: { instructions: "the deploy  steps" },
  });
});

test("/help lists every command once, and changes nothing", () => {
  const effect = give("/help");
  expect(Object.keys(effect)).toEqual(["reply"]);
  expect(effect.reply.split("\n")).toHaveLength(Object.keys(COMMANDS).length);
  for (const { usage, about } of Object.values(COMMANDS)) expect(effect.reply).toContain(`${usage} - ${about}`);
});

test.each(["/clear now", "/model two words", "/activation never", "/stop it"])(
  "%s is answered with the usage, and changes nothing",
  (text) => {
    const effect = give(text);
    expect(Object.keys(effect)).toEqual(["reply"]);
    expect(effect.reply).toMatch(/^Usage: \//);
  },
);

describe("what a command keeps", () => {
  const b = builders();
  const set: TranscriptEntry[] = [
    b.state({ model: "house-model", modelOverride: "gpt-4o", activationMode: "always", extra: { lang: "de" } }),
    b.user("My secret is ALPHA"),
  ];

  function outcomeOf(text: string) {
    const record = project(recordOf("group"), set);
    const { patch, clear } = give(text, { record });
    const entries = [...set, ...(patch ? [b.state(patch)] : []), ...(clear ? [b.clear()] : [])];
    return { messages: buildContext(entries).messages, state: project(recordOf("group"), entries).state };
  }

  test("G15 /clear empties the history and keeps all state", () => {
    expect(outcomeOf("/clear")).toEqual({
      messages: [],
      state: expect.objectContaining({ modelOverride: "gpt-4o", activationMode: "always", extra: { lang: "de" } }),
    });
  });

  test("G15 /new empties the history and puts model and activation back; the host's settings stay", () => {
    expect(outcomeOf("/new")).toEqual({
      messages: [],
      state: expect.objectContaining({
        model: "house-model",
        modelOverride: null,
        activationMode: "mention",
        extra: { lang: "de" },
      }),
    });
    expect(give("/new").patch).toEqual({ modelOverride: null, activationMode: "always" });
  });

  test.each(["/model", "/model x", "/activation mention", "/status", "/help", "/stop", "/clear what"])(
    "G15 %s keeps the history",
    (text) => {
      expect(outcomeOf(text).messages).toHaveLength(1);
    },
  );
});
