import { MockLanguageModelV3 } from "ai/test";
import { expect, test } from "vitest";
import { z } from "zod";
import { type SessionKey, SessionManager, type SessionsConfigInput } from "../../src/index.js";
import { builders } from "../../src/testing.js";
import { all, deferred, linesOf, tempDir } from "../session/store-dir.js";
import { aiSdkLoop, type Validate } from "./ai-sdk-loop.js";

const DM = "agent:main:telegram:dm:1";
const CODER = "agent:coder:main";

const config: SessionsConfigInput = {
  agents: { list: [{ id: "main", subagents: { allowAgents: ["researcher"] } }, { id: "researcher" }, { id: "coder" }] },
  tools: { sessions: { visibility: "all" }, agentToAgent: { enabled: true, allow: ["main", "coder"] } },
};

type Call = Parameters<MockLanguageModelV3["doGenerate"]>[0];
type Answer = Awaited<ReturnType<MockLanguageModelV3["doGenerate"]>>;

const answer = (content: Answer["content"], unified: Answer["finishReason"]["unified"]): Answer => ({
  content,
  finishReason: { unified, raw: undefined },
  usage: {
    inputTokens: { total: 10, noCache: 10, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: 5, text: 5, reasoning: undefined },
  },
  warnings: [],
});

const says = (text: string) => answer([{ type: "text", text }], "stop");

let ids = 0;
const asksFor = (toolName: string, input: unknown) => {
  const text = typeof input === "string" ? input : JSON.stringify(input);
  return answer([{ type: "tool-call", toolCallId: `call-${++ids}`, toolName, input: text }], "tool-calls");
};

/** What the last tool answered, as the model is shown it. */
function lastOutput({ prompt }: Call): { type: string; value: Record<string, unknown> | string } {
  const last = prompt.at(-1);
  const part = last?.role === "tool" ? last.content.at(-1) : undefined;
  if (part?.type !== "tool-result" || !("value" in part.output)) throw new Error("No tool has answered.");
  return part.output as { type: string; value: Record<string, unknown> };
}

const lastUser = ({ prompt }: Call) => JSON.stringify(prompt.findLast(({ role }) => role === "user")?.content);

/** A model that does at its first call the first of these, and so on. */
function model(...steps: ((call: Call) => Answer | Promise<Answer>)[]): MockLanguageModelV3 {
  let calls = 0;
  return new MockLanguageModelV3({
    doGenerate: async (call) => {
      const step = steps[calls++];
      if (step === undefined) throw new Error(`The model has nothing for call ${calls}.`);
      return step(call);
    },
  });
}

function host(models: Record<string, MockLanguageModelV3>, validate?: Validate) {
  const dir = tempDir();
  const provider = aiSdkLoop(({ agentId }) => models[agentId] as MockLanguageModelV3, validate);
  return { dir, manager: new SessionManager({ dir, provider, config }) };
}

const withZod: Validate = (schema, input) => {
  const result = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(input);
  return result.success ? { success: true, value: result.data } : { success: false, error: result.error };
};

/** The lines of a session that a model may see: who, and what; of calls and results, the tool's name. */
async function spoken(manager: SessionManager, dir: string, key: string): Promise<unknown[]> {
  const lines = await linesOf(manager, dir, key as SessionKey);
  return lines.flatMap(({ role, content }) => {
    if (role === undefined) return [];
    if (typeof content === "string") return [[role, content]];
    return (content as { type: string; text?: string; toolName?: string; isError?: boolean }[]).map((part) => [
      role,
      part.text ?? part.toolName,
      ...(part.isError ? ["failed"] : []),
    ]);
  });
}

test("an AI SDK agent lists sessions, delegates research to a sub-agent, messages a coder and answers", async () => {
  const offered: string[][] = [];
  const models = {
    main: model(
      ({ tools = [] }) => {
        offered.push(tools.map(({ name }) => name));
        return asksFor("sessions_list", {});
      },
      (call) => {
        const { sessions } = lastOutput(call).value as { sessions: { key: string }[] };
        expect(sessions.map(({ key }) => key).sort()).toEqual([CODER, DM].sort());
        return asksFor("sessions_spawn", {
          task: "Who made Bitcoin?",
          agentId: "researcher",
          mode: "run",
          label: "btc",
        });
      },
      (call) => {
        expect(lastOutput(call)).toMatchObject({
          type: "json",
          value: { status: "completed", result: "Satoshi did." },
        });
        return asksFor("sessions_send", { sessionKey: CODER, message: "Write it down: Satoshi did." });
      },
      (call) => says(`It was Satoshi. The coder says: ${(lastOutput(call).value as { reply: string }).reply}`),
      ({ prompt }) => says(`I have seen ${prompt.length} messages.`),
    ),
    researcher: model((call) => {
      expect(lastUser(call)).toContain("You are a sub-agent of session");
      expect(lastUser(call)).toContain("Who made Bitcoin?");
      return says("Satoshi did.");
    }),
    coder: model((call) => {
      expect(lastUser(call)).toContain(`Message from session \\"${JSON.stringify(DM).slice(1, -1)}`);
      return says("Written.");
    }),
  };
  const { dir, manager } = host(models, withZod);
  await using _ = manager;
  await manager.open(CODER as SessionKey);
  const { dm } = builders();
  const text = "It was Satoshi. The coder says: Written.";
  expect(await manager.handle(dm("1", "Who made Bitcoin?"))).toMatchObject({ status: "replied", text });
  expect(offered).toEqual([["session_status", "sessions_list", "sessions_history", "sessions_send", "sessions_spawn"]]);

  expect(await spoken(manager, dir, DM)).toEqual([
    ["user", "Who made Bitcoin?"],
    ["assistant", "sessions_list"],
    ["tool", "sessions_list"],
    ["assistant", "sessions_spawn"],
    ["tool", "sessions_spawn"],
    ["assistant", "sessions_send"],
    ["tool", "sessions_send"],
    ["assistant", text],
  ]);
  const [subagent] = await manager.subagents(DM);
  expect(subagent).toMatchObject({ status: "completed", label: "btc", usage: { input: 10, output: 5 } });
  expect(subagent?.key).toMatch(/^agent:researcher:subagent:/);
  expect(await spoken(manager, dir, String(subagent?.key))).toEqual([
    ["user", "Who made Bitcoin?"],
    ["assistant", "Satoshi did."],
  ]);
  expect(await spoken(manager, dir, CODER)).toEqual([
    ["user", "Write it down: Satoshi did."],
    ["assistant", "Written."],
  ]);
  const [message] = await all(manager.history(CODER));
  expect(message?.provenance).toMatchObject({ kind: "inter-session", from: DM, hops: 1 });
  // Four calls of its own, and one of the sub-agent; the coder's are the coder's.
  expect((await manager.get(DM))?.usageTotal).toMatchObject({ input: 50, output: 25 });
  for (const { key } of await all(manager.list()))
    expect(await manager.get(key)).toMatchObject({ openTurns: [], waiting: [], subagents: [] });
  // The AI SDK refuses a prompt in which a call has no result.
  expect(await manager.handle(dm("1", "And now?"))).toMatchObject({ text: "I have seen 9 messages." });
});

