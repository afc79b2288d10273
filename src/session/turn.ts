import { agentModel } from "../core/config.js";
import { isMessageEntry, type MessageEntry, type TurnEntry } from "../core/entry.js";
import { NO_CAUSE } from "../core/hops.js";
import { parseSessionKey } from "../core/key.js";
import { type Message, saysNothing, type Usage } from "../core/message.js";
import { isContextOverflow, isPayloadTooLarge } from "../core/overflow.js";
import type { SessionRecord } from "../core/record.js";
import { waitingRun } from "../core/runs.js";
import { effectiveModel } from "../core/state.js";
import { ClaimLostError, HookError } from "../errors.js";
import type { Claim } from "../storage/storage.js";
import { deliver } from "./delivery.js";
import { codeOf } from "./error-code.js";
import { type Generation, generate } from "./generation.js";
import type { ProviderHooks } from "./hooks.js";
import type { Appended, NewEntry } from "./ledger.js";
import { Lifespan } from "./lifespan.js";
import { replyOutcome, type TurnOutcome } from "./outcome.js";
import { TurnPrompt } from "./prompt/turn-prompt.js";
import type { Arrival, Shell } from "./shell.js";
import type { Slot } from "./turn-queue.js";

/** The line a message becomes. */
export function userEntry({ line }: Arrival, slot: Slot, record: SessionRecord): NewEntry<MessageEntry> {
  const { provenance } = line;
  const waiting = provenance === undefined ? undefined : waitingRun(record, provenance.run);
  const cleared = slot.cleared || waiting?.cleared === true;
  return { role: "user", ...line, ...(cleared ? { cleared: true as const } : {}) };
}

/** One message from its first line on disk to the delivery of its answer. */
export class Turn {
  readonly #shell: Shell;
  readonly #arrival: Arrival;
  readonly #slot: Slot;
  readonly #claim: Claim;
  readonly #signal: AbortSignal;
  readonly #steps: MessageEntry[] = [];
  #begun!: SessionRecord;
  #user!: MessageEntry;
  #prompt: TurnPrompt | undefined;
  #truncated = false;
  #storing: Promise<unknown> = Promise.resolve();

  constructor(shell: Shell, arrival: Arrival, slot: Slot, claim: Claim, signal: AbortSignal) {
    this.#shell = shell;
    this.#arrival = arrival;
    this.#slot = slot;
    this.#claim = claim;
    this.#signal = signal;
  }

