import { isActivated } from "../core/activation.js";
import { agentModel } from "../core/config.js";
import { buildContext } from "../core/context.js";
import { isMessageEntry, type MessageEntry, type TurnEntry } from "../core/entry.js";
import { parseSessionKey } from "../core/key.js";
import type { Message } from "../core/message.js";
import type { SessionRecord } from "../core/record.js";
import { maySend } from "../core/send-policy.js";
import { HookError, isSessionError } from "../errors.js";
import type { Claim } from "../storage/storage.js";
import { deliver } from "./delivery.js";
import { type Generation, generate } from "./generation.js";
import { interruptedEntries, reportInterrupted } from "./interrupted.js";
import type { Appended, NewEntry } from "./ledger.js";
import { replyOutcome, type TurnOutcome } from "./outcome.js";
import { answerDuplicate, seenBefore } from "./seen.js";
import type { Arrival, Shell } from "./shell.js";

/** Deals with a message whose turn in the queue has come. */
export async function takeTurn(shell: Shell, arrival: Arrival, stop: AbortSignal): Promise<TurnOutcome> {
  const record = await shell.ledger.open(arrival.key);
  const seen = seenBefore(record, arrival);
  if (seen !== undefined) return answerDuplicate(shell, record, seen);
  const reason = whyUnanswered(shell, arrival, record);
  if (reason !== undefined) return note(shell, arrival, reason);
  const signal = arrival.signal === undefined ? stop : AbortSignal.any([stop, arrival.signal]);
  // Stopped while it waited: it is kept, and ends without the model being called.
  if (signal.aborted) return abandon(shell, arrival);
  const claim = await claimOrAbort(shell, arrival, signal);
  if (claim === undefined) return abandon(shell, arrival);
  try {
    return await new Turn(shell, arrival, claim, AbortSignal.any([signal, claim.signal])).run();
  } finally {
    await claim.release();
  }
}

function whyUnanswered(
  shell: Shell,
  { key, message }: Arrival,
  record: SessionRecord,
): "not-mentioned" | "send-policy" | undefined {
  const { chatType, channel } = message.address;
  if (!isActivated({ chatType, mentioned: message.mentioned }, record.state.activationMode)) return "not-mentioned";
  return maySend({ channel, chatType }, key, shell.config.session.sendPolicy) ? undefined : "send-policy";
}

async function note(shell: Shell, arrival: Arrival, reason: "not-mentioned" | "send-policy"): Promise<TurnOutcome> {
  const { record, appended } = await shell.ledger.append(arrival.key, () => [
    { ...userEntry(arrival), unanswered: reason },
  ]);
  shell.events.emit("message.recorded", { key: arrival.key, uuid: record.uuid, id: appended[0]?.id ?? "" });
  return { status: "ignored", key: arrival.key, reason };
}

async function claimOrAbort(shell: Shell, { key }: Arrival, signal: AbortSignal): Promise<Claim | undefined> {
  try {
    return await shell.ledger.storage.claim(key, { signal });
  } catch (error) {
    if (signal.aborted && !isSessionError(error)) return undefined;
    throw error;
  }
}

async function abandon(shell: Shell, arrival: Arrival): Promise<TurnOutcome> {
  const begun = await shell.ledger.append(arrival.key, () => [{ ...userEntry(arrival), turn: true }]);
  const turn = begun.appended[0]?.id ?? "";
  await shell.ledger.append(arrival.key, () => [{ type: "turn", of: turn, status: "aborted" }]);
  shell.events.emit("turn.aborted", { key: arrival.key, uuid: begun.record.uuid, turn });
  return { status: "aborted", key: arrival.key, partial: "" };
}

function userEntry({ message, address }: Arrival): NewEntry<MessageEntry> {
  return {
    role: "user",
    content: message.content,
    timestamp: message.timestamp,
    ...(message.messageId === undefined ? {} : { messageId: message.messageId }),
    ...(message.sender === undefined ? {} : { sender: message.sender }),
    address,
  };
}

/** One message from its first line on disk to the delivery of its answer. */
class Turn {
  readonly #shell: Shell;
  readonly #arrival: Arrival;
  readonly #claim: Claim;
  readonly #signal: AbortSignal;
  #begun!: SessionRecord;
  #user!: MessageEntry;

  constructor(shell: Shell, arrival: Arrival, claim: Claim, signal: AbortSignal) {
    this.#shell = shell;
    this.#arrival = arrival;
    this.#claim = claim;
    this.#signal = signal;
  }

