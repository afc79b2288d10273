import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { type ModelServerError, openAiModel } from "../../src/cli/chat/openai-model.js";
import { serverSentData } from "../../src/cli/chat/server-sent-events.js";
import type { GenerateRequest, Message, SessionKey } from "../../src/index.js";
import { all, filesBelow, tempDir } from "../session/store-dir.js";
import { EVENT_STREAM, modelServer, sendStream, streamOf } from "./chat-model-server.js";
import { talk } from "./chat-talk.js";

const ALICE = "agent:main:telegram:dm:alice";

function request(messages: Message[], more: Partial<GenerateRequest> = {}): GenerateRequest {
  return {
    purpose: "reply",
    key: ALICE as SessionKey,
    uuid: "00000000-0000-4000-8000-000000000000",
    agentId: "main",
    model: undefined,
    messages,
    tools: [],
    signal: new AbortController().signal,
    emit: () => undefined,
    record: async () => undefined,
    ...more,
  };
}

const said = (content: string): Message => ({ role: "user", content });

test("a chat talks to the server that the environment names, and each session sends only its own words", async () => {
  const server = await modelServer((response, { body }) => sendStream(response, [`${body.messages.length} `, "heard"]));
  const ran = await talk(
    tempDir(),
    ["one", "two", "/as telegram:bob", "three", "/in telegram:group:-1", "four", "@bot five"],
    { env: server.env },
  );
  expect(ran.stdout).toContain(`Model: small at ${new URL(server.baseUrl).host}\n`);
  expect(ran.said.filter((line) => line.includes("heard"))).toEqual([
    `[${ALICE}] bot: 1 heard`,
    `[${ALICE}] bot: 3 heard`,
    "[agent:main:telegram:dm:bob] bot: 1 heard",
    "[agent:main:telegram:group:-1] bot: 2 heard",
  ]);
  expect(server.asked[1]).toMatchObject({
    method: "POST",
    path: "/v1/chat/completions",
    authorization: "Bearer key-1",
    body: {
      model: "small",
      stream: true,
      stream_options: { include_usage: true },
      messages: [
        { role: "user", content: "one" },
        { role: "assistant", content: "1 heard" },
        { role: "user", content: "two" },
      ],
    },
  });
  expect(server.asked[3]?.body.messages).toEqual([
    { role: "user", content: "bob: four" },
    { role: "user", content: "bob: @bot five" },
  ]);
});

test("the model chosen with /model wins over the environment's, until /model default", async () => {
  const server = await modelServer((response, { body }) => sendStream(response, [body.model]));
  const { said } = await talk(tempDir(), ["a", "/model big", "b", "/model default", "c"], { env: server.env });
  expect(said.filter((line) => !line.includes("Model"))).toEqual(
    ["small", "big", "small"].map((model) => `[${ALICE}] bot: ${model}`),
  );
});

test("a local server needs no key, and a slash at the end of its address is fine", async () => {
  const server = await modelServer((response) => sendStream(response, ["ok"]));
  const ran = await talk(tempDir(), ["hello"], {
    env: { OPENAI_BASE_URL: `${server.baseUrl}/`, OPENAI_MODEL: "small" },
  });
  expect(ran.said).toEqual([`[${ALICE}] bot: ok`]);
  expect(ran.stdout).toContain("without OPENAI_API_KEY");
  expect(server.asked[0]).toMatchObject({ path: "/v1/chat/completions", authorization: undefined });
});

test.each([
  [{ OPENAI_MODEL: "m" }, "OPENAI_BASE_URL must be set too"],
  [{ OPENAI_BASE_URL: "http://127.0.0.1:1" }, "OPENAI_MODEL must be set too"],
  [{ OPENAI_API_KEY: "k" }, "OPENAI_BASE_URL and OPENAI_MODEL must be set too"],
  [{ OPENAI_BASE_URL: "http://127.0.0.1:1", OPENAI_MODEL: " " }, "OPENAI_MODEL must be set too"],
])("with only %j set, the offline model answers and what is missing is said", async (env, missing) => {
  const { stdout, said, code } = await talk(tempDir(), ["hello"], { env });
  expect(stdout.split("\n")[1]).toBe(`Model: offline, recalls what its conversation holds (for a server, ${missing})`);
  expect(said).toEqual([`[${ALICE}] bot: Hello! This is our first conversation.`]);
  expect(code).toBe(0);
});

