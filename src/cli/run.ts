import { isSessionError } from "../index.js";
import { parseArguments } from "./arguments.js";
import { clear } from "./clear.js";
import type { Command } from "./command.js";
import { complain, describeFault } from "./complaint.js";
import { EXIT } from "./exit-code.js";
import { history } from "./history.js";
import type { Io } from "./io.js";
import { notFound } from "./keys.js";
import { list } from "./list.js";
import { Output, OutputClosedError } from "./output.js";
import { NotFoundError } from "./store.js";
import { UsageError } from "./usage-error.js";
import { packageVersion } from "./version.js";

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ["list", list],
  ["history", history],
  ["clear", clear],
]);

const HELP = `openclaw-sessions: the conversations a bot keeps on disk.

  ${list.usage}
      The sessions there are, newest first.
  ${history.usage}
      What was said in one, in order.
  ${clear.usage}
      Puts what was said so far out of the model's sight. Settings stay, and --all still shows it.
  openclaw-sessions chat [--help]
      Talk in the terminal, as several people on several channels.

  KEY          a session as list prints it; - reads keys from standard input, one to a line
  --agent ID   only this agent's sessions
  --limit N    list: the newest N; history: the last N messages
  --all        also messages that were cleared
  --json       one JSON document
  --dir DIR    the store; without it $OPENCLAW_STATE_DIR, else ~/.openclaw
  --help, -h   this, or of one command its usage
  --version    the version

Exit codes: 0 done, 1 failed, 2 not understood, 3 not found.
`;

/** Does what the command line says. @returns the exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const [name, ...args] = argv;
  try {
    return await dispatch(name, args, io);
  } catch (error) {
    // Whoever read the output had enough, as in `| head`.
    if (error instanceof OutputClosedError) return EXIT.ok;
    return explain(error, name, io);
  }
}

async function dispatch(name: string | undefined, args: readonly string[], io: Io): Promise<number> {
  if (name === "chat") {
    const { chat } = await import("./chat.js");
    return chat([...args], io);
  }
  if (name === "--help" || name === "-h") return print(HELP, io);
  if (name === "--version") return print(`${await packageVersion()}\n`, io);
  if (name === undefined) throw new UsageError("A command is missing.");
  const command = COMMANDS.get(name);
  if (command === undefined) {
    throw new UsageError(
      name.startsWith("-") ? `The command comes first, before ${name}.` : `"${name}" is no command.`,
    );
  }
  const parsed = parseArguments(args, command);
  if (parsed.help) return print(`${command.usage}\n`, io);
  return command.run(parsed, io);
}

async function print(text: string, io: Io): Promise<number> {
  await new Output(io).write(text);
  return EXIT.ok;
}

function explain(error: unknown, name: string | undefined, io: Io): number {
  if (error instanceof UsageError || isSessionError(error, "INVALID_SESSION_KEY")) {
    complain(io, error instanceof UsageError ? error.message : `INVALID_SESSION_KEY: ${error.message}`);
    const usages = [COMMANDS.get(name ?? "") ?? [...COMMANDS.values()]].flat().map((command) => command.usage);
    io.stderr.write(`Usage: ${usages.join("\n       ")}\nMore: openclaw-sessions --help\n`);
    return EXIT.usage;
  }
  if (error instanceof NotFoundError) {
    complain(io, error.message);
    return EXIT.notFound;
  }
  if (isSessionError(error, "SESSION_NOT_FOUND")) {
    complain(io, error.key === undefined ? `SESSION_NOT_FOUND: ${error.message}` : notFound(error.key));
    return EXIT.notFound;
  }
  const fault = describeFault(error);
  // What nobody foresaw is a mistake in this program: its stack says more than a line could.
  if (fault === undefined) throw error;
  complain(io, fault);
  return EXIT.failure;
}
