import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isContextOverflow, isPayloadTooLarge } from "../../src/core/overflow.js";

const failure = (message: string, fields: object = {}): Error => Object.assign(new Error(message), fields);
const body = (message: string, code: string | number | null = null, type = "invalid_request_error"): object => ({
  error: { message, type, param: null, code },
});
const anthropic = (message: string, type = "invalid_request_error"): object => ({
  type: "error",
  error: { type, message },
  request_id: "req_011CVQe1dLrGNMJyE1ghG1av",
});
const gemini = (message: string): object => ({ error: { code: 400, message, status: "INVALID_ARGUMENT" } });
/** As the AI SDK throws it: the body as text and parsed, and beside them the request. */
const apiCallError = (message: string, statusCode: number, answer: object): Error =>
  failure(message, {
    name: "AI_APICallError",
    statusCode,
    responseBody: JSON.stringify(answer),
    data: answer,
    requestBodyValues: { messages: [{ role: "user", content: "Hello" }] },
    isRetryable: false,
  });
/** As OpenAI's and Anthropic's own clients throw it. */
const clientError = (status: number, answer: object): Error =>
  failure(`${status} ${JSON.stringify(answer)}`, { status, error: answer });

const OPENAI_OLD =
  "This model's maximum context length is 4097 tokens. However, you requested 4295 tokens (3245 in the messages, 1050 in the completion). Please reduce the length of the messages or completion.";
const OPENAI_NEW = "Your input exceeds the context window of this model. Please adjust your input and try again.";
const TOO_LONG = "prompt is too long: 208310 tokens > 200000 maximum";
const MAX_TOKENS =
  "input length and `max_tokens` exceed context limit: 178959 + 64000 > 200000, decrease input length or `max_tokens` and try again";
const GEMINI = "The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).";
const BEDROCK = "Input is too long for requested model.";
const OPENROUTER =
  'This endpoint\'s maximum context length is 32768 tokens. However, you requested about 42832 tokens (42832 of text input). Please reduce the length of either one, or use the "middle-out" transform to compress your prompt automatically.';
const LLAMA = "the request exceeds the available context size. try increasing the context size or enable context shift";

