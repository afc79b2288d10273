import { assessCompaction, compactionThresholds } from "../../core/compaction-policy.js";
import type { CompactionCause, MessageEntry } from "../../core/entry.js";
import { parseSessionKey } from "../../core/key.js";
import type { Message, Usage } from "../../core/message.js";
import { isPayloadTooLarge } from "../../core/overflow.js";
import type { SessionRecord } from "../../core/record.js";
import { hasMedia, shortenMessage } from "../../core/shorten.js";
import { messageTexts, utf8Length } from "../../core/tokens.js";
import { windowOf } from "../../core/window.js";
import { ContextOverflowError, SessionNotFoundError } from "../../errors.js";
import { compact } from "../compaction/compactor.js";
import { flushMemory } from "../compaction/memory-flush.js";
import { codeOf } from "../error-code.js";
import type { TurnEvent } from "../events.js";
import type { Shell } from "../shell.js";
import { untilAborted } from "../until-aborted.js";
import { contextOf, overheadOf, type Prompt, promptOf, promptSize } from "./prompt.js";
import { type Reduction, reduce, reducedSize, WHOLE } from "./reduction.js";
import { entriesFor } from "./turn-entries.js";

// After so many a turn has been kept waiting long enough, and what is left is what cannot be told in a summary.
const MOST_COMPACTIONS = 3;

// Each refusal of a long loop of tools comes after some further steps. This many are more than any loop needs, and fewer than ever.
const MOST_REFUSALS = 24;

/** What is left of the prompt each time that whole turns are left out; the last time, nothing but what was asked. */
const SHARES = [0.5, 0.25, 0.125, 0];

/** Which turn a prompt is for. */
export interface PromptedTurn {
  about: TurnEvent;
  /** What was asked. */
  user: MessageEntry;
  signal: AbortSignal;
}

/** The prompt of one turn: kept under the limit before the model is called, and made smaller when it is refused. */
export class TurnPrompt {
  readonly #shell: Shell;
  readonly #turn: PromptedTurn;
  #reduction: Reduction;
  #assessed = false;
  #attempts = 0;
  #compactions = 0;
  #mayCompact = true;
  #due: boolean | undefined;
  #timesDropped = 0;
  /** What the last prompt was built of, and how many messages its window had. */
  #built!: Prompt;
  #sent = 0;

  constructor(shell: Shell, turn: PromptedTurn) {
    this.#shell = shell;
    this.#turn = turn;
    this.#reduction = { ...WHOLE, media: shell.windows.mediaOf(turn.about.uuid) };
  }

  /** What to send now. The first time, memory is flushed and the session compacted if that is due. */
  async messages(): Promise<Message[]> {
    let prompt = await this.#read();
    if (!this.#assessed) {
      this.#assessed = true;
      prompt = await this.#assess(prompt);
    }
    return this.#build(prompt);
  }

