import { type Command, commandName, isHarmless, parseCommand } from "../core/command.js";
import { commandEffect } from "../core/command-effect.js";
import { agentModel } from "../core/config.js";
import type { CommandEntry } from "../core/entry.js";
import { type ParsedSessionKey, parseSessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import { isModelName } from "../core/state.js";
import { HookError } from "../errors.js";
import { deliver } from "./delivery.js";
import type { NewEntry } from "./ledger.js";
import type { TurnOutcome } from "./outcome.js";
import { answerDuplicate, seenBefore } from "./seen.js";
import type { Arrival, Shell } from "./shell.js";

/** The command a message is, if it is one of ours. */
export function commandOf(shell: Shell, { message }: Arrival): Command | undefined {
  if (message.text === undefined) return undefined;
  const { channel, accountId } = message.address;
  const name = Object.hasOwn(shell.channels, channel) ? shell.channels[channel]?.botName : undefined;
  return parseCommand(message.text, { botName: typeof name === "function" ? name(accountId) : name });
}

/** Carries out a command beside whatever runs, and answers it. It never reaches the model. */
export async function runCommand(shell: Shell, arrival: Arrival, command: Command): Promise<TurnOutcome> {
  const { key } = arrival;
  const carriedOut = carryOut(shell, arrival, command);
  shell.queue.after(key, carriedOut);
  const done = await carriedOut;
  if (done.status === "duplicate") return done;
  await deliver(shell, arrival, done.text, arrival.signal ?? new AbortController().signal);
  return done;
}

async function carryOut(
  shell: Shell,
  arrival: Arrival,
  command: Command,
): Promise<TurnOutcome & { status: "command" | "duplicate" }> {
  const { key } = arrival;
  const name = commandName(command);
  const allowed = await mayRun(shell, arrival, command);
  let effect: ReturnType<typeof commandEffect> = { reply: "" };
  const { record, appended } = await shell.ledger.append(key, (current) => {
    if (seenBefore(current, arrival) !== undefined) return undefined;
    effect = allowed ? commandEffect(command, surroundings(shell, arrival, current)) : refusal(name);
    return [commandEntry(arrival, name, effect.reply, allowed), ...effectEntries(effect)];
  });
  const seen = appended.length === 0 ? seenBefore(record, arrival) : undefined;
  if (seen !== undefined) return answerDuplicate(shell, record, seen);
  const about = { key, uuid: record.uuid };
  if (effect.stop) shell.queue.stop(key);
  shell.events.emit(allowed ? "command.executed" : "command.refused", { ...about, command: name });
  if (effect.patch !== undefined) shell.events.emit("state.changed", { ...about, settings: Object.keys(effect.patch) });
  if (effect.clear) shell.events.emit("session.cleared", about);
  return { status: "command", key, text: effect.reply };
}

// In one's own conversation one may do anything. A room, and the session everybody shares under dmScope `main`, are not
// one's own: there the host decides, and without its word a room's members may only look.
async function mayRun(shell: Shell, { key, message }: Arrival, command: Command): Promise<boolean> {
  const { kind } = parseSessionKey(key);
  const name = commandName(command);
  if (!asksHost(kind)) return true;
  if (shell.authorize === undefined) return kind !== "group" || isHarmless(name);
  try {
    return (await shell.authorize({ command: name, sender: message.sender, key })) === true;
  } catch (cause) {
    throw new HookError("authorize failed, so the command was not carried out.", {
      operation: "authorize",
      key,
      cause,
    });
  }
}

function asksHost(kind: ParsedSessionKey["kind"]): boolean {
  return kind === "group" || kind === "main";
}

function surroundings(shell: Shell, { key, agentId }: Arrival, record: SessionRecord) {
  return {
    record,
    agentModel: agentModel(shell.config, agentId),
    busy: shell.queue.busy(key),
    tokensUsed: record.contextTokens ?? undefined,
    resolveModel: (name: string) => resolveModel(shell, name, key),
  };
}

function resolveModel({ provider }: Shell, name: string, key: string): string | undefined {
  if (provider?.resolveModel === undefined) return name;
  let resolved: unknown;
  try {
    resolved = provider.resolveModel(name);
  } catch (cause) {
    throw new HookError("resolveModel failed, so the model was not changed.", {
      operation: "resolveModel",
      key,
      cause,
    });
  }
  if (resolved === undefined || isModelName(resolved)) return resolved;
  throw new HookError("resolveModel must return a name of 1 to 256 characters or undefined, at once.", {
    operation: "resolveModel",
    key,
  });
}

function refusal(name: string) {
  return { reply: `You may not use /${name} here.` };
}

function commandEntry(
  { address, message }: Arrival,
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
function effectEntries({ patch, clear }: ReturnType<typeof commandEffect>): NewEntry[] {
  return [
    ...(patch === undefined ? [] : [{ type: "state" as const, patch }]),
    ...(clear ? [{ type: "clear" as const }] : []),
  ];
}
