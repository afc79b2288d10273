import { type Command, type CommandName, commandName, isHarmless, parseCommand } from "../core/command.js";
import { type CommandEffect, commandEffect } from "../core/command-effect.js";
import { agentModel } from "../core/config.js";
import { type CommandEntry, isEntryOf } from "../core/entry.js";
import { parseSessionKey, type SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import { maySend } from "../core/send-policy.js";
import { ClosedError, HookError } from "../errors.js";
import { anySignal } from "./any-signal.js";
import { compactionReply } from "./compaction/compaction-outcome.js";
import { compact } from "./compaction/compactor.js";
import { flushCleared } from "./compaction/memory-flush.js";
import { deliver } from "./delivery.js";
import { codeOf } from "./error-code.js";
import type { NewEntry } from "./ledger.js";
import type { TurnOutcome } from "./outcome.js";
import { resolveModel } from "./resolve-model.js";
import { killSubagents } from "./runs/kill.js";
import { answerDuplicate, seenBefore } from "./seen.js";
import type { InboundArrival, Shell } from "./shell.js";
import { type SessionStatus, statusOf } from "./status.js";
import type { InLine } from "./turn-queue.js";
import { untilAborted, withinSeconds } from "./until-aborted.js";

/** The command a message is, if it is one of ours. @throws HookError when the channel cannot say what the bot is called. */
export function commandOf(shell: Shell, { key, message }: InboundArrival): Command | undefined {
  if (message.text === undefined) return undefined;
  const command = parseCommand(message.text);
  const { channel, accountId } = message.address;
  const name = Object.hasOwn(shell.channels, channel) ? shell.channels[channel]?.botName : undefined;
  if (command === undefined || name === undefined || !message.text.includes("@")) return command;
  let botName: string | undefined;
  try {
    botName = typeof name === "function" ? name(accountId) : name;
  } catch (cause) {
    throw hookFailed("botName", "so it is not known whose command this is", key, cause);
  }
  return parseCommand(message.text, { botName });
}

/** Carries out a command beside whatever runs, and answers it. It never reaches the model. */
export async function runCommand(shell: Shell, arrival: InboundArrival, command: Command): Promise<TurnOutcome> {
  const { key, message, signal } = arrival;
  // What it stops or clears is what came before it, so that is noted before anything is waited for.
  const before = shell.queue.inLine(key);
  const ending = anySignal(signal, shell.queue.closing);
  const allowed = mayRun(shell, arrival, command, ending);
  // Its failure is seen when the command's turn comes.
  void Promise.allSettled([allowed]);
  const carryOutNow = async () => carryOut(shell, arrival, command, await allowed, before);
  const done = await shell.queue.command(key, !isHarmless(commandName(command)), carryOutNow);
  if ("duplicate" in done) return done.duplicate;
  const text = done.compact === undefined ? done.text : await compactNow(shell, key, done, ending);
  const { chatType, channel } = message.address;
  if (maySend({ channel, chatType }, key, shell.config.session.sendPolicy))
    await deliver(shell, arrival, { ...done, text }, ending);
  return { status: "command", key, text };
}

// Not in line with the commands: a model that takes its time must not keep `/stop` waiting.
async function compactNow(
  shell: Shell,
  key: SessionKey,
  { uuid, of, compact: { instructions } = {} }: Done,
  signal: AbortSignal,
): Promise<string> {
  return compactionReply(await compact(shell, { key, uuid }, { cause: "command", of, instructions, signal }));
}

/** A command that has been carried out. */
interface Done {
  uuid: string;
  of: string;
  text: string;
  compact?: CommandEffect["compact"];
}

async function carryOut(
  shell: Shell,
  arrival: InboundArrival,
  command: Command,
  allowed: boolean,
  before: InLine,
): Promise<Done | { duplicate: TurnOutcome }> {
  const { key } = arrival;
  const name = commandName(command);
  const size = allowed && command.name === "status" ? await statusOf(shell, await shell.ledger.open(key)) : undefined;
  let effect: CommandEffect = { reply: "" };
  try {
    const { record, appended } = await shell.ledger.append(key, (current) => {
      if (seenBefore(current, arrival) !== undefined) return undefined;
      effect = allowed ? commandEffect(command, surroundings(shell, arrival, current, size)) : refusal(name);
      // Said in the same moment: a message that is begun behind the clear must know that it came before it.
      if (effect.clear) before.setCleared(true);
      return [commandEntry(arrival, name, effect.reply, allowed), ...effectEntries(effect)];
    });
    const seen = appended.length === 0 ? seenBefore(record, arrival) : undefined;
    if (seen !== undefined) return { duplicate: await answerDuplicate(shell, record, seen) };
    announce(shell, record, name, effect, allowed);
    const cleared = appended.find((entry) => isEntryOf(entry, "clear"));
    if (cleared !== undefined) flushCleared(shell, record, cleared.id);
    if (effect.stop) {
      before.stop();
      shell.compactions.stop(record.uuid);
      await stopSubagents(shell, record);
    }
    const { reply: text, compact } = effect;
    return { uuid: record.uuid, of: appended[0]?.id ?? "", text, ...(compact === undefined ? {} : { compact }) };
  } catch (error) {
    if (effect.clear) before.setCleared(false);
    throw error;
  }
}

// Whoever has been told that all is stopped finds it stopped. A storage that takes its time must not keep what comes behind.
const MOST_SECONDS = 5;

async function stopSubagents(shell: Shell, record: SessionRecord): Promise<void> {
  const complain = (error: unknown) =>
    shell.logger.error({ key: record.key, code: codeOf(error) }, "a sub-agent could not be stopped");
  const over = shell.runs.inBackground(killSubagents(shell, record), complain);
  await withinSeconds(MOST_SECONDS, shell.queue.closing, (enough) => untilAborted(over, enough, complain));
}

function announce(
  shell: Shell,
  { key, uuid }: SessionRecord,
  command: CommandName,
  { patch, clear }: CommandEffect,
  allowed: boolean,
): void {
  const about = { key, uuid };
  shell.events.emit(allowed ? "command.executed" : "command.refused", { ...about, command });
  if (patch !== undefined) shell.events.emit("state.changed", { ...about, settings: Object.keys(patch) });
  if (clear) shell.events.emit("session.cleared", about);
}

// In one's own conversation one may do anything. A room, and the session everybody shares under dmScope `main`, are not
// one's own: there the host decides, and without its word a room's members may only look.
async function mayRun(
  shell: Shell,
  { key, message }: InboundArrival,
  command: Command,
  ending: AbortSignal,
): Promise<boolean> {
  const { kind } = parseSessionKey(key);
  const name = commandName(command);
  const { authorize, logger } = shell;
  if (kind !== "group" && kind !== "main") return true;
  if (authorize === undefined) return kind !== "group" || isHarmless(name);
  const asked = (async () => authorize({ command: name, sender: message.sender, key }))();
  let answer: { value: boolean } | undefined;
  try {
    answer = await untilAborted(asked, ending, () => logger.debug({ key }, "authorize failed after it was given up"));
  } catch (cause) {
    throw hookFailed("authorize", "so the command was not carried out", key, cause);
  }
  if (answer !== undefined) return answer.value === true;
  if (shell.queue.closing.aborted) throw new ClosedError("The manager has been closed.", { operation: "handle", key });
  throw hookFailed("authorize", "in the time it was given, so the command was not carried out", key, ending.reason);
}

function surroundings(
  shell: Shell,
  { key, agentId }: InboundArrival,
  record: SessionRecord,
  size: SessionStatus | undefined,
) {
  return {
    record,
    agentModel: agentModel(shell.config, agentId),
    busy: shell.queue.busy(key) || shell.compactions.isRunning(record.uuid),
    subagents: Math.max(record.subagents.length, shell.runs.descendantsOf(key).length),
    size,
    resolveModel: (name: string) => resolveModel(shell, name, key),
  };
}

function hookFailed(operation: string, consequence: string, key: SessionKey, cause: unknown): HookError {
  return new HookError(`${operation} did not answer, ${consequence}.`, { operation, key, cause });
}

function refusal(name: string): CommandEffect {
  return { reply: `You may not use /${name} here.` };
}

function commandEntry(
  { address, message }: InboundArrival,
  command: string,
  reply: string,
  allowed: boolean,
): NewEntry<CommandEntry> {
  return {
    type: "command",
    command,
    reply,
    address,
    ...(allowed ? {} : { refused: true as const }),
    ...(message.messageId === undefined ? {} : { messageId: message.messageId }),
    ...(message.sender === undefined ? {} : { sender: message.sender }),
  };
}

// The clear comes last: what the command itself says belongs to what it ends.
function effectEntries({ patch, clear }: CommandEffect): NewEntry[] {
  return [
    ...(patch === undefined ? [] : [{ type: "state" as const, patch }]),
    ...(clear ? [{ type: "clear" as const }] : []),
  ];
}