test("an address that is none exits 1 before anything is written", async () => {
  const dir = tempDir();
  const ran = await talk(dir, ["hello"], { env: { OPENAI_BASE_URL: "localhost:8080", OPENAI_MODEL: "m" } });
  expect(ran).toMatchObject({ code: 1, stdout: "" });
  expect(ran.stderr).toContain("OPENAI_BASE_URL");
  expect(filesBelow(dir).size).toBe(0);
});

test("the usage is kept with the cached part apart, and /status shows the tokens", async () => {
  const usage = { prompt_tokens: 1200, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 1000 } };
  const server = await modelServer((response) => sendStream(response, ["ok"], { usage }));
  const dir = tempDir();
  const { said } = await talk(dir, ["hello", "/status"], { env: server.env });
  expect(said).toContain("  Tokens: 1205 of 200000 (1 %); compacted above 180000");
  expect([...filesBelow(dir).values()].join()).toContain('"usage":{"input":200,"output":5,"cacheRead":1000}');
});

test("a stream means the same wherever it is cut, with LF, CRLF and CR", async () => {
  const pieces = ["Grüße ", "an 日本 ", "👋\n", "{}[DONE]"];
  for (const lineEnd of ["\n", "\r\n", "\r"]) {
    const twoLines = ["data: first", "data: second", "", ""].join(lineEnd);
    const bytes = Buffer.from(streamOf(pieces, { lineEnd }) + twoLines);
    const whole = await all(serverSentData(chunks([bytes])));
    expect(whole).toHaveLength(pieces.length + 4);
    expect(whole.slice(-2)).toEqual(["[DONE]", "first\nsecond"]);
    expect(JSON.parse(whole[2] ?? "").choices[0].delta.content).toBe(pieces[1]);
    for (let cut = 1; cut < bytes.length; cut += 1)
      expect(await all(serverSentData(chunks([bytes.subarray(0, cut), bytes.subarray(cut)])))).toEqual(whole);
    expect(await all(serverSentData(chunks(Array.from(bytes, (byte) => Uint8Array.of(byte)))))).toEqual(whole);
  }
});

test("an event may have several data lines, other fields, and no blank line after the last", async () => {
  const text = "event: x\nid: 1\ndata: a\ndata:b\ndata\n\n:\n\nretry: 5\n\ndata: last";
  expect(await all(serverSentData(chunks([Buffer.from(text)])))).toEqual(["a\nb\n", "last"]);
});

async function* chunks(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* parts;
}

test("an answer that comes in byte by byte is emitted piece by piece and returned whole", async () => {
  const pieces = ["Grüße ", "an ", "日本 👋"];
  const server = await modelServer(async (response) => {
    response.writeHead(200, EVENT_STREAM);
    response.socket?.setNoDelay(true);
    for (const byte of Buffer.from(streamOf(pieces, { lineEnd: "\r\n" })))
      await new Promise<void>((written) => response.write(Uint8Array.of(byte), () => written()));
    response.end();
  });
  const emitted: string[] = [];
  const model = openAiModel({ baseUrl: server.baseUrl, apiKey: undefined, model: "small" });
  const answer = await model.generate(request([said("hi")], { emit: (text) => emitted.push(text) }));
  expect(emitted).toEqual(pieces);
  expect(answer).toEqual({ messages: [{ role: "assistant", content: pieces.join("") }], stopReason: "stop" });
});

test("a server that cannot stream and answers at once is understood", async () => {
  const server = await modelServer((response) => {
    response.writeHead(200, { "content-type": "application/json; charset=utf-8" });
    response.end(JSON.stringify({ choices: [{ message: { content: "whole" }, finish_reason: "stop" }] }));
  });
  expect((await talk(tempDir(), ["hello"], { env: server.env })).said).toEqual([`[${ALICE}] bot: whole`]);
});

test("tool calls and results of another host's store keep their pairs, and media its name", async () => {
  const server = await modelServer((response) => sendStream(response, ["ok"]));
  const model = openAiModel({ baseUrl: server.baseUrl, apiKey: undefined, model: "small" });
  await model.generate(
    request([
      {
        role: "user",
        content: [
          { type: "text", text: "see" },
          { type: "image", mediaType: "image/png", url: "x" },
        ],
      },
      { role: "assistant", content: [{ type: "tool-call", toolCallId: "c1", toolName: "look", input: { a: 1 } }] },
      { role: "tool", content: [{ type: "tool-result", toolCallId: "c1", toolName: "look", output: { b: 2 } }] },
    ]),
  );
  expect(server.asked[0]?.body.messages).toEqual([
    { role: "user", content: "see\n[image: image/png]" },
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "c1", type: "function", function: { name: "look", arguments: '{"a":1}' } }],
    },
    { role: "tool", tool_call_id: "c1", content: '{"b":2}' },
  ]);
});

