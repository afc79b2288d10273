import { cli, type Ran } from "./run-cli.js";

/** A piped chat that is over. */
export interface Talked extends Ran {
  /** What it said, line by line, without what it always says first. */
  said: string[];
}

const OPENING_LINES = 5;

/** Pipes lines into a chat. */
export async function talk(
  dir: string,
  lines: readonly string[],
  more: { args?: readonly string[]; env?: Record<string, string>; now?: number } = {},
): Promise<Talked> {
  const { args = [], ...around } = more;
  const input = lines.map((line) => `${line}\n`).join("");
  const ran = await cli(["chat", "--dir", dir, ...args], { stdin: [input], ...around });
  return { ...ran, said: ran.stdout.split("\n").slice(OPENING_LINES, -1) };
}
