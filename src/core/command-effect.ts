import { COMMANDS, type Command } from "./command.js";
import { parseSessionKey } from "./key.js";
import type { SessionRecord } from "./record.js";
import { effectiveModel, initialState, type StatePatch } from "./state.js";

/** What a command does to its session, decided before anything is done. */
export interface CommandEffect {
  reply: string;
  clear?: true;
  patch?: StatePatch;
  /** Abort the running turn and those that wait, a compaction, and sub-agents. */
  stop?: true;
  /** Compact the session, and answer with what came of it. */
  compact?: { instructions?: string };
}

export interface CommandSurroundings {
  record: SessionRecord;
  /** The model configured for the session's agent. */
  agentModel: string | undefined;
  /** Whether a turn or a compaction runs or waits. */
  busy: boolean;
  /** How many sub-agents are alive. */
  subagents: number;
  /** The size of the next prompt and what bounds it, in tokens. Needed for `status` alone. */
  size: { tokensUsed: number; tokensSource: string; contextWindow: number; compactAt: number } | undefined;
  /** Turns a name a person typed into the one to store; `undefined` refuses it. */
  resolveModel(name: string): string | undefined;
}

export function commandEffect(command: Command, around: CommandSurroundings): CommandEffect {
  const { record } = around;
  switch (command.name) {
    case "model":
      return command.model === undefined
        ? { reply: `Model: ${describeModel(around)}.` }
        : chooseModel(command.model, around);
    case "activation":
      return command.mode === undefined
        ? { reply: `Activation: ${record.state.activationMode}.` }
        : { reply: describeActivation(command.mode, record), patch: { activationMode: command.mode } };
    case "clear":
      return { reply: "History cleared. Your settings are kept.", clear: true };
    case "new": {
      const { activationMode } = initialState(parseSessionKey(record.key).kind);
      return {
        reply: "New conversation. Model and activation are back to their defaults.",
        clear: true,
        patch: { modelOverride: null, activationMode },
      };
    }
    case "stop":
      return around.busy || around.subagents > 0 ? { reply: "Stopped.", stop: true } : { reply: "Nothing is running." };
    case "compact": {
      const { instructions } = command;
      return { reply: "Compacting.", compact: instructions === undefined ? {} : { instructions } };
    }
    case "status":
      return { reply: describeStatus(around) };
    case "help":
      return {
        reply: Object.values(COMMANDS)
          .map((entry) => `${entry.usage} - ${entry.about}`)
          .join("\n"),
      };
    case "usage":
      return { reply: `Usage: ${COMMANDS[command.of].usage} - ${COMMANDS[command.of].about}.` };
  }
}

function chooseModel(name: string, around: CommandSurroundings): CommandEffect {
  if (name.toLowerCase() === "default") {
    const record = { ...around.record, state: { ...around.record.state, modelOverride: null } };
    return { reply: `Model: ${describeModel({ ...around, record })}.`, patch: { modelOverride: null } };
  }
  const resolved = around.resolveModel(name);
  if (resolved === undefined) return { reply: "That model is not available here. The model was not changed." };
  return { reply: `Model set to ${resolved} for this conversation.`, patch: { modelOverride: resolved } };
}

function describeModel({ record, agentModel }: CommandSurroundings): string {
  const fallback = effectiveModel({ ...record.state, modelOverride: null }, agentModel) ?? "the host's default";
  return record.state.modelOverride === null ? fallback : `${record.state.modelOverride} (default: ${fallback})`;
}

function describeActivation(mode: string, record: SessionRecord): string {
  const inGroup = parseSessionKey(record.key).kind === "group";
  return `Activation set to ${mode}.${inGroup ? "" : " It takes effect in groups; here every message is answered."}`;
}

function describeStatus(around: CommandSurroundings): string {
  const { record, busy, subagents } = around;
  return [
    `Session: ${record.key}`,
    `Model: ${describeModel(around)}`,
    `Messages: ${record.messageCount}`,
    `Tokens: ${describeSize(around)}`,
    `Compactions: ${describeCompactions(record)}`,
    `Activation: ${record.state.activationMode}`,
    `Reply: ${busy ? "being written" : "none in progress"}`,
    ...(subagents === 0 ? [] : [`Sub-agents at work: ${subagents}`]),
  ].join("\n");
}

function describeSize({ size }: CommandSurroundings): string {
  if (size === undefined) return "unknown";
  const { tokensUsed, tokensSource, contextWindow, compactAt } = size;
  const about = tokensSource === "provider" ? "" : "about ";
  const share = Math.round((tokensUsed / contextWindow) * 100);
  return `${about}${tokensUsed} of ${contextWindow} (${share} %); compacted above ${compactAt}`;
}

function describeCompactions({ compactions, memoryFlush, state }: SessionRecord): string {
  const last = compactions === 0 || state.lastCompaction === null ? "" : `, the last at ${state.lastCompaction}`;
  const failed = memoryFlush?.status === "failed" ? `; memory could not be saved at ${memoryFlush.at}` : "";
  return `${compactions}${last}${failed}`;
}
