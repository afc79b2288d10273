// LangChain's trimMessages: cuts a list of messages to a number of tokens at every call, by a counter that the host brings.
import { AIMessage, HumanMessage, trimMessages } from "@langchain/core/messages";
import { library } from "../library.mjs";
import { role, text } from "../messages.mjs";

const messageOf = (number) => (role(number) === "user" ? new HumanMessage(text(number)) : new AIMessage(text(number)));

const characters = (messages) => messages.reduce((sum, { content }) => sum + Math.ceil(content.length / 4), 0);

async function tiktoken() {
  const { countText } = await (await library()).loadTokenCounter();
  return (messages) => messages.reduce((sum, { content }) => sum + countText(content), 0);
}

// It counts the whole list again for each message that it drops: 100,000 take more than a minute, and a job has one.
const MOST = 10_000;

export function unsupported({ count }) {
  return count > MOST ? "took 72 s when tried: its time grows with the square of the messages" : undefined;
}

/** It keeps nothing, so they are in memory. What it leaves out is in no summary. */
export async function openCompacted({ count }) {
  const messages = Array.from({ length: count }, (_, number) => messageOf(number));
  const maxTokens = characters(messages.slice(-50));
  return {
    build: async () =>
      (await trimMessages(messages, { maxTokens, strategy: "last", tokenCounter: characters })).map(
        ({ content }) => content,
      ),
    close: async () => undefined,
  };
}

/** `counter`: "tiktoken" as its documentation advises, or "characters", a quarter of them. */
export async function assessing({ size, counter }) {
  const messages = Array.from({ length: size }, (_, number) => messageOf(number));
  const tokenCounter = counter === "tiktoken" ? await tiktoken() : characters;
  return {
    before: (number) => messages.push(messageOf(size + number)),
    assess: () => trimMessages(messages, { maxTokens: 50_000, strategy: "last", tokenCounter }),
    close: async () => undefined,
  };
}

/** js-tiktoken, which its own counters load. */
export async function loadCounter() {
  const { Tiktoken } = await import("js-tiktoken/lite");
  const { default: ranks } = await import("js-tiktoken/ranks/o200k_base");
  return new Tiktoken(ranks).encode("one two three").length;
}
