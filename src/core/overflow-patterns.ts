/**
 * How one provider says that a prompt does not fit. With both a `code` and a `text`, one failure must have both.
 * A pattern with neither matches nothing.
 */
export interface OverflowPattern {
  /** Whose wording it is. For people; it is not compared with anything. */
  provider: string;
  /** The whole of a machine-readable `code`, `type`, `status` or `name` of the error, in any case. */
  code?: string;
  /** Searched for in the error's own words: the first 8,192 characters of each, long quotations taken out. */
  text?: RegExp;
}

// Where the words are from: "docs" is the provider's documentation, "source" its code, "report" an error pasted into an
// issue of the named project. A number is asked for wherever the provider gives one: people seldom write those.
export const OVERFLOW_PATTERNS: readonly OverflowPattern[] = [
  // Chat completions and the Responses API alike; Azure, Groq and Cerebras send the same code. Docs; reports in Azure's SDKs.
  { provider: "OpenAI", code: "context_length_exceeded" },
  // Responses API, which streams it as an event that some clients reduce to its words. Reports: lightdash, pi.
  { provider: "OpenAI", text: /\binput exceeds the context window of this model/i },
  // "This model's maximum context length is 8192 tokens. However, ..." Reports: chatbot-ui, Azure SDK for .NET. Also DeepSeek
  // (code `invalid_request_error` only: fast-agent, OpenManus), Together, vLLM and OpenRouter ("This endpoint's ...").
  { provider: "OpenAI and compatible", text: /\bmaximum context length (?:is |of |\()[\d,]+/i },
  { provider: "OpenAI and compatible", text: /\bmodel's maximum context length has been exceeded/i },
  // Azure. Report and source: letta's list of texts.
  { provider: "Azure OpenAI", text: /\binput tokens exceed the configured limit of [\d,]+ tokens/i },
  // One message of millions of characters; other fields (a tool's description) have limits of their own. Reports: clio, bluebox.
  {
    provider: "OpenAI",
    text: /'(?:messages|input)\[\d+\][\w.[\]]*\.(?:content|text|output)[\w.[\]]*': string too long/i,
  },
  // No code of its own, only `invalid_request_error`. Reports: claude-code; through Bedrock: moca.
  { provider: "Anthropic", text: /\bprompt is too long: [\d,]+ tokens > [\d,]+ maximum/i },
  // The bare sentence comes from Anthropic's models on Vertex. Report: forgecode, through OpenRouter, with status 413.
  { provider: "Anthropic on Vertex", text: /^\s*prompt is too long\.?\s*$/i },
  // Reports: claude-code, docker-agent, continue.
  { provider: "Anthropic", text: /\binput length and `?max_tokens`? exceed context limit: [\d,]+ \+ [\d,]+ > [\d,]+/i },
  // A stop reason (docs), which z.ai and some gateways send as the error. Source: pi's list.
  { provider: "Anthropic, z.ai", code: "model_context_window_exceeded" },
  { provider: "z.ai", text: /\bmodel_context_window_exceeded\b/i },
  // Gemini API and Vertex, status INVALID_ARGUMENT. Reports: gemini-cli, python-genai.
  {
    provider: "Google",
    text: /\binput token count \([\d,]+\) exceeds the maximum number of tokens allowed \([\d,]+\)/i,
  },
  // The older wording has no brackets, and is not confirmed.
  { provider: "Google", text: /\binput token count [^.]{0,40}exceeds the maximum number of (?:input )?tokens/i },
  // ValidationException. Reports: bedrock-chat, continue, assessment-generator.
  { provider: "AWS Bedrock", text: /\binput is too long for requested model/i },
  // Source: texts listed in the Strands SDK.
  { provider: "AWS Bedrock", text: /\binput length exceeds context window\b/i },
  { provider: "AWS Bedrock", text: /\binput and output tokens exceed your context limit\b/i },
  // Titan and the like, in characters. Reports: Amazon-Bedrock-Amazon-RDS-POC.
  { provider: "AWS Bedrock", text: /\bmalformed input request: expected maxLength: \d+, actual: \d+/i },
  // Reports: OpenHands, ScrapeGraphAI, letta.
  { provider: "Groq", text: /\bplease reduce the length of the messages or completion\b/i },
  // Report: cline.
  { provider: "xAI", text: /\bmaximum prompt length is [\d,]+ but the request contains [\d,]+ tokens/i },
  // Source: pi's list; the code 3051 that comes with it means any invalid prompt.
  {
    provider: "Mistral",
    text: /\bprompt contains [\d,]+ tokens\b.{0,80}\btoo large for model with [\d,]+ maximum context/i,
  },
  // Source: pi's list.
  { provider: "Together", text: /\binput \([\d,]+ tokens\) is longer than the model's context length/i },
  // Hugging Face's text-generation-inference, also Together's older models. Reports: chat-ui, HELM, llm-vscode.
  { provider: "Together, TGI", text: /`inputs` tokens \+ `max_new_tokens` must be <= [\d,]+/i },
  { provider: "TGI", text: /`inputs` must have less than [\d,]+ tokens/i },
  // Reports: Empryo ("You passed 202753 input tokens and ... However, the model's context length is only 202752 tokens").
  { provider: "SGLang, vLLM", text: /\bmodel's context length is only [\d,]+ tokens/i },
  { provider: "vLLM", text: /\bprompt \([\d,]+ tokens\) is too long and exceeds limit of [\d,]+/i },
  // Since September 2025; the words came before it and stay beside it. Source: llama.cpp #15780.
  { provider: "llama.cpp", code: "exceed_context_size_error" },
  { provider: "llama.cpp", text: /\brequest(?: \([\d,]+ tokens\))? exceeds the available context size\b/i },
  // The Python server of llama-cpp-python. Reports: logdetective, local_llama.
  { provider: "llama-cpp-python", text: /\brequested tokens \([\d,]+\) exceed context window of [\d,]+/i },
  // Reports: openclaude, opencode. The second, before mid-2025: lmstudio-bug-tracker, cline.
  { provider: "LM Studio", text: /\btokens to keep from the initial prompt is greater than the context length\b/i },
  { provider: "LM Studio", text: /\btrying to keep the first [\d,]+ tokens when context the overflows\b/i },
  // Where it does not truncate. Source: pi's list.
  { provider: "Ollama", text: /\bprompt too long; exceeded (?:max )?context length/i },
  // "Max size: 8000 tokens", with status 413: tokens all the same. Reports: aider, eslint's tsc-meetings.
  { provider: "GitHub Models", code: "tokens_limit_reached" },
  { provider: "GitHub Models", text: /\brequest body too large for .{1,80} model\. max size: [\d,]+ tokens/i },
  // Source: pi's list, for the next four.
  { provider: "GitHub Copilot", text: /\bprompt token count of [\d,]+ exceeds the limit of [\d,]+/i },
  { provider: "MiniMax", text: /\binvalid params, context window exceeds limit\b/i },
  { provider: "Kimi", text: /\brequest exceeded model token limit: [\d,]+/i },
  { provider: "Poolside", text: /\bexceeds the maximum allowed input length of [\d,]+ tokens/i },
  // Report: omlx.
  { provider: "oMLX", text: /\bprompt too long: [\d,]+ tokens exceeds max context window of [\d,]+ tokens/i },
  // The class a LiteLLM proxy names in its message. Report: Devon.
  { provider: "LiteLLM", text: /\blitellm\.ContextWindowExceededError\b/ },
];

/** Stop reasons by which an answer says that the window was full, as letters only. */
export const OVERFLOW_STOP_REASONS: ReadonlySet<string> = new Set([
  "modelcontextwindowexceeded", // Anthropic, Bedrock, z.ai: docs
  "modellength", // Mistral: docs
  "contextlengthreached", // LM Studio, not confirmed
]);

/** Stop reasons of an answer that was cut short, whatever by, as letters only. */
export const CUT_SHORT_STOP_REASONS: ReadonlySet<string> = new Set(["length", "maxtokens", "maxoutputtokens"]);

// Reports: OpenAI and Groq ("Request too large for ... on tokens per min (TPM)", in aider and OpenManus), Anthropic
// ("... 30,000 input tokens per minute", "Extra usage is required for long context requests", in claude-code), Bedrock ("Too
// many tokens, please wait before trying again", in claude-code and opencode), OpenRouter's credit ("Prompt tokens limit
// exceeded: 64128 > 6964. To increase, visit ...", in continue). A shorter prompt may even help, but waiting or paying is due.
export const OTHER_FAULT_TEXTS: readonly RegExp[] = [
  /\brate.?limit/i,
  /\b(?:tokens|requests) per (?:min|minute|hour|day)\b|\bTPM\b/i,
  /\btoo many requests\b|\bthrottl|\bplease wait before trying again\b/i,
  /\bexceeded your current quota\b|\bquota exceeded\b/i,
  /\brequires more credits\b|\bprompt tokens limit exceeded\b|\bextra usage is required\b/i,
];

/** Codes that name another fault, and so end the matter: they are the provider's own, never a person's words. */
export const OTHER_FAULT_CODES =
  /rate_?limit|quota|throttl|too_?many_?requests|resource_?exhausted|overloaded|billing|payment|authenti|unauthori|permission|access_?denied|api_key|not_?found|content_?(?:filter|policy)/;

/** Authentication, payment, permission, unknown model, rate. */
export const OTHER_FAULT_STATUSES: ReadonlySet<number> = new Set([401, 402, 403, 404, 429]);

// `output` tokens that do not fit into `window` even alone: a setting is wrong, and no compaction would help. OpenRouter and
// vLLM word it as an overflow; OpenHands condensed for ever on it (report #9937), pi had it too (#6378).
export const OUTPUT_SHARES: readonly RegExp[] = [
  /maximum context length is (?<window>[\d,]+) tokens[\s\S]{0,160}?(?<output>[\d,]+) (?:in|for) the (?:completion|output)/i,
  /maximum context length is (?<window>[\d,]+) tokens[\s\S]{0,40}?requested (?<output>[\d,]+) output tokens/i,
  /is too large: (?<output>[\d,]+)\. This model's maximum context length is (?<window>[\d,]+)/i,
  /exceed context limit: [\d,]+ \+ (?<output>[\d,]+) > (?<window>[\d,]+)/i,
  /must be <= (?<window>[\d,]+)\. Given: [\d,]+ `inputs` tokens and (?<output>[\d,]+)/i,
];

// Bytes, pixels and pages: what media are measured in.
export const PAYLOAD_CODES: ReadonlySet<string> = new Set([
  "request_too_large", // Anthropic, status 413: docs
  "payloadtoolargeerror", // Express in front of a gateway: report in gemini-cli
]);

export const PAYLOAD_TEXTS: readonly RegExp[] = [
  /\brequest exceeds the maximum size\b/i, // Anthropic. Report: pi
  /\bimage exceeds [\d.]+ ?[KMG]B maximum\b/i, // Anthropic. Reports: claude-code
  /\bimage dimensions exceeds? max allowed size\b/i, // Anthropic. Reports: claude-code, dify
  /\ba maximum of \d+ PDF pages\b/i, // Anthropic, not confirmed
  /\bpayload size exceeds the limit\b/i, // Google, in bytes. Report: gemini-srt-translator
  /\brequest (?:entity|body|payload) (?:is )?too large\b(?! for .{1,80} tokens)/i, // gateways. Report: gemini-cli
  /\bmaximum request body size [\d,]+ exceeded\b/i, // gateways. Report: gemini-cli
  /\bvalue at 'body' failed to satisfy constraint: member must have length less than or equal to \d+/i, // Bedrock. Report: langchain-aws
];