describe("a prompt that does not fit is recognised", () => {
  test.each<[from: string, error: unknown]>([
    ["OpenAI, code (issue in chathub)", clientError(400, body(OPENAI_OLD, "context_length_exceeded"))],
    ["OpenAI, code alone", { error: { code: "context_length_exceeded" } }],
    ["OpenAI, text before codes (issue in MetaGPT)", failure(OPENAI_OLD)],
    [
      "OpenAI, completions (issue in aboutmydreams/custom_data_gpt)",
      failure(
        "This model's maximum context length is 4097 tokens, however you requested 6539 tokens (6283 in your prompt; 256 for the completion). Please reduce your prompt; or completion length.",
      ),
    ],
    ["OpenAI Responses API (issue in lightdash)", clientError(400, body(OPENAI_NEW, "context_length_exceeded"))],
    ["OpenAI Responses API, text alone", failure(OPENAI_NEW)],
    [
      "OpenAI Responses API, a failed response in the stream",
      {
        type: "response.failed",
        response: { status: "failed", error: { code: "context_length_exceeded", message: OPENAI_NEW } },
      },
    ],
    [
      "OpenAI, one message of millions of characters (issue in bluebox)",
      clientError(
        400,
        body(
          "Invalid 'input[0].content': string too long. Expected a string with maximum length 10485760, but got a string with length 62114761 instead.",
          "string_above_max_length",
        ),
      ),
    ],
    [
      "Azure OpenAI (issue in Azure SDK for .NET)",
      failure(`${OPENAI_OLD}\nStatus: 400 (model_error)`, {
        status: 400,
        error: body(OPENAI_OLD, "context_length_exceeded"),
      }),
    ],
    [
      "Azure OpenAI, newer models (source of letta)",
      failure("Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in 300000 tokens."),
    ],
    ["Anthropic (issue in claude-code)", clientError(400, anthropic(TOO_LONG))],
    ["Anthropic, message alone", failure(TOO_LONG)],
    ["Anthropic, reserved output (issue in docker-agent)", clientError(400, anthropic(MAX_TOKENS))],
    [
      "Anthropic, printed by a command line (issue in claude-code)",
      `API Error: 400 ${JSON.stringify(anthropic(TOO_LONG))}`,
    ],
    ["AI SDK, Anthropic (issue in bolt.diy)", apiCallError(TOO_LONG, 400, anthropic(TOO_LONG))],
    ["AI SDK, body as text only", failure("Bad Request", { responseBody: JSON.stringify(anthropic(TOO_LONG)) })],
    [
      "AI SDK, RetryError",
      failure(`Failed after 2 attempts. Last error: ${TOO_LONG}`, {
        reason: "errorNotRetryable",
        errors: [failure("Overloaded", { statusCode: 529 }), apiCallError("x", 400, anthropic(TOO_LONG))],
        lastError: apiCallError("x", 400, anthropic(TOO_LONG)),
      }),
    ],
    [
      "AI SDK, an earlier attempt was a rate limit",
      failure("Failed after 2 attempts.", {
        errors: [failure("Rate limit reached", { statusCode: 429 })],
        lastError: apiCallError(TOO_LONG, 400, anthropic(TOO_LONG)),
      }),
    ],
    [
      "AI SDK, NoOutputGeneratedError",
      new Error("No output generated. Check the stream for errors.", {
        cause: apiCallError(OPENAI_NEW, 400, body(OPENAI_NEW, "context_length_exceeded")),
      }),
    ],
    ["an AggregateError", new AggregateError([failure("socket hang up"), failure(TOO_LONG)], "all failed")],
    ["Gemini (issue in gemini-cli)", clientError(400, gemini(GEMINI))],
    ["Gemini, an array of one", [gemini(GEMINI)]],
    [
      "Gemini, JSON in JSON (issue in gemini-cli)",
      failure(JSON.stringify({ error: { message: JSON.stringify(gemini(GEMINI)), code: 400, status: "Bad Request" } })),
    ],
    [
      "Gemini, with a status before (issue in gemini-cli)",
      `got status: INVALID_ARGUMENT. ${JSON.stringify(gemini(GEMINI))}`,
    ],
    [
      "Vertex, Python's print (issue in python-genai)",
      `400 INVALID_ARGUMENT. {'error': {'code': 400, 'message': '${GEMINI}', 'status': 'INVALID_ARGUMENT'}}`,
    ],
    [
      "Bedrock (issue in assessment-generator)",
      failure(BEDROCK, { name: "ValidationException", $fault: "client", $metadata: { httpStatusCode: 400 } }),
    ],
    ["Bedrock, stream (issue in continue)", failure(`The model returned the following errors: ${BEDROCK}`)],
    ["Bedrock, Claude (issue in moca)", failure(`The model returned the following errors: ${TOO_LONG}`)],
    [
      "Bedrock, Titan (issue in Amazon-Bedrock-Amazon-RDS-POC)",
      failure(
        "Malformed input request: expected maxLength: 42000, actual: 46735, please reformat your input and try again.",
      ),
    ],
    [
      "Groq (issue in amurex-backend)",
      clientError(400, body("Please reduce the length of the messages or completion.", "context_length_exceeded")),
    ],
    ["Groq, text alone", failure("Please reduce the length of the messages or completion.")],
    [
      "Groq, Python's print (issue in OpenHands)",
      "GroqException - Error code: 400 - {'error': {'message': 'Please reduce the length of the messages or completion.', 'type': 'invalid_request_error', 'param': 'messages', 'code': 'context_length_exceeded'}}",
    ],
    [
      "xAI (issue in cline)",
      failure('400 "This model\'s maximum prompt length is 131072 but the request contains 136973 tokens."', {
        status: 400,
        error: "This model's maximum prompt length is 131072 but the request contains 136973 tokens.",
      }),
    ],
    ["OpenRouter (issue in refly)", clientError(400, { error: { message: OPENROUTER, code: 400, metadata: {} } })],
    [
      "OpenRouter, metadata.raw as text and status 413 (issue in forgecode)",
      {
        error: {
          message: "Provider returned error",
          code: 413,
          metadata: { raw: JSON.stringify(anthropic("Prompt is too long")), provider_name: "Google" },
        },
      },
    ],
    [
      "OpenRouter, metadata.raw as an object (issue in truefoundry/models)",
      { error: { message: "Provider returned error", code: 400, metadata: { raw: body(OPENAI_OLD, 400) } } },
    ],
    [
      "Mistral (source of pi)",
      {
        object: "error",
        message:
          "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        type: "invalid_request_prompt",
        code: "3051",
      },
    ],
    [
      "DeepSeek (issue in OpenManus)",
      clientError(
        400,
        body(
          "This model's maximum context length is 65536 tokens. However, you requested 66343 tokens (62247 in the messages, 4096 in the completion). Please reduce the length of the messages or completion.",
          "invalid_request_error",
        ),
      ),
    ],
    [
      "Together (source of pi)",
      failure("The input (33000 tokens) is longer than the model's context length (32768 tokens)."),
    ],
    [
      "Together, TGI (issue in HELM)",
      failure(
        "422 Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2019 `inputs` tokens and 30 `max_new_tokens`",
      ),
    ],
    [
      "vLLM (issue in vllm)",
      failure(
        "This model's maximum context length is 128000 tokens. However, you requested 65535 output tokens and your prompt contains at least 62466 input tokens, for a total of at least 128001 tokens.",
      ),
    ],
    [
      "llama.cpp (pull request in llama.cpp)",
      { error: { code: 400, message: LLAMA, type: "exceed_context_size_error", n_prompt_tokens: 14429, n_ctx: 8192 } },
    ],
    ["llama.cpp, before the type", { error: { code: 500, message: LLAMA, type: "server_error" } }],
    ["llama-cpp-python (issue in local_llama)", failure("Requested tokens (516) exceed context window of 512")],
    [
      "LM Studio (issue in openclaude)",
      failure("400 status", {
        error:
          "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 13055>= n_ctx: 4096). Try to load the model with a larger context length, or provide a shorter input.",
      }),
    ],
    [
      "LM Studio, older (issue in cline)",
      failure(
        "Trying to keep the first 10136 tokens when context the overflows. However, the model is loaded with context length of only 7866 tokens, which is not enough.",
      ),
    ],
    [
      "Ollama, where it answers with an error (source of pi)",
      failure("prompt too long; exceeded max context length by 12 tokens"),
    ],
    [
      "GitHub Models, 413 in tokens (issue in tsc-meetings)",
      failure("413 Request body too large for gpt-4o model. Max size: 8000 tokens.", {
        status: 413,
        code: "tokens_limit_reached",
      }),
    ],
    [
      "LiteLLM (issue in aider)",
      `litellm.BadRequestError: AnthropicException - b'${JSON.stringify(anthropic(MAX_TOKENS))}'`,
    ],
    ["axios", failure("Request failed with status code 400", { response: { status: 400, data: anthropic(TOO_LONG) } })],
    ["a library around a library", new Error("the model failed", { cause: { error: { cause: failure(TOO_LONG) } } })],
  ])("%s", (_from, error) => {
    expect(isContextOverflow(error)).toBe(true);
    expect(isPayloadTooLarge(error)).toBe(false);
  });
});

