import { z } from "zod";
import { agentModel } from "../../core/config.js";
import { viewMessages } from "../../core/history-view.js";
import { jsonBytes } from "../../core/json.js";
import { parseSessionKey } from "../../core/key.js";
import type { SessionRecord } from "../../core/record.js";
import { effectiveModel } from "../../core/state.js";
import type { Shell, ToolUser } from "../shell.js";
import { type JsonObject, makeTool, type SessionTool } from "../tool.js";
import { Guard } from "./guard.js";
import { lastMessages } from "./history-page.js";

const KINDS = ["main", "dm", "group", "subagent"] as const;

const input = z.strictObject({
  kinds: z.array(z.enum(KINDS)).optional().describe("Only sessions of these kinds. Default: all."),
  limit: z.int().min(1).max(200).optional().describe("At most so many, the latest active first. Default 50."),
  activeMinutes: z
    .number()
    .positive()
    .max(5_256_000)
    .optional()
    .describe("Only those active in the last so many minutes."),
  messageLimit: z.int().min(0).max(20).optional().describe("Also the last so many messages of each. Default 0."),
});

// What the last messages of all listed sessions may take together.
const MOST_BYTES = 65_536;

export function listTool(shell: Shell, user: ToolUser): SessionTool {
  const guard = new Guard(shell, user, "sessions_list");
  return makeTool(
    {
      name: "sessions_list",
      description:
        "Lists the sessions (conversations) within your reach, your own included: key, kind, when they were last active, how many messages they have. " +
        "Use a key from here with sessions_history, sessions_send and session_status.",
      input,
      async run({ kinds: wanted = [], limit = 50, activeMinutes, messageLimit = 0 }) {
        const kinds = wanted.length === 0 ? KINDS : wanted;
        const access = guard.access(await guard.requester());
        const activeSince = activeMinutes === undefined ? undefined : shell.clock.now() - activeMinutes * 60_000;
        const found: SessionRecord[] = [];
        let more = false;
        // The limit counts what may be seen: else it would tell how many others there are.
        for await (const record of shell.ledger.storage.list({ activeSince })) {
          if (!access(record).allowed || !kinds.includes(parseSessionKey(record.key).kind)) continue;
          more = found.length === limit;
          if (more) break;
          found.push(record);
          guard.allowed(record.key);
        }
        const sessions = found.map((record) => about(shell, record));
        const isWhole = messageLimit === 0 || (await addMessages(shell, found, sessions, messageLimit));
        return {
          count: sessions.length,
          sessions,
          ...(more ? { more } : {}),
          ...(isWhole ? {} : { truncated: true }),
        };
      },
    },
    user.turn?.lifespan,
  );
}

function about(shell: Shell, { key, lastActive, messageCount, state }: SessionRecord): JsonObject {
  const { kind, agentId } = parseSessionKey(key);
  const model = effectiveModel(state, agentModel(shell.config, agentId));
  return { key, kind, lastActive, messageCount, ...(model === undefined ? {} : { model }) };
}

/** Gives each its last messages, as far as there is room. @returns whether that was enough for all. */
async function addMessages(
  shell: Shell,
  found: readonly SessionRecord[],
  sessions: readonly JsonObject[],
  limit: number,
): Promise<boolean> {
  let room = MOST_BYTES;
  let isWhole = true;
  for (const [at, record] of found.entries()) {
    const page = await lastMessages(shell, record, { limit, includeTools: false });
    const maxBytes = Math.floor(room / (found.length - at));
    const { messages, truncated } = viewMessages(page?.messages ?? [], { includeTools: false, maxBytes });
    room -= jsonBytes(messages);
    isWhole &&= !truncated;
    Object.assign(sessions[at] as JsonObject, { messages });
  }
  return isWhole;
}
