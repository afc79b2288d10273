// A model with recorded behaviour: it has a window, counts what it is sent in its own way, refuses what is too much in the words
// of real providers, reports usage, and makes summaries that are good or are not. No network, no clock.

import { marksIn } from "./conversation.mjs";
import { pairingFaults } from "./pairing.mjs";

// More calls than this for one message are a loop.
const MOST_CALLS = 200;

// What the instructions and tools of a host take, which the library does not see.
export const OVERHEAD = 400;

const MESSAGE_TOKENS = 4;

function textOf({ content }) {
  if (typeof content === "string") return content;
  return content.map((part) => part.text ?? `${part.toolName ?? ""}${valueText(part.input ?? part.output)}`).join("");
}

const valueText = (value) => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""));

/** Characters and not bytes or words: it is meant to be another number than the library's own estimate. */
export function tokensOf(text, charactersPerToken) {
  return MESSAGE_TOKENS + Math.ceil(text.length / charactersPerToken);
}

/** A refusal as OpenAI's client, Anthropic's, the AI SDK and Gemini's client throw it; see test/core/overflow.test.ts. */
function refusalOf(number, tokens, window) {
  const openAi = `This model's maximum context length is ${window} tokens. However, your messages resulted in ${tokens} tokens. Please reduce the length of the messages.`;
  const anthropic = `prompt is too long: ${tokens} tokens > ${window} maximum`;
  const gemini = `The input token count (${tokens}) exceeds the maximum number of tokens allowed (${window}).`;
  const client = (status, body) =>
    Object.assign(new Error(`${status} ${JSON.stringify(body)}`), { status, error: body });
  const body = { type: "error", error: { type: "invalid_request_error", message: anthropic } };
  return [
    () => client(400, { error: { message: openAi, type: "invalid_request_error", code: "context_length_exceeded" } }),
    () => client(400, body),
    () =>
      Object.assign(new Error(anthropic), {
        name: "AI_APICallError",
        statusCode: 400,
        responseBody: JSON.stringify(body),
        isRetryable: false,
      }),
    () => client(400, { error: { code: 400, message: gemini, status: "INVALID_ARGUMENT" } }),
  ][number % 4]();
}

const manyTurns = async (count) => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

const summaryOf = (text) => {
  const said = marksIn(text).map((mark) => Number(mark.slice(3, 9)));
  return `Notes on ${said.length} messages. Latest: ${said.slice(-40).join(", ")}. They go to the lake by train at nine.`;
};

/** What becomes of a request for a summary. */
const SUMMARISERS = {
  good: async (text) => summaryOf(text),
  slow: async (text, { whileSlow }) => {
    await manyTurns(50);
    whileSlow();
    await manyTurns(150);
    return summaryOf(text);
  },
  empty: async () => "",
  echo: async (text) => text,
  failing: async () => {
    throw Object.assign(new Error("500 The server had an error while processing your request."), { status: 500 });
  },
  long: async (text, { window, charactersPerToken }) =>
    `${summaryOf(text)} ${"And so on. ".repeat((window * charactersPerToken) / 11)}`,
};

/**
 * `windows`: what each model holds, by name; `default` when none is chosen. `known`: whether it says so, or 200,000. `usage`: how
 * it reports: `plain`, `cached` or `none`. `planOf(number)`: the turn that message `number` asks for.
 */
