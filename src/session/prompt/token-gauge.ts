import { shownMessage } from "../../core/context.js";
import type { MessageEntry } from "../../core/entry.js";
import type { SessionKey } from "../../core/key.js";
import type { Message } from "../../core/message.js";
import { type CountText, maxMessageTokens, messageTexts, pieceCounts } from "../../core/tokens.js";
import { HookError } from "../../errors.js";
import type { Logger, ProviderHooks } from "../hooks.js";

/** Whose messages are counted, and as what they are shown. */
export interface Counted {
  key: SessionKey;
  uuid: string;
  model: string | undefined;
  nameSenders: boolean;
  maxResultCharacters: number;
}

// Some 20 MB at most, and more messages than many large windows hold.
const MAX_KNOWN = 131_072;

// Some dozens of summaries at the most.
const MAX_TEXTS = 64;

// UTF-8 takes no more of a UTF-16 unit; a sender's name and what else stands before or around a message no more than this.
const BYTES_OF_A_UNIT = 3;
const LONGEST_NAME = 128;
const FRAME = 128;

// So long the thread may be kept by counting before others get their turn.
const SLICE_MS = 8;

/** Counts what messages take in a prompt. Each once: a turn counts what is new. */
export class TokenGauge {
  readonly #loadCount: () => Promise<CountText>;
  readonly #provider: ProviderHooks | undefined;
  readonly #known = new Map<string, number>();
  readonly #texts = new Map<string, number>();
  readonly #logger: Logger;
  #failed = false;

  /** `loadCount` is called when the first count is needed, which in short conversations is never. */
  constructor(loadCount: () => Promise<CountText>, provider: ProviderHooks | undefined, logger: Logger) {
    this.#loadCount = loadCount;
    this.#provider = provider;
    this.#logger = logger;
  }

  /**
   * More than this they cannot take. `undefined` where only the host can tell. As rough as `enough` allows, since it is asked at
   * every turn of all that is in the window.
   */
  most(messages: readonly MessageEntry[], as: Counted, enough = 0): number | undefined {
    if (this.#provider?.countTokens !== undefined) return undefined;
    let rough = 0;
    for (const { content, sender, provenance } of messages) {
      if (typeof content !== "string" || provenance !== undefined) rough = Number.POSITIVE_INFINITY;
      else rough += BYTES_OF_A_UNIT * (content.length + (sender === undefined ? 0 : LONGEST_NAME)) + FRAME;
      if (rough > enough) break;
    }
    if (rough <= enough) return rough;
    return messages.reduce((sum, message) => sum + maxMessageTokens(shownMessage(message, as)), 0);
  }

  /** What each of them takes. */
  async sizes(messages: readonly MessageEntry[], as: Counted): Promise<number[]> {
    const sizes: number[] = [];
    const slice = new Slice();
    for (const message of messages) {
      const name = this.#nameOf(message, as);
      const known = this.#known.get(name);
      if (known !== undefined) this.#known.delete(name);
      const size = known ?? (await this.#count(shownMessage(message, as), as, slice));
      this.#known.set(name, size);
      sizes.push(size);
    }
    this.#forgetOldest();
    return sizes;
  }

  /** What texts take. Nothing of it is remembered. */
  async textSizes(texts: readonly string[], as: Pick<Counted, "key" | "model">): Promise<number[]> {
    const slice = new Slice();
    const sizes: number[] = [];
    for (const content of texts) sizes.push(await this.#count({ role: "user", content }, as, slice));
    return sizes;
  }

  /** What a message takes that is in no transcript. The last of them are remembered: most are summaries. */
  async size(message: Message, as: Pick<Counted, "key" | "model">): Promise<number> {
    const name = typeof message.content === "string" ? `${as.model} ${message.content}` : undefined;
    const known = name === undefined ? undefined : this.#texts.get(name);
    if (known !== undefined) return known;
    const size = await this.#count(message, as, new Slice());
    if (this.#texts.size >= MAX_TEXTS) this.#texts.clear();
    if (name !== undefined) this.#texts.set(name, size);
    return size;
  }

  // What a text is cut to, who is named and which model counts can make another number of the same message.
  #nameOf(message: MessageEntry, { uuid, model, nameSenders, maxResultCharacters }: Counted): string {
    const counter = this.#provider?.countTokens === undefined ? "" : (model ?? "");
    const limit = typeof message.content === "string" ? "" : maxResultCharacters;
    return `${uuid} ${message.id} ${message.role === "user" && nameSenders} ${limit} ${counter}`;
  }

  async #count(message: Message, { key, model }: Pick<Counted, "key" | "model">, slice: Slice): Promise<number> {
    if (this.#provider?.countTokens !== undefined) return hostCount(this.#provider, message, model, key);
    const { texts, tokens } = messageTexts(message);
    let sum = tokens;
    const count = texts.length === 0 ? countRoughly : await this.#counter();
    for (const text of texts) sum += await countInSlices(text, count, slice);
    return sum;
  }

  // A bundler that leaves the tokeniser's own file behind must not cost a session its turns.
  async #counter(): Promise<CountText> {
    if (this.#failed) return countRoughly;
    try {
      return await this.#loadCount();
    } catch (error) {
      if (this.#failed) return countRoughly;
      this.#failed = true;
      this.#logger.warn(
        { err: error instanceof Error ? { type: error.name } : { type: typeof error } },
        "tiktoken could not be loaded: tokens are counted roughly, by bytes; give provider.countTokens for better",
      );
      return countRoughly;
    }
  }

  #forgetOldest(): void {
    for (const name of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN) return;
      this.#known.delete(name);
    }
  }
}

// Rather too many than too few, in most languages.
const BYTES_OF_A_TOKEN = 3;

const encoder = new TextEncoder();

const countRoughly: CountText = (text) => Math.ceil(encoder.encode(text).length / BYTES_OF_A_TOKEN);

function hostCount(provider: ProviderHooks, message: Message, model: string | undefined, key: SessionKey): number {
  const operation = "countTokens";
  let tokens: unknown;
  try {
    tokens = provider.countTokens?.(message, model);
  } catch (cause) {
    throw new HookError("countTokens failed, so the size of the prompt is not known.", { operation, key, cause });
  }
  if (typeof tokens === "number" && tokens >= 0 && Number.isFinite(tokens)) return tokens;
  throw new HookError("countTokens must return a number of tokens, 0 or more, at once.", { operation, key });
}

// A text of a megabyte takes up to two seconds, and other conversations must not wait for it.
async function countInSlices(text: string, count: CountText, slice: Slice): Promise<number> {
  let total = 0;
  for (const tokens of pieceCounts(text, count)) {
    total += tokens;
    if (slice.isOver()) await slice.next();
  }
  return total;
}

class Slice {
  #began = performance.now();

  isOver(): boolean {
    return performance.now() - this.#began > SLICE_MS;
  }

  async next(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#began = performance.now();
  }
}
