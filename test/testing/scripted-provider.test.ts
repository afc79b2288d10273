import { describe, expect, test } from "vitest";
import type { GenerateRequest, Message, SessionKey } from "../../src/index.js";
import { type ScriptedStep, scriptedProvider } from "../../src/testing/scripted-provider.js";

type Tool = GenerateRequest["tools"][number];

const toolOf = (name: string, execute: Tool["execute"]): Tool => ({
  name,
  description: name,
  inputSchema: {},
  execute,
});
const echo = toolOf("echo", async (input) => ({ said: input }));
const broken = toolOf("broken", async () => {
  throw new Error("out of order");
});

function requestOf(tools: readonly Tool[] = [echo, broken], signal = new AbortController().signal) {
  const recorded: Message[] = [];
  const request: GenerateRequest = {
    purpose: "reply",
    key: "agent:main:main" as SessionKey,
    uuid: "u",
    agentId: "main",
    model: undefined,
    messages: [{ role: "user", content: "hi" }],
    tools,
    signal,
    emit: () => {},
    record: async (message) => void recorded.push(structuredClone(message)),
  };
  return { request, recorded };
}

const callOf = (toolCallId: string, toolName: string, input: unknown) => ({
  type: "tool-call",
  toolCallId,
  toolName,
  input,
});
const resultOf = (toolCallId: string, toolName: string, output: unknown) => ({
  type: "tool-result",
  toolCallId,
  toolName,
  output,
});

describe("a step that calls tools", () => {
  test("stores the calls, then the results in the order of the calls, and goes on with the next step", async () => {
    const { request, recorded } = requestOf();
    const provider = scriptedProvider([
      { toolCalls: [{ toolName: "echo", input: { n: 1 } }, { toolName: "echo" }] },
      "done",
    ]);
    expect(await provider.generate(request)).toBe("done");
    expect(recorded).toEqual([
      { role: "assistant", content: [callOf("call_1", "echo", { n: 1 }), callOf("call_2", "echo", {})] },
      {
        role: "tool",
        content: [resultOf("call_1", "echo", { said: { n: 1 } }), resultOf("call_2", "echo", { said: {} })],
      },
    ]);
  });

  test("makes a request of its own, with what a model would see then", async () => {
    const { request, recorded } = requestOf();
    const provider = scriptedProvider([{ toolCalls: [{ toolName: "echo" }] }, "done"]);
    await provider.generate(request);
    expect(provider.requests.map(({ messages }) => messages)).toEqual([
      request.messages,
      [...request.messages, ...recorded],
    ]);
    expect(provider.requests[1]?.tools[0]).toBe(echo);
    (request.messages as Message[])[0] = { role: "user", content: "changed" };
    expect(provider.requests[1]?.messages[0]?.content).toBe("hi");
  });

  test("has an error for a tool that is unknown and for one that throws", async () => {
    const { request, recorded } = requestOf();
    const toolCalls = [{ toolName: "nothing" }, { toolName: "broken" }, { toolName: "echo" }];
    await scriptedProvider([{ toolCalls }, "done"]).generate(request);
    expect(recorded[1]?.content).toEqual([
      { ...resultOf("call_1", "nothing", { error: "There is no tool nothing." }), isError: true },
      { ...resultOf("call_2", "broken", { error: "out of order" }), isError: true },
      resultOf("call_3", "echo", { said: {} }),
    ]);
  });

  test("runs its tools side by side", async () => {
    let bothRun = () => {};
    const both = new Promise<void>((resolve) => {
      bothRun = resolve;
    });
    let running = 0;
    const waits = toolOf("waits", async () => {
      running += 1;
      if (running === 2) bothRun();
      await both;
      return { running };
    });
    const { request, recorded } = requestOf([waits]);
    await scriptedProvider([{ toolCalls: [{ toolName: "waits" }, { toolName: "waits" }] }, "done"]).generate(request);
    expect(recorded[1]?.content).toHaveLength(2);
  });

  test("numbers its calls on over all calls of generate, and takes each step of the list once", async () => {
    const provider = scriptedProvider([
      { toolCalls: [{ toolName: "echo" }] },
      "first",
      { toolCalls: [{ toolName: "echo" }] },
      { toolCalls: [{ toolName: "echo" }] },
      "second",
    ]);
    const one = requestOf();
    const other = requestOf();
    expect(await provider.generate(one.request)).toBe("first");
    expect(await provider.generate(other.request)).toBe("second");
    const ids = [...one.recorded, ...other.recorded].map(
      ({ content }) => (content[0] as { toolCallId: string }).toolCallId,
    );
    expect(ids).toEqual(["call_1", "call_1", "call_2", "call_2", "call_3", "call_3"]);
    expect(provider.requests).toHaveLength(5);
    await expect(provider.generate(one.request)).rejects.toThrow("no step for call 6");
  });
});

