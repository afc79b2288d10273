import { type HistoryRange, parseSessionKey, type SessionManager } from "../index.js";
import type { Arguments } from "./arguments.js";
import type { Command } from "./command.js";
import { complain } from "./complaint.js";
import type { Io } from "./io.js";
import { JsonArray } from "./json-array.js";
import { forEachKey, readsKeysFromStdin } from "./keys.js";
import { messageBlock } from "./message-block.js";
import { Output } from "./output.js";
import { printableLine } from "./printable.js";
import { withStore } from "./store.js";

/** `openclaw-sessions history KEY`: what was said in a session, in order. */
export const history: Command = {
  usage: "openclaw-sessions history KEY [--limit N] [--all] [--json] [--dir DIR]",
  options: ["limit", "all", "json", "dir"],
  takesKey: true,
  run: (args, io) =>
    withStore(io, { dir: args.dir, readOnly: true }, ({ manager }) => {
      const output = new Output(io);
      return args.json ? printJson(manager, args, io, output) : printBlocks(manager, args, io, output);
    }),
};

function rangeOf(args: Arguments): HistoryRange {
  return { last: args.limit, includeCleared: args.all };
}

async function printBlocks(manager: SessionManager, args: Arguments, io: Io, output: Output): Promise<number> {
  const several = readsKeysFromStdin(args.key);
  let between = "";
  return forEachKey(args.key, io, async (key) => {
    const inGroup = parseSessionKey(key).kind === "group";
    let count = 0;
    for await (const message of manager.history(key, rangeOf(args))) {
      if (several && count === 0) {
        await output.write(`${between}${output.dim(`== ${printableLine(key)} ==`)}\n`);
        between = "\n";
      }
      count += 1;
      await output.write(between + messageBlock(message, { inGroup, output }));
      between = "\n";
    }
    if (count === 0) complain(io, `No messages in ${key}${args.all ? "" : "; --all shows also those cleared"}`);
  });
}

async function printJson(manager: SessionManager, args: Arguments, io: Io, output: Output): Promise<number> {
  const several = readsKeysFromStdin(args.key);
  const array = new JsonArray(output);
  const code = await forEachKey(args.key, io, async (key) => {
    for await (const message of manager.history(key, rangeOf(args))) {
      // Among messages of several sessions each must say whose it is.
      await array.add(several ? { key, ...message } : message);
    }
  });
  await array.end();
  return code;
}
