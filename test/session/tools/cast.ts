import type { GenerateRequest, SessionsConfigInput, SessionTool } from "../../../src/index.js";
import { type SessionKey, SessionManager, type SessionManagerOptions, sessionTools } from "../../../src/index.js";
import { type ScriptedProvider, type ScriptedStep, scriptedProvider } from "../../../src/testing.js";

/** What the agent of a session does at one call of its model. */
export type Part = (request: GenerateRequest, results: readonly unknown[]) => ScriptedStep | Promise<ScriptedStep>;

/** Everyone may reach everyone. */
export const OPEN: SessionsConfigInput = {
  tools: { sessions: { visibility: "all" }, agentToAgent: { enabled: true, allow: ["*"] } },
};

export const main = (agentId: string) => `agent:${agentId}:main`;

/** A manager whose agents each play a part, by session key; the first part whose name a key begins with. */
export function stage(
  parts: Record<string, Part>,
  options: Partial<SessionManagerOptions> & Pick<SessionManagerOptions, "dir" | "storage">,
): { manager: SessionManager; provider: ScriptedProvider } {
  const provider = scriptedProvider(async (request, results) => {
    const name = Object.keys(parts).find((prefix) => request.key.startsWith(prefix));
    const part = name === undefined ? undefined : parts[name];
    if (part === undefined) throw new Error(`Nobody plays ${request.key}.`);
    return part(request, results);
  });
  return { manager: new SessionManager({ config: OPEN, provider, ...options }), provider };
}

/** One call of a tool, as a step of a script. */
export const calls = (toolName: string, input: unknown): ScriptedStep => ({ toolCalls: [{ toolName, input }] });

/** A tool of a session, outside any turn. */
export function tool(manager: SessionManager, key: string, name: string): SessionTool {
  const found = sessionTools(manager, key).find((one) => one.name === name);
  if (found === undefined) throw new Error(`No tool ${name}.`);
  return found;
}

/** What the model of a request was last told. */
export const lastText = ({ messages }: Pick<GenerateRequest, "messages">) => String(messages.at(-1)?.content);

export const asKey = (key: string) => key as SessionKey;