describe("another fault is not taken for a prompt that does not fit", () => {
  const TPM =
    "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 30601. The input or output tokens must be reduced in order to run successfully. Visit https://platform.openai.com/account/rate-limits to learn more.";
  test.each<[from: string, error: unknown]>([
    ["OpenAI, tokens per minute (issue in aider)", clientError(429, body(TPM, "rate_limit_exceeded", "tokens"))],
    ["OpenAI, tokens per minute, text alone", failure(TPM)],
    [
      "Groq, tokens per minute with status 413 (issue in ai_automation_suggester)",
      clientError(
        413,
        body(
          "Request too large for model `llama-3.3-70b-versatile` in organization `org_x` service tier `on_demand` on tokens per minute (TPM): Limit 6000, Requested 14810, please reduce your message size and try again.",
          "rate_limit_exceeded",
          "tokens",
        ),
      ),
    ],
    [
      "Anthropic, input tokens per minute (issue in OpenManus)",
      clientError(
        429,
        anthropic(
          "This request would exceed the rate limit for your organization of 20,000 input tokens per minute. Please reduce the prompt length or the maximum tokens requested, or try again later.",
          "rate_limit_error",
        ),
      ),
    ],
    [
      "Anthropic, long context not paid for (issue in claude-code)",
      clientError(429, anthropic("Extra usage is required for long context requests.", "rate_limit_error")),
    ],
    [
      "Bedrock, throttled (issue in Roo-Code)",
      failure("Too many tokens, please wait before trying again.", { name: "ThrottlingException" }),
    ],
    [
      "OpenRouter, credit (issue in continue)",
      failure(
        "402 Prompt tokens limit exceeded: 64128 > 6964. To increase, visit https://openrouter.ai/settings/credits",
      ),
    ],
    [
      "OpenAI, quota",
      clientError(429, body("You exceeded your current quota, please check your plan.", "insufficient_quota")),
    ],
    [
      "OpenAI, output limit",
      failure(
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.",
      ),
    ],
    [
      "Anthropic, output limit (issue in NextChat)",
      clientError(
        400,
        anthropic(
          "max_tokens: 10000 > 4096, which is the maximum allowed number of output tokens for claude-3-5-sonnet-20240620",
        ),
      ),
    ],
    [
      "Bedrock, output limit (issue in bedrock-access-gateway)",
      failure(
        "The maximum tokens you requested exceeds the model limit of 2048. Try again with a maximum tokens value that is lower than 2048.",
      ),
    ],
    [
      "OpenRouter, output as large as the window (issue in OpenHands)",
      failure(
        "This endpoint's maximum context length is 131072 tokens. However, you requested about 138956 tokens (7884 of text input, 131072 in the output). Please reduce the length of either one.",
      ),
    ],
    [
      "vLLM, output larger than the window (issue in Step-Audio-R1)",
      failure(
        "'max_tokens' or 'max_completion_tokens' is too large: 40000. This model's maximum context length is 32768 tokens and your request has 25 input tokens (40000 > 32768 - 25).",
      ),
    ],
    [
      "unknown model",
      clientError(404, body("The model `gpt-9` does not exist or you do not have access to it.", "model_not_found")),
    ],
    ["wrong key", clientError(401, anthropic("invalid x-api-key", "authentication_error"))],
    [
      "OpenAI, a tool's description (same code as a message's)",
      failure("Invalid 'tools[0].function.description': string too long. Expected a string with maximum length 1024"),
    ],
    ["overloaded", clientError(529, anthropic("Overloaded", "overloaded_error"))],
    ["an abort", new DOMException("This operation was aborted", "AbortError")],
    ["nothing", undefined],
  ])("%s", (_from, error) => {
    expect(isContextOverflow(error)).toBe(false);
    expect(isPayloadTooLarge(error)).toBe(false);
  });
});