export function createModel({ windows, known, usage, summariser, charactersPerToken, planOf, isAsked, whileSlow }) {
  const calls = { reply: 0, summary: 0, "memory-flush": 0 };
  const refused = { reply: 0, steps: 0, summary: 0, "memory-flush": 0 };
  const faults = new Map();
  const stepsDone = new Map();
  let callsThisTurn = 0;
  let mostCalls = 0;
  let told = [];
  let summaryTokens = { sum: 0, count: 0 };
  const fault = (what) => faults.set(what, (faults.get(what) ?? 0) + 1);
  const windowOf = (model) => windows[model] ?? windows.default;
  const size = (messages) =>
    messages.reduce((sum, message) => sum + tokensOf(textOf(message), charactersPerToken), OVERHEAD);

  const take = (request, messages, kind = request.purpose) => {
    calls[request.purpose] += 1;
    callsThisTurn += 1;
    mostCalls = Math.max(mostCalls, callsThisTurn);
    if (callsThisTurn === MOST_CALLS) fault(`${MOST_CALLS} calls for one message`);
    if (callsThisTurn >= MOST_CALLS) throw new Error("This is a loop.");
    for (const broken of pairingFaults(messages)) fault(`${request.purpose}: ${broken}`);
    const tokens = size(messages);
    const window = windowOf(request.model);
    if (tokens <= window) return tokens;
    refused[kind] += 1;
    const count = Object.values(refused).reduce((sum, each) => sum + each, 0);
    throw refusalOf(count, tokens, window);
  };

  const report = (input, text) => {
    const output = Math.ceil(text.length / charactersPerToken);
    if (usage === "none") return {};
    const cached = Math.floor(input * 0.9);
    return { usage: usage === "plain" ? { input, output } : { input: input - cached, output, cacheRead: cached } };
  };

  const answer = (input, text) => ({ messages: [{ role: "assistant", content: text }], ...report(input, text) });

  async function summarise(request) {
    const text = textOf(request.messages.at(-1));
    // Above it are the notes so far, with later lines indented.
    const conversation = text.slice(text.indexOf("\n<conversation>\n"));
    let input;
    try {
      input = take(request, request.messages);
    } catch (error) {
      // It will be told anew, in smaller requests.
      told = [];
      throw error;
    }
    told.push(...marksIn(conversation));
    const window = windowOf(request.model);
    const summary = await SUMMARISERS[summariser](text, { window, charactersPerToken, whileSlow });
    summaryTokens = { sum: summaryTokens.sum + summary.length / charactersPerToken, count: summaryTokens.count + 1 };
    return answer(input, summary);
  }

  async function reply(request) {
    const asked = request.messages.flatMap((message) =>
      message.role === "user" ? marksIn(textOf(message)).filter((mark) => mark.startsWith("[[u")) : [],
    );
    const number = Number(asked.at(-1)?.slice(3, 9));
    if (!isAsked(number)) fault("reply: the last message of a person is not the one that asks");
    const { steps, reply: text } = planOf(number);
    const messages = [...request.messages];
    for (let own = 0; ; own += 1) {
      const input = take(request, messages, own === 0 ? "reply" : "steps");
      const done = stepsDone.get(number) ?? 0;
      const step = steps[done];
      if (step === undefined) return answer(input, text);
      const { id: toolCallId, name: toolName, input: given, output } = step;
      await manyTurns(1);
      const call = { role: "assistant", content: [{ type: "tool-call", toolCallId, toolName, input: given }] };
      const result = { role: "tool", content: [{ type: "tool-result", toolCallId, toolName, output }] };
      stepsDone.set(number, done + 1);
      await request.record(call, report(input, ""));
      await request.record(result);
      messages.push(withFreshId(call, own), withFreshId(result, own));
    }
  }

  return {
    hooks: {
      contextWindow: (model) => (known ? windowOf(model) : 200_000),
      async generate(request) {
        // As a call over the network does: what else runs gets its turn, and a stall is the library's own.
        await manyTurns(1);
        if (request.purpose === "summary") return summarise(request);
        if (request.purpose === "reply") return reply(request);
        return answer(take(request, request.messages), "NO_REPLY");
      },
    },
    calls,
    refused,
    faults,
    fault,
    beginTurn() {
      callsThisTurn = 0;
    },
    /** The marks in the requests that made the last summary, and none from before. */
    takeTold() {
      const taken = told;
      told = [];
      return taken;
    },
    mostCalls: () => mostCalls,
    meanSummary: () => (summaryTokens.count === 0 ? 0 : summaryTokens.sum / summaryTokens.count),
  };
}

// The context it was given may have a call of that id from an earlier turn, or from this one.
function withFreshId({ role, content }, own) {
  return { role, content: content.map((part) => ({ ...part, toolCallId: `own_${own}_${part.toolCallId}` })) };
}
