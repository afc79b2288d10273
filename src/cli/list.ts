import { formatSessionKey, type ListQuery, type SessionRecord } from "../index.js";
import type { Command } from "./command.js";
import { complain } from "./complaint.js";
import { foldLine } from "./display-width.js";
import { EXIT } from "./exit-code.js";
import { JsonArray } from "./json-array.js";
import { Output } from "./output.js";
import { printableLine } from "./printable.js";
import { relativeTime } from "./relative-time.js";
import { withStore } from "./store.js";
import { tableLines } from "./table.js";

const HEADER = ["KEY", "MESSAGES", "LAST ACTIVE"];

/** `openclaw-sessions list`: the sessions there are, newest first. */
export const list: Command = {
  usage: "openclaw-sessions list [--agent ID] [--limit N] [--json] [--dir DIR]",
  options: ["agent", "limit", "json", "dir"],
  takesKey: false,
  run: (args, io) => {
    // Throws for what is no agent's id, in words that say what one is.
    if (args.agent !== undefined) formatSessionKey({ kind: "main", agentId: args.agent, mainKey: "main" });
    return withStore(io, { dir: args.dir, readOnly: true }, async ({ dir, manager }) => {
      const query: ListQuery = { agentId: args.agent, limit: args.limit };
      const output = new Output(io);
      const found = args.json
        ? await printJson(manager.list(query), output)
        : await printTable(manager.list(query), output, io.now());
      if (found === 0)
        complain(io, `No sessions${args.agent === undefined ? "" : ` of agent ${args.agent}`} in ${dir}`);
      return EXIT.ok;
    });
  },
};

async function printTable(records: AsyncIterable<SessionRecord>, output: Output, now: number): Promise<number> {
  const rows: string[][] = [];
  for await (const { key, messageCount, lastActive } of records) {
    rows.push([printableLine(key), String(messageCount), relativeTime(lastActive, now)]);
  }
  if (rows.length === 0) return 0;
  for (const [index, line] of tableLines([HEADER, ...rows]).entries()) {
    const text = foldLine(line, output.columns).join("\n");
    await output.write(`${index === 0 ? output.dim(text) : text}\n`);
  }
  return rows.length;
}

async function printJson(records: AsyncIterable<SessionRecord>, output: Output): Promise<number> {
  const array = new JsonArray(output);
  let count = 0;
  for await (const record of records) {
    count += 1;
    await array.add(record);
  }
  await array.end();
  return count;
}