describe("a function of the script", () => {
  test("in place of the list is asked again after each step, with the outputs so far of this call", async () => {
    const asked: unknown[] = [];
    const provider = scriptedProvider(({ messages }, results) => {
      asked.push([messages.length, results]);
      return results.length < 2 ? { toolCalls: [{ toolName: "echo", input: results.length }] } : "done";
    });
    expect(await provider.generate(requestOf().request)).toBe("done");
    const all = [
      [1, []],
      [3, [{ said: 0 }]],
      [5, [{ said: 0 }, { said: 1 }]],
    ];
    expect(asked).toEqual(all);
    await provider.generate(requestOf().request);
    expect(asked).toEqual([...all, ...all]);
  });

  test("in the list gets the outputs too, and may call tools", async () => {
    const steps: ScriptedStep[] = [
      { toolCalls: [{ toolName: "echo", input: "a" }] },
      async (_request, [first]) => ({ toolCalls: [{ toolName: "echo", input: first }] }),
      async (_request, results) => ({ messages: [{ role: "assistant", content: JSON.stringify(results) }] }),
    ];
    expect(await scriptedProvider(steps).generate(requestOf().request)).toEqual({
      messages: [{ role: "assistant", content: '[{"said":"a"},{"said":{"said":"a"}}]' }],
    });
  });

  test("may answer with a function or an error", async () => {
    expect(await scriptedProvider(() => async () => "inner").generate(requestOf().request)).toBe("inner");
    await expect(scriptedProvider(() => new Error("down")).generate(requestOf().request)).rejects.toThrow("down");
  });
});

describe("an aborted request", () => {
  test("ends the loop with the signal's reason, and its tools are told", async () => {
    const controller = new AbortController();
    const stops = toolOf("stops", async (_input, options) => {
      controller.abort(new Error("stopped"));
      return { aborted: options?.signal?.aborted };
    });
    const { request, recorded } = requestOf([stops], controller.signal);
    const provider = scriptedProvider([{ toolCalls: [{ toolName: "stops" }] }, "never said"]);
    await expect(provider.generate(request)).rejects.toThrow("stopped");
    expect(recorded).toHaveLength(1);
    expect(provider.requests).toHaveLength(1);
  });

  test("does not wait for a tool that goes on", async () => {
    const controller = new AbortController();
    const hangs = toolOf("hangs", () => {
      controller.abort(new Error("stopped"));
      return new Promise(() => {});
    });
    const { request } = requestOf([hangs], controller.signal);
    await expect(scriptedProvider([{ toolCalls: [{ toolName: "hangs" }] }]).generate(request)).rejects.toThrow(
      "stopped",
    );
  });

  test("calls no tool when it was aborted before", async () => {
    const { request, recorded } = requestOf([echo], AbortSignal.abort(new Error("stopped")));
    await expect(scriptedProvider([{ toolCalls: [{ toolName: "echo" }] }]).generate(request)).rejects.toThrow(
      "stopped",
    );
    expect(recorded).toEqual([]);
  });
});
