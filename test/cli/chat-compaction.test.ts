import { expect, test } from "vitest";
import { tempDir } from "../session/store-dir.js";
import { EVENT_STREAM, modelServer, sendStream, streamOf } from "./chat-model-server.js";
import { talk } from "./chat-talk.js";

const KEY = "agent:main:telegram:dm:alice";

test("G7 after /compact the offline model still knows what it was told, and /status says so", async () => {
  const dir = tempDir();
  const { said } = await talk(dir, [
    "My secret is ALPHA",
    "My cat is called Tom",
    "The weather is fine",
    "/compact",
    "What is my secret?",
    "/compact again",
    "What is my cat called?",
    "/status",
  ]);
  expect(said[3]).toMatch(/Compacted: \d+ message\(s\) left the window/);
  expect(said[4]).toBe(`[${KEY}] bot: I was told "My secret is ALPHA".`);
  expect(said[6]).toBe(`[${KEY}] bot: I was told "My cat is called Tom".`);
  expect(said.join("\n")).toMatch(/Compactions: 2, the last at /);
});

test("in a group the notes say who said what", async () => {
  const room = "/in telegram:group:-100123";
  const { said } = await talk(tempDir(), [
    room,
    "My dog is called Rex",
    "@bot good morning",
    "@bot hello",
    "/compact",
    "/as telegram:bob",
    room,
    "@bot what is the dog called?",
  ]);
  expect(said.at(-1)).toBe('[agent:main:telegram:group:-100123] bot: I heard "My dog is called Rex" from alice.');
});

test("G12 a server that refuses a prompt as too long is asked again with a summary in place of the oldest messages", async () => {
  let refused = 0;
  const server = await modelServer((response, { body }) => {
    const text = body.messages.map(({ content }) => content).join("\n");
    if (text.startsWith("Write down what has to be known"))
      return sendStream(response, ["The person has ", "told of a boat."]);
    if (text.length > 1500 && !text.includes("are about to leave it")) {
      refused += 1;
      response.writeHead(400, { "content-type": "application/json" });
      response.end(
        JSON.stringify({ error: { message: "This model's maximum context length is 300 tokens.", type: "invalid" } }),
      );
      return undefined;
    }
    response.writeHead(200, EVENT_STREAM);
    response.end(streamOf(["fine"]));
  });
  const lines = Array.from({ length: 12 }, (_, n) => `line ${n} ${"about the boat ".repeat(10)}`);
  const { said, code } = await talk(tempDir(), lines, { env: server.env });
  expect(code).toBe(0);
  expect(said).toEqual(lines.map(() => `[${KEY}] bot: fine`));
  expect(refused).toBeGreaterThan(0);
  expect(JSON.stringify(server.asked.at(-1)?.body.messages)).toContain("told of a boat");
});