const WRONG: [what: string, toolName: string, input: unknown, says: RegExp][] = [
  ["a value of the wrong type", "sessions_spawn", { task: 7 }, /task|string/],
  ["a missing value", "sessions_send", { sessionKey: CODER }, /message|string/],
  ["a word that is none of those", "sessions_spawn", { task: "x", mode: "later" }, /mode|later|run/],
  ["a number out of its bounds", "sessions_list", { limit: 1000 }, /limit|200/],
  [
    "a name that is no parameter",
    "sessions_send",
    { sessionKey: CODER, message: "x", from: "agent:boss:main" },
    /from/,
  ],
  ["half an input", "sessions_spawn", '{"task":"x"', /JSON|parse/i],
  ["a tool that is not there", "sessions_delete", {}, /sessions_delete/],
];

test.each([
  ["checks inputs by the tools' schemas", withZod],
  ["checks nothing, so that the tools do", undefined],
] as const)(
  "where the AI SDK %s, a wrong input is an error that the model sees, and the loop goes on",
  async (_, validate) => {
    const seen: { type: string; value: unknown }[] = [];
    const main = model(
      ...WRONG.map(([, toolName, input], at) => (call: Call) => {
        if (at > 0) seen.push(lastOutput(call));
        return asksFor(toolName, input);
      }),
      (call) => {
        seen.push(lastOutput(call));
        return asksFor("sessions_spawn", { task: "right", agentId: "researcher" });
      },
      (call) => says(`At last: ${(lastOutput(call).value as { result: string }).result}`),
      () => says("goes on"),
    );
    const { dir, manager } = host({ main, researcher: model(() => says("done")) }, validate);
    await using _manager = manager;
    const { dm } = builders();
    expect(await manager.handle(dm("1", "try"))).toMatchObject({ status: "replied", text: "At last: done" });
    for (const [at, [what, toolName, input, message]] of WRONG.entries()) {
      const { type, value } = seen[at] ?? {};
      const byAiSdk = validate !== undefined || typeof input === "string" || toolName === "sessions_delete";
      expect([what, type]).toEqual([what, byAiSdk ? "error-text" : "json"]);
      const error = byAiSdk ? value : (value as { error: string }).error;
      expect([what, error]).toEqual([what, expect.stringMatching(message)]);
    }
    const told = (await spoken(manager, dir, DM)).filter((line) => (line as string[])[0] === "tool");
    expect(told.filter((line) => (line as string[])[2] === "failed")).toHaveLength(validate === undefined ? 2 : 7);
    expect(told).toHaveLength(WRONG.length + 1);
    // Nothing came of what was wrong.
    expect((await all(manager.list())).map(({ key }) => key.split(":").slice(0, 3).join(":")).sort()).toEqual([
      "agent:main:telegram",
      "agent:researcher:subagent",
    ]);
    expect(await manager.handle(dm("1", "and?"))).toMatchObject({ text: "goes on" });
  },
);

test("G20 /stop ends an AI SDK loop that waits for a sub-agent, and the sub-agent's own", async () => {
  const working = deferred();
  const endless = ({ abortSignal }: Call) =>
    new Promise<Answer>((_resolve, reject) => {
      abortSignal?.addEventListener("abort", () => reject(abortSignal.reason));
      working.resolve();
    });
  const main = model(
    () => asksFor("sessions_spawn", { task: "never ends", agentId: "researcher" }),
    () => says("here again"),
  );
  const { manager } = host({ main, researcher: model(endless) }, withZod);
  await using _ = manager;
  const { dm } = builders();
  const turn = manager.handle(dm("1", "go"));
  await working.promise;
  await manager.handle(dm("1", "/stop"));
  expect(await turn).toMatchObject({ status: "aborted" });
  expect(await manager.handle(dm("1", "still there?"))).toMatchObject({ text: "here again" });
  expect((await manager.subagents(DM)).map(({ status }) => status)).toEqual(["killed"]);
});
