import type { Arguments, Takes } from "./arguments.js";
import type { Io } from "./io.js";

/** One command: what it takes, what it says of itself, and what it does. */
export interface Command extends Takes {
  usage: string;
  /** @returns the exit code. */
  run(args: Arguments, io: Io): Promise<number>;
}
