import type { Command } from "./command.js";
import { JsonArray } from "./json-array.js";
import { forEachKey } from "./keys.js";
import { Output } from "./output.js";
import { printableLine } from "./printable.js";
import { withStore } from "./store.js";

/** `openclaw-sessions clear KEY`: puts a session's history out of the window; its settings stay. */
export const clear: Command = {
  usage: "openclaw-sessions clear KEY [--json] [--dir DIR]",
  options: ["json", "dir"],
  takesKey: true,
  run: (args, io) =>
    withStore(io, { dir: args.dir, readOnly: false }, async ({ manager }) => {
      // What is asked for is the clearing: it goes on when nobody reads what was cleared.
      const output = new Output(io, { required: false });
      const array = args.json ? new JsonArray(output) : undefined;
      const code = await forEachKey(args.key, io, async (key) => {
        const cleared = (await manager.get(key))?.messageCount ?? 0;
        await manager.clear(key);
        if (array !== undefined) await array.add({ key, cleared });
        else await output.write(`cleared ${printableLine(key)} (${cleared} message${cleared === 1 ? "" : "s"})\n`);
      });
      await array?.end();
      return code;
    }),
};
