import { shownMessage } from "../../core/context.js";
import type { MessageEntry } from "../../core/entry.js";
import type { SessionKey } from "../../core/key.js";
import type { Message } from "../../core/message.js";
import { type CountText, maxMessageTokens, messageTexts, textPieces } from "../../core/tokens.js";
import { HookError } from "../../errors.js";
import type { ProviderHooks } from "../hooks.js";

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

// A prompt that is shorter than this is not cut off by anyone.
const FEW_BYTES = 4096;

// English has some four bytes to a token, and hardly any text more.
const BYTES_OF_TWO_TOKENS = 8;

const encoder = new TextEncoder();

// So long the thread may be kept by counting before others get their turn.
const SLICE_MS = 8;

/** Counts what messages take in a prompt. Each once: a turn counts what is new. */
export class TokenGauge {
  readonly #loadCount: () => Promise<CountText>;
  readonly #provider: ProviderHooks | undefined;
  readonly #known = new Map<string, number>();

  /** `loadCount` is called when the first count is needed, which in short conversations is never. */
  constructor(loadCount: () => Promise<CountText>, provider: ProviderHooks | undefined) {
    this.#loadCount = loadCount;
    this.#provider = provider;
  }

  /** More than this they cannot take. Costs next to nothing; `undefined` where only the host can tell. */
  most(messages: readonly MessageEntry[], as: Counted): number | undefined {
    if (this.#provider?.countTokens !== undefined) return undefined;
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

  /** What a message takes that is in no transcript. */
  async size(message: Message, as: Pick<Counted, "key" | "model">): Promise<number> {
    return this.#count(message, as, new Slice());
  }

  /** What the texts of messages take, if it is more than twice so many tokens; else `undefined`. Seldom has to count. */
  async farMoreThan(tokens: number, messages: readonly Message[]): Promise<number | undefined> {
    const texts = messages.flatMap((message) => messageTexts(message).texts);
    const bytes = texts.reduce((sum, text) => sum + encoder.encode(text).length, 0);
    if (bytes < FEW_BYTES || bytes < tokens * BYTES_OF_TWO_TOKENS) return undefined;
    const slice = new Slice();
    let sum = 0;
    for (const text of texts) sum += await countInSlices(text, await this.#loadCount(), slice);
    return sum > tokens * 2 ? sum : undefined;
  }

  // What a text is cut to, who is named and which model counts can make another number of the same message.
  #nameOf(message: MessageEntry, { uuid, model, nameSenders, maxResultCharacters }: Counted): string {
    const counter = this.#provider?.countTokens === undefined ? "" : (model ?? "");
    const form = message.role === "user" ? nameSenders : message.role === "tool" ? maxResultCharacters : "";
    return `${uuid} ${message.id} ${form} ${counter}`;
  }

  async #count(message: Message, { key, model }: Pick<Counted, "key" | "model">, slice: Slice): Promise<number> {
    if (this.#provider?.countTokens !== undefined) return hostCount(this.#provider, message, model, key);
    const { texts, tokens } = messageTexts(message);
    let sum = tokens;
    for (const text of texts) sum += await countInSlices(text, await this.#loadCount(), slice);
    return sum;
  }

  #forgetOldest(): void {
    for (const name of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN) return;
      this.#known.delete(name);
    }
  }
}

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
  let previous = "";
  let tokens = 0;
  for (const piece of textPieces(text)) {
    if (piece !== previous) tokens = count(piece);
    previous = piece;
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
