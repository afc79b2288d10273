import type { Message } from "../core/message.js";
import { type CountText, countLongText, countMessageTokens } from "../core/tokens.js";

/** Counts what texts and messages take in a prompt. */
export interface TokenCounter {
  /** The tokens of a text of any length. Markers such as `<|endoftext|>` in it are plain text. */
  countText(text: string): number;
  /** An estimate for a message, with what frames it. Images and files count 1,600 tokens each. */
  countMessage(message: Pick<Message, "content" | "name">): number;
}

let loading: Promise<TokenCounter> | undefined;

/**
 * A counter on tiktoken's `o200k_base`, the encoding of OpenAI's newer models; of other providers' models it is an estimate.
 * Loaded by the first call and shared by all: that takes half a second or more and some 70 MB.
 */
export function loadTokenCounter(): Promise<TokenCounter> {
  loading ??= load().catch((error: unknown) => {
    // What failed now, such as too little memory, may work the next time.
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load(): Promise<TokenCounter> {
  const [{ Tiktoken }, encoding] = await Promise.all([import("tiktoken/lite"), import("tiktoken/encoders/o200k_base")]);
  // Its types put a default into the default; what is loaded has none.
  const o200k = encoding.default as unknown as (typeof encoding.default)["default"];
  // Kept as long as the process: its memory is not JavaScript's, and giving it back would mean loading it again.
  const encoder = new Tiktoken(o200k.bpe_ranks, o200k.special_tokens, o200k.pat_str);
  // `encode` throws on text that looks like a special token, which anyone can write.
  const count: CountText = (text) => encoder.encode_ordinary(text).length;
  return {
    countText: (text) => countLongText(text, count),
    countMessage: (message) => countMessageTokens(message, count),
  };
}