describe("a payload too large in bytes is a fault of its own", () => {
  test.each<[from: string, error: unknown]>([
    [
      "Anthropic, 413 (issue in pi)",
      clientError(413, anthropic("Request exceeds the maximum size", "request_too_large")),
    ],
    ["Anthropic, the type alone", { type: "error", error: { type: "request_too_large", message: "" } }],
    [
      "Anthropic, an image (issue in claude-code)",
      clientError(
        400,
        anthropic(
          "messages.44.content.1.image.source.base64: image exceeds 5 MB maximum: 11641928 bytes > 5242880 bytes",
        ),
      ),
    ],
    [
      "Anthropic, many images (issue in claude-code)",
      clientError(
        400,
        anthropic(
          "messages.7.content.2.image.source.base64.data: At least one of the image dimensions exceed max allowed size for many-image requests: 2000 pixels",
        ),
      ),
    ],
    [
      "Gemini (issue in gemini-srt-translator)",
      clientError(400, gemini("Request payload size exceeds the limit: 20971520 bytes.")),
    ],
    [
      "Bedrock (issue in langchain-aws)",
      failure(
        "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than or equal to 25000000",
        { name: "ValidationException" },
      ),
    ],
    [
      "a gateway (issue in gemini-cli)",
      { error: { message: "Maximum request body size 1048576 exceeded, actual body size 1056562", code: 413 } },
    ],
    ["a gateway's page", failure("<html><h1>413 Request Entity Too Large</h1></html>")],
    ["a bare 413, as of Cerebras (source of pi)", failure("413 status code (no body)", { status: 413 })],
  ])("%s", (_from, error) => {
    expect(isPayloadTooLarge(error)).toBe(true);
    expect(isContextOverflow(error)).toBe(false);
  });
});