  /**
   * Makes the prompt smaller after the provider refused it: by a compaction while that helps, then by leaving out of this one
   * prompt what is least needed.
   * @throws ContextOverflowError when nothing is left that could be left out.
   */
  async shrink(error: unknown): Promise<void> {
    const { events } = this.#shell;
    const { about } = this.#turn;
    const prompt = await this.#read();
    const { contextWindow, policy } = prompt;
    const tokens = await this.#size(prompt, this.#reduction);
    const payload = isPayloadTooLarge(error);
    this.#attempts += 1;
    if (this.#attempts > MOST_REFUSALS) throw this.#overflow(prompt, tokens, error);
    // It is another prompt by now, shorter or whole again, than the one that was refused.
    if (this.isOutdated(prompt.record)) return;
    const recorded = this.#recorded(prompt);
    const overhead = await overheadOf(this.#shell, prompt);
    if (recorded.length > 0) this.#beginAnew();
    // With steps since, it is not this prompt that was refused, but one that the provider's own loop made of it.
    else if (!payload) this.#shell.windows.refused(about.uuid, prompt.model, tokens + overhead);
    events.emit("context.overflow", { ...about, attempt: this.#attempts, tokens, contextWindow, payload });
    if (payload && (await this.#leaveOutMedia(prompt))) return;
    // What the loop of the provider sent last had the whole of what its tools have just returned. The next prompt has not.
    if (!payload && recorded.some((message) => shortenMessage(message, prompt.counted) !== message)) return;
    const size = Math.min(tokens, contextWindow);
    if (this.#turn.signal.aborted) return;
    if (policy.enabled && this.#isDue() && (await this.#compact("overflow", Math.floor((size + overhead) * 0.9))))
      return;
    if (await this.#leaveOut(prompt, "results", { ...this.#reduction, tightResults: true, tightHead: true })) return;
    while (this.#timesDropped < SHARES.length) {
      const room = Math.floor(size * (SHARES[this.#timesDropped] as number));
      this.#timesDropped += 1;
      if (await this.#leaveOut(prompt, "dropped", { ...this.#reduction, room })) return;
    }
    throw this.#overflow(prompt, tokens, error);
  }

  /**
   * Whether the provider's report does not tell the size of the window: because something was left out of this prompt, because it
   * is far less than was sent, or more than the model takes at all.
   */
  async isTruncated(messages: readonly Message[], usage: Usage): Promise<boolean> {
    try {
      return await this.#isTruncated(messages, usage);
    } catch (error) {
      // A hook that fails now must not cost the answer that is there.
      const { key } = this.#turn.about;
      this.#shell.logger.warn({ key, code: codeOf(error) }, "a report could not be judged");
      return true;
    }
  }

  async #isTruncated(messages: readonly Message[], { input, cacheRead = 0, cacheWrite = 0 }: Usage): Promise<boolean> {
    const { windows } = this.#shell;
    const { key, uuid } = this.#turn.about;
    const reported = input + cacheRead + cacheWrite;
    const { model } = this.#built;
    windows.accepted(uuid, model, reported);
    // Media that are left out are left out of the next prompt as well.
    const { media, tightResults, tightHead, room } = this.#reduction;
    if (media === "none" || tightResults || tightHead || room !== undefined) return true;
    // More than a window holds is the sum of several calls.
    const window = windows.stated(model, parseSessionKey(key).agentId, key);
    if (window !== undefined && reported > window) return true;
    if (!isFarLess(reported, messages)) return false;
    const tokens = await this.#size(this.#built, WHOLE);
    if (tokens < reported * 2) return false;
    this.#shell.events.emit("context.truncated", { ...this.#turn.about, tokens, reported });
    return true;
  }

  async #read(): Promise<Prompt> {
    const { ledger } = this.#shell;
    const { about, user } = this.#turn;
    const record = await ledger.read(about.key);
    if (record === undefined || record.uuid !== about.uuid)
      throw new SessionNotFoundError("The session was removed while its turn ran.", {
        operation: "handle",
        key: about.key,
      });
    return promptOf(this.#shell, record, entriesFor(await ledger.window(record), user));
  }

  async #assess(prompt: Prompt): Promise<Prompt> {
    const { events } = this.#shell;
    const { about, signal } = this.#turn;
    const { policy, contextWindow, record } = prompt;
    const { flush, compact: threshold } = compactionThresholds(contextWindow, policy);
    const size = await promptSize(this.#shell, prompt, flush);
    const assessed = assessCompaction({ tokens: size.tokens, contextWindow, policy, state: record.state });
    const { tokens, source } = size;
    events.emit("context.assessed", { ...about, ...assessed, tokens, source, contextWindow });
    // One that failed at this point is tried again where it counts: right before a compaction.
    if (assessed.action === "flush-memory" && record.memoryFlush === null)
      await flushMemory(this.#shell, record, signal);
    let now = prompt;
    if (assessed.action === "compact" && this.#isDue()) {
      await this.#compact("threshold");
      now = await this.#read();
    }
    if (signal.aborted) return now;
    // The reply needs room as well: half of what is kept free for it.
    const most = Math.floor((contextWindow + threshold) / 2);
    if (tokens > most) await this.#fit(now, most);
    return now;
  }

  // For when there was no compaction, or none that helped.
  async #fit(prompt: Prompt, most: number): Promise<void> {
    const { tokens } = await promptSize(this.#shell, prompt);
    if (tokens <= most) return;
    const messages = await this.#size(prompt, WHOLE);
    const over = Math.max(0, tokens - messages);
    await this.#leaveOut(prompt, "results", { ...this.#reduction, tightResults: true, tightHead: true });
    const left = await this.#size(prompt, this.#reduction);
    if (left + over > most) await this.#leaveOut(prompt, "dropped", { ...this.#reduction, room: most - over });
    const rest = await this.#size(prompt, this.#reduction);
    // The count may be a little off, and what else is said to be in the prompt a mistake: then the provider has the last word.
    if (rest > prompt.contextWindow * 1.1) throw this.#overflow(prompt, rest, undefined);
  }

  // A turn counts once in the pause after a failure, however often it would compact.
  #isDue(): boolean {
    this.#due ??= this.#shell.compactions.isDue(this.#turn.about.uuid);
    return this.#due;
  }

  async #compact(cause: CompactionCause, limit?: number): Promise<boolean> {
    if (!this.#mayCompact || this.#compactions >= MOST_COMPACTIONS) return false;
    const { about, signal } = this.#turn;
    this.#compactions += 1;
    const compaction = compact(this.#shell, about, { cause, signal, limit });
    const late = () => this.#shell.logger.debug({ key: about.key }, "a compaction failed after its turn was stopped");
    const outcome = (await untilAborted(compaction, signal, late))?.value;
    // The same again would fail the same way.
    this.#mayCompact = outcome?.status === "compacted";
    if (outcome?.status === "failed") this.#due = false;
    if (this.#mayCompact) this.#reduction = { ...WHOLE, media: this.#reduction.media };
    return this.#mayCompact;
  }

  /** What the turn has added since its prompt was last built. */
  #recorded({ entries }: Prompt): MessageEntry[] {
    const { messages } = windowOf(entries);
    const recorded = messages.slice(this.#sent);
    this.#sent = messages.length;
    // The words of an answer that broke off are no step forward.
    return recorded.filter(({ stopReason }) => stopReason !== "error");
  }

  // The model was called with success since: this is another prompt than the one all was tried on.
  #beginAnew(): void {
    this.#compactions = 0;
    this.#mayCompact = true;
    this.#timesDropped = 0;
    this.#reduction = { ...WHOLE, media: this.#reduction.media };
  }

  async #leaveOutMedia(prompt: Prompt): Promise<boolean> {
    const { media } = this.#reduction;
    const { messages } = windowOf(prompt.entries);
    const asked = messages.findLastIndex(({ role }) => role === "user");
    const isLeft = (at: number) => at >= asked || media === "all";
    if (media === "none" || !messages.some((message, at) => isLeft(at) && hasMedia(message))) return false;
    const older = media === "all" && messages.some((message, at) => at < asked && hasMedia(message));
    if (older) this.#shell.windows.leftOutMedia(this.#turn.about.uuid);
    return this.#leaveOut(prompt, "media", { ...this.#reduction, media: older ? "last-turn" : "none" });
  }

  /** Whether the session has been compacted, or a compaction taken back, since the prompt was built: then a report on it is outdated. */
  isOutdated({ compactions, state }: SessionRecord): boolean {
    const { record } = this.#built;
    return compactions !== record.compactions || state.lastCompaction !== record.state.lastCompaction;
  }

  /** Whether that leaves anything out. If not, it stays as it was. */
  async #leaveOut(prompt: Prompt, reason: "media" | "results" | "dropped", reduction: Reduction): Promise<boolean> {
    const before = await this.#size(prompt, this.#reduction);
    const after = await this.#size(prompt, reduction);
    if (reason !== "media" && after >= before) return false;
    const { dropped } = await reduce(this.#shell, prompt, reduction);
    this.#reduction = reduction;
    const threshold = compactionThresholds(prompt.contextWindow, prompt.policy).compact;
    this.#shell.events.emit("context.reduced", { ...this.#turn.about, reason, before, after, threshold, dropped });
    return true;
  }

  async #build(prompt: Prompt): Promise<Message[]> {
    const { media } = this.#reduction;
    this.#built = prompt;
    this.#sent = windowOf(prompt.entries).messages.length;
    const reduced = await reduce(this.#shell, prompt, this.#reduction);
    return contextOf(reduced.prompt, { media }).messages;
  }

  #size(prompt: Prompt, reduction: Reduction): Promise<number> {
    return reducedSize(this.#shell, prompt, reduction);
  }

  #overflow({ model, counted }: Prompt, tokens: number, cause: unknown): ContextOverflowError {
    // As the host said it, and not what has been found out since.
    const contextWindow = this.#shell.windows.of(model, parseSessionKey(counted.key).agentId, counted.key);
    const what =
      tokens > contextWindow
        ? `What has to be in the prompt takes about ${Math.ceil(tokens)} tokens, and the model's window is ${contextWindow}.`
        : `The provider refuses even a prompt of about ${Math.ceil(tokens)} tokens, in a window said to be ${contextWindow}.`;
    return new ContextOverflowError(
      `${what} The message is stored. Send less at once, or choose a model with a larger window.`,
      { operation: "generate", key: this.#turn.about.key, tokens: Math.ceil(tokens), contextWindow, cause },
    );
  }
}

// A prompt that is shorter than this is not cut off by anyone.
const FEW_BYTES = 4096;

// English has some four bytes to a token, and hardly any text more.
const BYTES_OF_TWO_TOKENS = 8;

/** Whether so few tokens may be far less than messages take. Seldom, so that seldom anything has to be counted. */
function isFarLess(tokens: number, messages: readonly Message[]): boolean {
  let bytes = 0;
  for (const message of messages) for (const text of messageTexts(message).texts) bytes += utf8Length(text);
  return bytes >= Math.max(FEW_BYTES, tokens * BYTES_OF_TWO_TOKENS);
}