  async run(): Promise<TurnOutcome> {
    await this.#begin();
    this.#shell.events.emit("turn.started", this.#about());
    let outcome: TurnOutcome;
    try {
      outcome = await this.#finish(await this.#generate());
    } catch (error) {
      await this.#fail(error);
      throw error;
    }
    const { key, replyTo } = this.#arrival;
    if (outcome.status === "replied" && replyTo !== undefined) {
      await deliver(this.#shell, { key, replyTo }, { ...this.#place(), text: outcome.text }, this.#signal);
    }
    return outcome;
  }

  // The message is on disk before the model is called.
  async #begin(): Promise<void> {
    const model = agentModel(this.#shell.config, this.#arrival.agentId) ?? null;
    const { provenance } = this.#arrival.line;
    const { record, appended } = await this.#append((current) => {
      // Its session was removed in this moment; it must not begin another.
      if (provenance !== undefined && waitingRun(current, provenance.run) === undefined) throw this.#lost();
      return [
        ...(current.state.model === model ? [] : [{ type: "state" as const, patch: { model } }]),
        { ...userEntry(this.#arrival, this.#slot, current), turn: true },
      ];
    });
    this.#begun = record;
    this.#user = appended.at(-1) as MessageEntry;
    if (parseSessionKey(record.key).kind === "main") this.#shell.shared.notice(record);
  }

  async #generate(): Promise<Generation> {
    const { provider } = this.#shell;
    if (provider === undefined) {
      throw new HookError("No provider was given to the manager, so there is nothing to answer with.", {
        operation: "generate",
        key: this.#arrival.key,
      });
    }
    const prompt = new TurnPrompt(this.#shell, { about: this.#about(), user: this.#user, signal: this.#signal });
    this.#prompt = prompt;
    for (;;) {
      const messages = await prompt.messages();
      const isTruncated = (usage: Usage | undefined) => usage !== undefined && prompt.isTruncated(messages, usage);
      const generation = await this.#ask(provider, messages, isTruncated);
      const refusal = refusalIn(generation, provider);
      if (refusal === undefined) {
        this.#truncated = generation.ended === "answered" && (await isTruncated(generation.answer.usage));
        return generation;
      }
      // What has streamed was seen. It stays, told as broken off.
      if (refusal.partial !== "") await this.#store(partialMessage(refusal.partial, "error"));
      await prompt.shrink(refusal.error);
    }
  }

  #ask(
    provider: ProviderHooks,
    messages: readonly Message[],
    isTruncated: (usage: Usage | undefined) => boolean | Promise<boolean>,
  ): Promise<Generation> {
    const { key, agentId, line, replyTo } = this.#arrival;
    const { events, logger } = this.#shell;
    const { uuid, ancestors } = this.#begun;
    const { hops, chain } = line.provenance ?? NO_CAUSE;
    const lifespan = new Lifespan(this.#signal);
    const tools = this.#shell.tools({ key, turn: { cause: { hops, chain }, lifespan, ancestors, replyTo } });
    return generate({
      provider,
      request: { purpose: "reply", key, uuid, agentId, model: this.#model(), messages, tools, signal: this.#signal },
      onText: (text) => events.emit("turn.text", { ...this.#about(), text }),
      store: (step, usage) =>
        this.#inOrder(async () => {
          const truncated = (await isTruncated(usage)) ? { truncated: true as const } : {};
          await this.#store([{ ...step, ...(usage === undefined ? {} : { usage, ...truncated }) }]);
        }),
      onLateFailure: () => logger.debug({ key }, "the provider failed after its turn was stopped"),
      // A tool that is called by what is still running of the provider does nothing any more.
    }).finally(() => lifespan.end());
  }

  // Steps are stored in the order in which they were recorded, whoever waits for what.
  #inOrder(store: () => Promise<void>): Promise<void> {
    const stored = this.#storing.then(store);
    this.#storing = Promise.allSettled([stored]);
    return stored;
  }

  async #store(steps: readonly Pick<MessageEntry, "role" | "content" | "usage" | "truncated">[]): Promise<void> {
    const { appended } = await this.#append((record) => steps.map((step) => this.#produced(step, record)));
    this.#steps.push(...appended.filter(isMessageEntry));
  }

  #model(): string | undefined {
    return effectiveModel(this.#begun.state, agentModel(this.#shell.config, this.#arrival.agentId));
  }

