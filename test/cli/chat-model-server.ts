import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

/** What a model server was asked. */
export interface Asked {
  method: string | undefined;
  path: string | undefined;
  authorization: string | undefined;
  body: { model: string; stream: boolean; messages: { role: string; content: string }[] } & Record<string, unknown>;
}

export interface ModelServer {
  asked: Asked[];
  baseUrl: string;
  /** What makes the chat use it. */
  env: Record<string, string>;
}

/** A model server on this machine, answering as the test says. Gone after the test. */
export async function modelServer(
  answer: (response: ServerResponse, asked: Asked, request: IncomingMessage) => void | Promise<void>,
): Promise<ModelServer> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { method, url: path, headers } = request;
      const body = JSON.parse(Buffer.concat(chunks).toString("utf8"));
      const one = { method, path, authorization: headers.authorization, body };
      asked.push(one);
      void answer(response, one, request);
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  return { asked, baseUrl, env: { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: "key-1", OPENAI_MODEL: "small" } };
}

/** The stream of an answer in these pieces, as such servers send it. */
export function streamOf(pieces: readonly string[], end: { usage?: object; lineEnd?: string } = {}): string {
  const { usage, lineEnd = "\n" } = end;
  const chunks: object[] = [
    { choices: [{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }] },
    ...pieces.map((content) => ({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })),
    { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] },
    ...(usage === undefined ? [] : [{ choices: [], usage }]),
  ];
  const data = [...chunks.map((chunk) => JSON.stringify(chunk)), "[DONE]"];
  return [": a comment", "", ...data.flatMap((one) => [`data: ${one}`, ""]), ""].join(lineEnd);
}

export const EVENT_STREAM = { "content-type": "text/event-stream" };

/** Answers with the whole of a stream. */
export function sendStream(response: ServerResponse, pieces: readonly string[], end?: Parameters<typeof streamOf>[1]) {
  response.writeHead(200, EVENT_STREAM);
  response.end(streamOf(pieces, end));
}