  async run(): Promise<TurnOutcome> {
    await this.#begin();
    const { events } = this.#shell;
    events.emit("turn.started", this.#about());
    const generation = await this.#generate().catch(
      (error: unknown): Generation => ({ ended: "failed", partial: "", error }),
    );
    switch (generation.ended) {
      case "answered":
        return this.#complete(generation);
      case "aborted":
        await this.#end("aborted", this.#partial(generation.partial, "aborted"));
        events.emit("turn.aborted", this.#about());
        return { status: "aborted", key: this.#arrival.key, partial: generation.partial };
      case "failed":
        await this.#end("failed", this.#partial(generation.partial, "error"), codeOf(generation.error));
        events.emit("turn.failed", { ...this.#about(), error: generation.error });
        throw generation.error;
    }
  }

  // The message is on disk before the model is called, together with the ends of turns that a dead process left open:
  // whoever holds the claim knows that none of them runs any more.
  async #begin(): Promise<void> {
    const model = agentModel(this.#shell.config, this.#arrival.agentId) ?? null;
    let open: readonly string[] = [];
    const { record, appended } = await this.#shell.ledger.append(
      this.#arrival.key,
      (current) => {
        open = current.openTurns;
        const changed = current.state.model === model ? [] : [{ type: "state" as const, patch: { model } }];
        return [...interruptedEntries(open), ...changed, { ...userEntry(this.#arrival), turn: true }];
      },
      this.#claim,
    );
    await reportInterrupted(this.#shell, record, open);
    this.#begun = record;
    this.#user = appended.at(-1) as MessageEntry;
    this.#warnWhenShared(record);
  }

  async #generate(): Promise<Generation> {
    const { key, agentId } = this.#arrival;
    const { provider, events, logger } = this.#shell;
    if (provider === undefined) {
      const error = new HookError("No provider was given to the manager, so there is nothing to answer with.", {
        operation: "generate",
        key,
      });
      return { ended: "failed", partial: "", error };
    }
    return generate({
      provider,
      request: {
        purpose: "reply",
        key,
        uuid: this.#begun.uuid,
        agentId,
        model: this.#model(),
        messages: await this.#messages(),
        signal: this.#signal,
      },
      onText: (text) => events.emit("turn.text", { ...this.#about(), text }),
      store: async (step) => void (await this.#append((cleared) => [this.#produced(step, cleared)])),
      onLateFailure: (error) => logger.debug({ err: error, key }, "the provider failed after its turn was stopped"),
    });
  }

  async #messages(): Promise<Message[]> {
    const window = await this.#shell.ledger.window(this.#begun);
    // A clear that came between leaves this message as the first of the new conversation's words.
    const entries = window.some((entry) => entry.id === this.#user.id) ? window : [this.#user];
    const nameSenders = parseSessionKey(this.#arrival.key).kind === "group";
    return buildContext(entries, { nameSenders, state: this.#begun.state }).messages;
  }

  #model(): string | undefined {
    const { modelOverride, model } = this.#begun.state;
    return modelOverride ?? model ?? undefined;
  }

  async #complete({ answer }: Generation & { ended: "answered" }): Promise<TurnOutcome> {
    const { messages, usage, stopReason } = answer;
    const last = messages.length - 1;
    const facts = { ...(usage === undefined ? {} : { usage }), ...(stopReason === undefined ? {} : { stopReason }) };
    const entries = messages.map((message, index) => ({ ...message, ...(index === last ? facts : {}) }));
    const { appended } = await this.#end("completed", entries);
    const produced = appended.filter(isMessageEntry);
    const outcome = replyOutcome(this.#arrival.key, produced, usage);
    const silent = outcome.status === "silent";
    this.#shell.events.emit("turn.completed", { ...this.#about(), silent, ...(usage === undefined ? {} : { usage }) });
    if (outcome.status === "replied") await this.#deliver(outcome.text);
    return outcome;
  }

  async #deliver(text: string): Promise<void> {
    try {
      await deliver(this.#shell, this.#arrival, text, this.#signal);
    } catch (error) {
      await this.#shell.ledger.append(this.#arrival.key, () => [
        { type: "delivery", of: this.#user.id, status: "failed", error: { code: "HOOK" } },
      ]);
      this.#shell.events.emit("delivery.failed", { ...this.#about(), error });
      throw error;
    }
  }

  #partial(text: string, stopReason: "aborted" | "error"): Pick<MessageEntry, "role" | "content" | "stopReason">[] {
    return text === "" ? [] : [{ role: "assistant", content: text, stopReason }];
  }

  #end(
    status: TurnEntry["status"],
    messages: readonly Pick<MessageEntry, "role" | "content">[],
    code?: string,
  ): Promise<Appended> {
    return this.#append((cleared) => [
      ...messages.map((message) => this.#produced(message, cleared)),
      { type: "turn", of: this.#user.id, status, ...(code === undefined ? {} : { error: { code } }) },
    ]);
  }

  #append(entries: (cleared: boolean) => NewEntry[]): Promise<Appended> {
    return this.#shell.ledger.append(
      this.#arrival.key,
      // What belongs to a conversation that was cleared meanwhile must not be the first thing in the new one.
      (record) => entries(record.lastClear !== this.#begun.lastClear),
      this.#claim,
    );
  }

  #produced(message: Pick<MessageEntry, "role" | "content">, cleared: boolean): NewEntry<MessageEntry> {
    const model = this.#model();
    return {
      ...message,
      of: this.#user.id,
      ...(model === undefined || message.role !== "assistant" ? {} : { model }),
      ...(cleared ? { cleared: true as const } : {}),
    };
  }

  #warnWhenShared(record: SessionRecord): void {
    if (parseSessionKey(record.key).kind === "main") this.#shell.shared.notice(record);
  }

  #about(): { key: SessionRecord["key"]; uuid: string; turn: string } {
    return { key: this.#arrival.key, uuid: this.#begun.uuid, turn: this.#user.id };
  }
}

function codeOf(error: unknown): string {
  return isSessionError(error) ? error.code : "HOOK";
}
