import { ACTIVATION_MODES, type ActivationMode } from "./activation.js";
import type { SessionKey } from "./key.js";
import { isModelName } from "./state.js";

/** What a person can tell the session itself, instead of the model. */
export type Command =
  | { name: "model"; model?: string }
  | { name: "activation"; mode?: ActivationMode }
  | { name: "compact"; instructions?: string }
  | { name: "clear" | "new" | "status" | "stop" | "help" }
  | { name: "usage"; of: CommandName };

/** The words that are commands. */
export const COMMANDS = {
  model: { usage: "/model [NAME | default]", about: "shows the model, or sets it for this conversation" },
  activation: {
    usage: "/activation [always | mention]",
    about: "in a group: answer everything, or only when mentioned",
  },
  clear: { usage: "/clear", about: "forgets the conversation, keeps the settings" },
  new: { usage: "/new", about: "forgets the conversation and resets model and activation" },
  compact: { usage: "/compact [INSTRUCTIONS]", about: "summarises all but the last of the conversation, to make room" },
  status: { usage: "/status", about: "shows this conversation's key, model and size" },
  stop: { usage: "/stop", about: "stops the reply that is being written" },
  help: { usage: "/help", about: "shows this list" },
} as const;

export type CommandName = keyof typeof COMMANDS;

// `/word`, `/word@bot`, and the `/word: argument` that people type as well.
const SHAPE = /^\/([a-z]+)(?:@([^\s:]+))?:?(?:\s+([\s\S]*))?$/i;

/**
 * Reads a text as a command, or gives `undefined` when it is something for the model.
 *
 * A known word with arguments it does not take is still a command, named `usage`: it was meant for the session, and the
 * model must not see it. An unknown word is the model's. A command addressed to another bot (`/clear@other_bot`) is not
 * ours; that can be told only when `botName` is given.
 */
export function parseCommand(text: string, options: { botName?: string | undefined } = {}): Command | undefined {
  const match = SHAPE.exec(text.trim());
  const word = match?.[1]?.toLowerCase();
  if (match === null || word === undefined || !Object.hasOwn(COMMANDS, word)) return undefined;
  const bot = options.botName?.replace(/^@/, "").toLowerCase();
  if (match[2] !== undefined && bot !== undefined && match[2].toLowerCase() !== bot) return undefined;
  return readArguments(word as CommandName, match[3]?.trim() ?? "");
}

function readArguments(name: CommandName, args: string): Command {
  if (name === "model") {
    if (args === "") return { name };
    return /\s/.test(args) || !isModelName(args) ? { name: "usage", of: name } : { name, model: args };
  }
  if (name === "activation") {
    if (args === "") return { name };
    const mode = ACTIVATION_MODES.find((word) => word === args.toLowerCase());
    return mode === undefined ? { name: "usage", of: name } : { name, mode };
  }
  if (name === "compact") return args === "" ? { name } : { name, instructions: args };
  return args === "" ? { name } : { name: "usage", of: name };
}

/** Who gave a command where, for the decision whether they may. */
export interface CommandRequest {
  command: CommandName;
  sender: { id: string; name?: string } | undefined;
  key: SessionKey;
}

/** What anyone may ask for in a group without the host's say: it changes nothing. */
export function isHarmless(command: CommandName): boolean {
  return command === "status" || command === "help";
}

/** The word a command was given with. */
export function commandName(command: Command): CommandName {
  return command.name === "usage" ? command.of : command.name;
}