describe("an answer can say that the window was full", () => {
  const contextWindow = 100_000;
  test.each<[what: string, options: Parameters<typeof isContextOverflow>[1], full: boolean]>([
    ["Anthropic's stop reason", { stopReason: "model_context_window_exceeded" }, true],
    ["the same in Strands' spelling", { stopReason: "modelContextWindowExceeded" }, true],
    ["Mistral's stop reason", { stopReason: "model_length" }, true],
    ["LM Studio's stop reason", { stopReason: "contextLengthReached" }, true],
    ["an ordinary stop", { stopReason: "end_turn" }, false],
    ["an output limit", { stopReason: "max_tokens", usage: { input: 50_000, output: 4096 }, contextWindow }, false],
    ["a prompt above the window", { usage: { input: 100_001, output: 9 }, contextWindow }, true],
    ["a prompt cut to the window", { usage: { input: 100_000, output: 9 }, contextWindow }, true],
    ["a prompt below the window", { usage: { input: 99_999, output: 9 }, contextWindow }, false],
    [
      "a prompt mostly from the cache",
      { usage: { input: 9, output: 9, cacheRead: 99_990, cacheWrite: 5 }, contextWindow },
      true,
    ],
    ["cut short with nothing said", { stopReason: "length", usage: { input: 99_500, output: 0 }, contextWindow }, true],
    [
      "cut short at the window's end",
      { stopReason: "length", usage: { input: 60_000, output: 39_999 }, contextWindow },
      true,
    ],
    [
      "ended by itself near the window's end",
      { stopReason: "stop", usage: { input: 60_000, output: 39_999 }, contextWindow },
      false,
    ],
    ["usage without a window", { usage: { input: 9e9, output: 0 } }, false],
    ["a window of 0", { usage: { input: 9, output: 0 }, contextWindow: 0 }, false],
    ["a window that is no number", { usage: { input: 9, output: 0 }, contextWindow: Number.NaN }, false],
    ["usage that is no number", { usage: { input: Number.NaN, output: 0 }, contextWindow }, false],
  ])("%s", (_what, options, full) => {
    expect(isContextOverflow(undefined, options)).toBe(full);
  });
});

describe("what a person wrote does not trigger it", () => {
  test.each<[where: string, error: unknown]>([
    [
      "in the request beside the error",
      failure("Bad Request", { requestBodyValues: { messages: [{ content: TOO_LONG }] } }),
    ],
    ["in axios' request", failure("Request failed", { config: { data: JSON.stringify({ prompt: TOO_LONG }) } })],
    ["quoted", failure(`Invalid value: '${TOO_LONG}'. Supported values are: 'a' and 'b'.`)],
    ["quoted, with quotation marks of its own", failure(`Invalid value: "say "hi there" ${TOO_LONG}" at messages[0]`)],
    ["quoted in a body", clientError(400, body(`"${TOO_LONG}" is too long - 'messages.1.content'`))],
    ["a code, quoted", failure(`Invalid value: "{'code': 'context_length_exceeded', 'x': 'y'}" at messages[0]`)],
    [
      "JSON that a model wrote",
      failure(`JSON parsing failed: Text: {"error":{"message":"${TOO_LONG}"}}.\nError message: x`),
    ],
    [
      "a value of the wrong type",
      failure(`Type validation failed: Value: ${JSON.stringify(body(OPENAI_OLD))}.`, { value: body(OPENAI_OLD) }),
    ],
    ["in a validator's input", { detail: [{ msg: "field required", input: TOO_LONG }] }],
    [
      "in an error that names its own reason",
      clientError(400, body(`blocked: ${TOO_LONG}`, "content_policy_violation")),
    ],
  ])("%s", (_where, error) => {
    expect(isContextOverflow(error)).toBe(false);
  });
});

describe("a host's own patterns", () => {
  const patterns = [
    { provider: "gateway", code: "E_BUDGET" },
    { provider: "gateway", code: "E_LIMIT", text: /too many words/g },
    { provider: "gateway", text: /\bcontext budget spent\b/gy },
  ];

  test("match by code, by text, or by both where both are given", () => {
    expect(isContextOverflow({ code: "e_budget" }, { patterns })).toBe(true);
    expect(isContextOverflow(failure("context budget spent"), { patterns })).toBe(true);
    expect(isContextOverflow(failure("too many words", { code: "E_LIMIT" }), { patterns })).toBe(true);
    expect(isContextOverflow(failure("too many words"), { patterns })).toBe(false);
    expect(isContextOverflow({ code: "E_LIMIT" }, { patterns })).toBe(false);
    expect(isContextOverflow(failure("anything"), { patterns: [{ provider: "empty" }] })).toBe(false);
  });

  test("answer the same every time, also where they are global or sticky", () => {
    for (let time = 0; time < 3; time += 1) {
      expect(isContextOverflow(failure("context budget spent"), { patterns })).toBe(true);
      expect(isContextOverflow(failure("too many words", { code: "E_LIMIT" }), { patterns })).toBe(true);
    }
  });

  test("hold against a status that otherwise means another fault", () => {
    expect(isContextOverflow(failure("context budget spent", { status: 429 }), { patterns })).toBe(true);
  });

  test("add to the built-in ones", () => {
    expect(isContextOverflow(failure(TOO_LONG), { patterns })).toBe(true);
  });
});

