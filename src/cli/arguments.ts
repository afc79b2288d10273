import { type ParseArgsConfig, parseArgs } from "node:util";
import { UsageError } from "./usage-error.js";

const OPTIONS = {
  agent: { type: "string" },
  all: { type: "boolean" },
  dir: { type: "string" },
  help: { type: "boolean", short: "h" },
  json: { type: "boolean" },
  limit: { type: "string" },
} as const satisfies ParseArgsConfig["options"];

/** What a command takes. */
export interface Takes {
  options: readonly (keyof typeof OPTIONS)[];
  /** Whether it works on a session, named by KEY. */
  takesKey: boolean;
}

/** What was typed after a command's name. */
export interface Arguments {
  key: string;
  agent: string | undefined;
  dir: string | undefined;
  limit: number | undefined;
  all: boolean;
  json: boolean;
  help: boolean;
}

/** @throws UsageError */
export function parseArguments(args: readonly string[], takes: Takes): Arguments {
  const { values, positionals } = parse(args, takes);
  const help = values.help ?? false;
  const [key = "", ...rest] = positionals;
  const surplus = takes.takesKey ? rest[0] : positionals[0];
  if (!help && surplus !== undefined) throw new UsageError(`"${surplus}" is one word too many.`);
  if (!help && takes.takesKey && key === "") throw new UsageError("KEY is missing: which session?");
  return {
    key,
    help,
    agent: values.agent,
    dir: nonEmpty("dir", values.dir),
    limit: wholeNumber("limit", values.limit),
    all: values.all ?? false,
    json: values.json ?? false,
  };
}

function parse(args: readonly string[], takes: Takes) {
  const names: readonly string[] = ["help", ...takes.options];
  const options = Object.fromEntries(Object.entries(OPTIONS).filter(([name]) => names.includes(name)));
  try {
    return parseArgs({ args: [...args], options: options as typeof OPTIONS, allowPositionals: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // What follows the first sentence is advice about `--`, which no command here needs.
    throw new UsageError(`${error.message.split(/\.\s/)[0]?.replace(/\.$/, "")}.`);
  }
}

function nonEmpty(name: string, value: string | undefined): string | undefined {
  if (value === "") throw new UsageError(`--${name} is empty.`);
  return value;
}

function wholeNumber(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = /^[0-9]+$/.test(value) ? Number(value) : 0;
  if (number < 1 || !Number.isSafeInteger(number)) {
    throw new UsageError(`--${name} takes a whole number, 1 or more; "${value}" is none.`);
  }
  return number;
}
