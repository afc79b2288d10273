import type { SessionsConfigInput } from "../../../src/index.js";
import { type ScriptedProvider, scriptedProvider } from "../../../src/testing.js";
import { lastText } from "./cast.js";

/** What an agent does with a message or a task: its text is this, as JSON. */
export interface Plan {
  name: string;
  /** What it spawns, all at once, before anything else. */
  spawns?: { mode: "run" | "start"; task: Plan }[];
  /** Does not answer before it is told what. */
  waits?: boolean;
}

export interface Stagehand {
  waitFor?(name: string, key: string): Promise<string>;
  /** What became of a sub-agent has been put to the session that spawned it. */
  onTold?(key: string): void;
  onResults?(name: string, results: readonly unknown[]): void;
}

/** A provider that does what the message says which began the turn. */
export function actor({ waitFor, onTold, onResults }: Stagehand = {}): ScriptedProvider {
  return scriptedProvider((request, results) => {
    if (results.length === 0 && lastText(request).startsWith("[Sub-agent ")) {
      onTold?.(request.key);
      return "noted";
    }
    const asked = request.messages.findLast(({ role }) => role === "user");
    const text = String(asked?.content);
    const { name, spawns = [], waits = false } = JSON.parse(text.slice(text.indexOf("{"))) as Plan;
    if (spawns.length > 0 && results.length === 0) {
      const inputs = spawns.map(({ mode, task }) => ({ mode, task: JSON.stringify(task), label: task.name }));
      return { toolCalls: inputs.map((input) => ({ toolName: "sessions_spawn", input })) };
    }
    if (results.length > 0) onResults?.(name, results);
    if (!waits) return `${name} is done`;
    return async () => (waitFor === undefined ? `${name} does not wait` : waitFor(name, request.key));
  });
}

export const subagentsConfig = (maxConcurrent = 8): SessionsConfigInput => ({
  agents: { defaults: { subagents: { maxSpawnDepth: 2, maxConcurrent } } },
});