const FAULTS: [string, (response: ServerResponse) => void, string, number | undefined][] = [
  [
    "a refusal",
    (response) => {
      response.writeHead(401, { "content-type": "application/json" });
      response.end(JSON.stringify({ error: { code: "invalid_api_key", message: "you said: my SECRET words" } }));
    },
    "The model server answered 401 (invalid_api_key).",
    401,
  ],
  [
    "a proxy's page",
    (response) => {
      response.writeHead(502, { "content-type": "text/html" });
      response.end("<h1>SECRET</h1>");
    },
    "The model server answered 502.",
    502,
  ],
  [
    "a stream that breaks off between events",
    (response) => {
      response.writeHead(200, EVENT_STREAM);
      response.end(`data: ${JSON.stringify({ choices: [{ delta: { content: "half" } }] })}\n\n`);
    },
    "The model server broke off its answer.",
    undefined,
  ],
  [
    "a connection that breaks",
    (response) => {
      response.writeHead(200, EVENT_STREAM);
      response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: "half" } }] })}\n\n`, () =>
        response.destroy(),
      );
    },
    "The model server broke off its answer (UND_ERR_SOCKET).",
    undefined,
  ],
  [
    "an error in the stream",
    (response) => {
      response.writeHead(200, EVENT_STREAM);
      response.end(`data: ${JSON.stringify({ error: { type: "overloaded", message: "SECRET" } })}\n\n`);
    },
    "The model server broke off its answer (overloaded).",
    undefined,
  ],
  [
    "a stream that is no JSON",
    (response) => {
      response.writeHead(200, EVENT_STREAM);
      response.end("data: SECRET\n\n");
    },
    "The model server streamed something that is no JSON.",
    undefined,
  ],
];

test.each(FAULTS)(
  "%s is a typed error with its status and without the conversation",
  async (_, fail, message, status) => {
    const server = await modelServer(fail);
    const model = openAiModel({ baseUrl: server.baseUrl, apiKey: "key-1", model: "small" });
    const failed = model.generate(request([said("my SECRET words")]));
    const error = await failed.then(
      () => undefined,
      (thrown: ModelServerError) => thrown,
    );
    expect(error).toMatchObject({ name: "ModelServerError", message, status });
    expect(JSON.stringify([error?.message, (error?.cause as Error | undefined)?.message])).not.toMatch(/SECRET|key-1/);
  },
);

test("G5 after a fault the message is kept, the fault is told, and the chat goes on", async () => {
  let calls = 0;
  const server = await modelServer((response) => {
    calls += 1;
    if (calls > 1) sendStream(response, ["better"]);
    else response.writeHead(503).end();
  });
  const { said, code } = await talk(tempDir(), ["first", "second"], { env: server.env });
  expect(said).toEqual([
    `[${ALICE}] (no answer: The model server answered 503. Your message is kept.)`,
    `[${ALICE}] bot: better`,
  ]);
  expect(server.asked[1]?.body.messages.map(({ content }) => content)).toEqual(["first", "second"]);
  expect(code).toBe(0);
});

test("a server that is not there is told with the reason", async () => {
  const gone = createServer();
  await new Promise<void>((listening) => gone.listen(0, "127.0.0.1", listening));
  const { port } = gone.address() as AddressInfo;
  await new Promise((closed) => gone.close(closed));
  const { said } = await talk(tempDir(), ["hello"], {
    env: { OPENAI_BASE_URL: `http://127.0.0.1:${port}/v1`, OPENAI_MODEL: "m" },
  });
  expect(said).toEqual([
    `[${ALICE}] (no answer: The model server at 127.0.0.1:${port} could not be reached (ECONNREFUSED). Your message is kept.)`,
  ]);
});

test("an abort reaches the server and passes through as it is", async () => {
  const abort = new AbortController();
  let hungUp: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => {
    hungUp = resolve;
  });
  const server = await modelServer((response) => {
    response.on("close", hungUp);
    response.writeHead(200, EVENT_STREAM);
    response.write(`data: ${JSON.stringify({ choices: [{ delta: { content: "half" } }] })}\n\n`);
  });
  const reason = new Error("enough");
  const model = openAiModel({ baseUrl: server.baseUrl, apiKey: undefined, model: "small" });
  const answering = model.generate(request([said("hi")], { signal: abort.signal, emit: () => abort.abort(reason) }));
  await expect(answering).rejects.toBe(reason);
  await closed;
});