describe("an error of any shape gets an answer", () => {
  const neither = (error: unknown): void => {
    expect(isContextOverflow(error)).toBe(false);
    expect(isPayloadTooLarge(error)).toBe(false);
  };

  test("a primitive is no overflow", () => {
    for (const value of [null, undefined, 0, 413, Number.NaN, "", true, 10n, Symbol("x"), () => TOO_LONG])
      neither(value);
  });

  test("a cycle ends, and what is in it counts", () => {
    const error: Record<string, unknown> = { message: "outer" };
    error.cause = { error, errors: [error], data: [error], lastError: error };
    neither(error);
    error.response = { data: { error, message: TOO_LONG } };
    expect(isContextOverflow(error)).toBe(true);
  });

  test("a getter that throws hides only itself", () => {
    const error = {
      get message(): string {
        throw new Error("no");
      },
      get cause(): unknown {
        throw new Error("no");
      },
      error: { message: TOO_LONG },
    };
    expect(isContextOverflow(error)).toBe(true);
  });

  test("a proxy that throws, one without end and a revoked one are no overflow", () => {
    const refuse = (): never => {
      throw new Error("no");
    };
    neither(new Proxy({}, { get: refuse, has: refuse, ownKeys: refuse, getPrototypeOf: refuse }));
    const endless: object = new Proxy([], { get: () => new Proxy({}, { get: () => endless }) });
    neither(endless);
    const fresh = (): object => new Proxy({}, { get: fresh });
    neither(fresh());
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    neither(proxy);
  });

  test("a chain too long to follow ends", () => {
    let error: object = { message: TOO_LONG };
    for (let depth = 0; depth < 100_000; depth += 1) error = { cause: error };
    neither(error);
    neither({ errors: Array.from({ length: 100_000 }, () => ({ message: "x" })) });
    neither(failure(`${"[".repeat(100_000)}{`));
  });

  test("ten megabytes of text are answered at once", () => {
    const start = performance.now();
    for (const piece of [
      "a",
      "'a b ",
      '"',
      '{"',
      "{'message': 'x ",
      "maximum context length is 1 tokens ",
      "prompt contains 1 tokens ",
      "input token count ",
      "\\",
      "“ x ",
    ]) {
      const text = piece.repeat(10_000_000 / piece.length);
      const errors = Array.from({ length: 100 }, () => text);
      const error = failure(text, { responseBody: text, data: { error: text }, errors });
      isContextOverflow(error);
      isPayloadTooLarge(error);
    }
    // Measured at a fifth of it.
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test("the beginning of a long text counts, the rest does not", () => {
    expect(isContextOverflow(failure(`${TOO_LONG}\n${"x".repeat(1_000_000)}`))).toBe(true);
    expect(isContextOverflow(failure(`${"x".repeat(1_000_000)} ${TOO_LONG}`))).toBe(false);
  });

  const field = fc.constantFrom(
    ...[
      "message",
      "error",
      "cause",
      "data",
      "response",
      "body",
      "responseBody",
      "metadata",
      "raw",
      "errors",
      "lastError",
    ],
    ...["code", "status", "statusCode", "type", "detail"],
  );
  const { node } = fc.letrec((tie) => ({
    node: fc.oneof(
      { maxDepth: 6 },
      fc.jsonValue(),
      fc.constantFrom(TOO_LONG, OPENAI_OLD, JSON.stringify(anthropic(TOO_LONG)), "429", 413),
      fc.dictionary(field, tie("node")),
      fc.array(tie("node"), { maxLength: 4 }),
      tie("node").map((value) => JSON.stringify(value)),
    ),
  }));

  test("nothing made of JSON makes it throw, and a copy gets the same answer", () => {
    fc.assert(
      fc.property(node, (error) => {
        const answer = [isContextOverflow(error), isPayloadTooLarge(error)];
        expect(answer.every((value) => typeof value === "boolean")).toBe(true);
        expect([isContextOverflow(structuredClone(error)), isPayloadTooLarge(structuredClone(error))]).toEqual(answer);
      }),
      { numRuns: 500 },
    );
  });
});