  async #finish(generation: Generation): Promise<TurnOutcome> {
    const { key } = this.#arrival;
    const { events } = this.#shell;
    switch (generation.ended) {
      case "answered": {
        const { messages, usage, stopReason } = generation.answer;
        const last = messages.length - 1;
        const cost = { ...(usage ? { usage } : {}), ...(this.#truncated ? { truncated: true as const } : {}) };
        const facts = { ...cost, ...(stopReason === undefined ? {} : { stopReason }) };
        const entries = messages.map((message, index) => ({ ...message, ...(index === last ? facts : {}) }));
        const { appended } = await this.#end("completed", entries, last < 0 ? cost : {});
        if (appended.length === 0) throw this.#lost();
        const outcome = replyOutcome(key, [...this.#steps, ...appended.filter(isMessageEntry)], usage);
        events.emit("turn.completed", {
          ...this.#about(),
          silent: outcome.status === "silent",
          ...(usage ? { usage } : {}),
        });
        return outcome;
      }
      case "aborted":
        await this.#end("aborted", partialMessage(generation.partial, "aborted"));
        events.emit("turn.aborted", this.#about());
        return { status: "aborted", key, partial: generation.partial };
      case "failed":
        await this.#end("failed", partialMessage(generation.partial, "error"), {
          error: { code: codeOf(generation.error) },
        });
        throw generation.error;
    }
  }

  // A turn has one end, also when writing the end is what failed. Where even this cannot be written, the turn is found
  // interrupted later.
  async #fail(error: unknown): Promise<void> {
    try {
      await this.#end("failed", [], { error: { code: codeOf(error) } });
    } catch (again) {
      this.#shell.logger.error(
        { key: this.#arrival.key, code: codeOf(again) },
        "the end of a turn could not be stored",
      );
    }
    this.#shell.events.emit("turn.failed", { ...this.#about(), error });
  }

  #end(
    status: TurnEntry["status"],
    messages: readonly Pick<MessageEntry, "role" | "content">[],
    facts: { error?: { code: string }; usage?: Usage | undefined; truncated?: true } = {},
  ): Promise<Appended> {
    return this.#append((record) =>
      record.openTurns.includes(this.#user.id)
        ? [
            ...messages.map((message) => this.#produced(message, record)),
            // After a clear the size of what was cleared says nothing about the new conversation.
            {
              type: "turn",
              of: this.#user.id,
              status,
              ...(this.#isCleared(record) ? { ...facts, usage: undefined } : facts),
              ...(facts.usage !== undefined && this.#prompt?.isOutdated(record) ? { truncated: true as const } : {}),
            },
          ]
        : undefined,
    );
  }

  #append(decide: (record: SessionRecord) => NewEntry[] | undefined): Promise<Appended> {
    const begun: SessionRecord | undefined = this.#begun;
    return this.#shell.ledger.append(
      this.#arrival.key,
      (record) => {
        // The transcript this turn began in is gone; what it says must not begin another.
        if (begun !== undefined && record.uuid !== begun.uuid) throw this.#lost();
        return decide(record);
      },
      { claim: this.#claim },
    );
  }

  #lost(): ClaimLostError {
    return new ClaimLostError(
      "The turn was ended, or its session removed, by someone else on this store, so the reply was not stored or sent.",
      { operation: "handle", key: this.#arrival.key },
    );
  }

  // What belongs to a conversation that was cleared meanwhile must not be the first thing in the new one.
  #produced(message: Pick<MessageEntry, "role" | "content">, record: SessionRecord): NewEntry<MessageEntry> {
    const model = this.#model();
    const isOutdated = "usage" in message && this.#prompt?.isOutdated(record) === true;
    return {
      ...message,
      ...(isOutdated ? { truncated: true as const } : {}),
      of: this.#user.id,
      ...(model === undefined || message.role !== "assistant" ? {} : { model }),
      ...(this.#isCleared(record) ? { cleared: true as const } : {}),
    };
  }

  #isCleared(record: SessionRecord): boolean {
    return this.#user.cleared === true || record.lastClear !== this.#begun.lastClear;
  }

  #place(): { uuid: string; of: string } {
    return { uuid: this.#begun.uuid, of: this.#user.id };
  }

  #about(): { key: SessionRecord["key"]; uuid: string; turn: string } {
    return { key: this.#arrival.key, uuid: this.#begun.uuid, turn: this.#user.id };
  }
}

/** Whether a provider did not answer because it was sent too much. An answer that says something is one, however it ended. */
function refusalIn(generation: Generation, provider: ProviderHooks): { error: unknown; partial: string } | undefined {
  const patterns = provider.overflowPatterns;
  if (generation.ended === "failed") {
    const { error, partial } = generation;
    return isContextOverflow(error, { patterns }) || isPayloadTooLarge(error) ? { error, partial } : undefined;
  }
  if (generation.ended !== "answered") return undefined;
  const { messages, stopReason } = generation.answer;
  if (stopReason === undefined || !messages.every(({ content }) => saysNothing(content))) return undefined;
  return isContextOverflow(undefined, { stopReason, patterns }) ? { error: undefined, partial: "" } : undefined;
}

function partialMessage(
  text: string,
  stopReason: "aborted" | "error",
): Pick<MessageEntry, "role" | "content" | "stopReason">[] {
  return text === "" ? [] : [{ role: "assistant", content: text, stopReason }];
}
