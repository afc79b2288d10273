import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { isSessionError, loadConfig, parseConfig, SessionManager } from "../index.js";
import { chooseModel } from "./chat/choose-model.js";
import { GroupAdmins } from "./chat/group-admins.js";
import { interruptedLines, opening, sharedWarning, storageRemark } from "./chat/opening.js";
import { pipedConversation } from "./chat/piped-conversation.js";
import { terminalConversation } from "./chat/terminal-conversation.js";
import { complain } from "./complaint.js";
import { EXIT } from "./exit-code.js";
import type { Io } from "./io.js";

const USAGE = `Usage: openclaw-sessions chat [--dir DIR] [--config FILE]

A chat with a bot in which you play everybody: several people on several channels, each in their own session.
Lines come from the terminal or from a pipe.

  --dir DIR      where the sessions are kept (default: $OPENCLAW_STATE_DIR, else ~/.openclaw)
  --config FILE  settings in the shape of openclaw.json

The model is an offline one that recalls what its conversation holds. With OPENAI_BASE_URL and OPENAI_MODEL set, and
OPENAI_API_KEY where it is needed, it is that model on any OpenAI-compatible server.
`;

// So slow that one can see the offline model write, and stop it.
const WORD_PAUSE_MS = 40;

/** Runs the chat until its input ends or somebody quits. Resolves to the exit code. */
export async function chat(args: string[], io: Io): Promise<number> {
  const options = readOptions(args);
  if (typeof options === "string") {
    complain(io, options);
    io.stderr.write(USAGE);
    return EXIT.usage;
  }
  if (options.help) {
    io.stdout.write(USAGE);
    return EXIT.ok;
  }
  try {
    return await converse(options, io);
  } catch (error) {
    if (!isSessionError(error, "INVALID_CONFIG")) throw error;
    complain(io, error.message);
    return EXIT.failure;
  }
}

interface Options {
  dir: string | undefined;
  config: string | undefined;
  help: boolean;
}

function readOptions(args: string[]): Options | string {
  try {
    const { values } = parseArgs({
      args,
      options: { dir: { type: "string" }, config: { type: "string" }, help: { type: "boolean", short: "h" } },
    });
    if (values.dir === "") return "--dir is empty.";
    return { dir: values.dir, config: values.config, help: values.help ?? false };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return error.message;
  }
}

async function converse(options: Options, io: Io): Promise<number> {
  const { env, stdin, stdout } = io;
  const config = options.config === undefined ? parseConfig({}) : await loadConfig(options.config);
  const dir = resolve(options.dir ?? (env.OPENCLAW_STATE_DIR || join(homedir(), ".openclaw")));
  const atTerminal = stdin.isTTY === true && stdout.isTTY === true && env.TERM !== "dumb";
  const model = chooseModel(env, config, atTerminal ? WORD_PAUSE_MS : 0);
  const admins = new GroupAdmins();
  const manager = new SessionManager({
    dir,
    config,
    provider: model.provider,
    authorize: (request) => admins.mayCommand(request),
    clock: io,
  });
  const ending = endings(stdout);
  const conversation = {
    manager,
    admins,
    io,
    signal: ending.signal,
    async begin(show: (text: string) => void) {
      manager.on("session.shared", ({ key }) => show(sharedWarning(key)));
      manager.on("storage.report", (report) => show(storageRemark(report)));
      for (const line of opening({ dir, dmScope: config.session.dmScope, model: model.description })) show(line);
      for (const line of await interruptedLines(manager, await manager.recover())) show(line);
    },
  };
  try {
    await (atTerminal ? terminalConversation(conversation) : pipedConversation(conversation));
    return ending.exitCode();
  } finally {
    await manager.close();
    ending.dispose();
  }
}

const STOP_SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

// Told to go, or with nobody left to read what it says, the chat stops the reply being written, keeps what there is of it,
// and then goes.
function endings(stdout: Io["stdout"]) {
  const ending = new AbortController();
  let code: number = EXIT.ok;
  const end = (exitCode: number) => {
    code = exitCode;
    ending.abort();
  };
  stdout.on("error", (error: NodeJS.ErrnoException) => end(error.code === "EPIPE" ? EXIT.ok : EXIT.failure));
  // Not `once`: the index's writer has a listener of its own, which ends the process when it finds itself the only one.
  const listeners = Object.entries(STOP_SIGNALS).map(([name, exitCode]) => {
    const listener = () => end(exitCode);
    process.on(name, listener);
    return { name, listener };
  });
  const dispose = () => {
    for (const { name, listener } of listeners) process.off(name, listener);
  };
  return { signal: ending.signal, exitCode: () => code, dispose };
}
