import {
  type CompactionSettings,
  MemoryStorage,
  type Message,
  type MessageEntry,
  type ProviderHooks,
  type SessionEventName,
  type SessionEvents,
  type SessionKey,
  SessionManager,
  type SessionManagerOptions,
} from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { all } from "../store-dir.js";

export const KEY = "agent:main:telegram:dm:ann" as SessionKey;

/** A host in memory, with these settings for all agents. */
export function hostOf(
  provider: ProviderHooks,
  compaction: CompactionSettings = {},
  options: Partial<SessionManagerOptions> = {},
): SessionManager {
  const storage = options.dir === undefined ? new MemoryStorage() : undefined;
  const config = { agents: { defaults: { compaction: { ...compaction } } } };
  return new SessionManager({ ...(storage && { storage }), config, provider, ...options });
}

/** A text of some `tokens` that begins with a mark to know it by. */
export const words = (mark: string, tokens: number) => `${mark} ${"why ".repeat(Math.max(0, tokens - 4))}`.trim();

/** Messages whose texts are marked `q1.`, `q2.` and so on, so that no mark is the beginning of another. */
export function speaker(peer = "ann") {
  const { dm } = builders();
  let said = 0;
  return (tokens = 100) => {
    said += 1;
    return dm(peer, words(`q${said}.`, tokens));
  };
}

/** Says so many things one after the other, each answered before the next. */
export async function talk(manager: SessionManager, next: ReturnType<typeof speaker>, turns: number, tokens = 100) {
  for (let n = 0; n < turns; n += 1) await manager.handle(next(tokens));
}

export type Heard = { [E in SessionEventName]: { name: E } & SessionEvents[E] }[SessionEventName];

/** What happens from now on, in order. */
export function heard(manager: SessionManager, ...names: SessionEventName[]): Heard[] {
  const events: Heard[] = [];
  for (const name of names) manager.on(name, (event) => void events.push({ name, ...event } as unknown as Heard));
  return events;
}

/** Resolves at the next event of that name. */
export const once = <E extends SessionEventName>(manager: SessionManager, name: E) =>
  new Promise<SessionEvents[E]>((resolve) => {
    const off = manager.on(name, (event) => {
      off();
      resolve(event);
    });
  });

/** Everything that was ever said in a session. */
export async function historyOf(manager: SessionManager, key = KEY): Promise<MessageEntry[]> {
  return all(manager.history(key, { includeCleared: true }));
}

/** The marks of texts, in order. */
export function marksIn(messages: readonly Pick<Message, "content">[]): string[] {
  return messages.flatMap(({ content }) => JSON.stringify(content).match(/\bq\d+\./g) ?? []);
}

/** `q1.` up to `qn.` */
export const marks = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, at) => `q${from + at}.`);

/** A tool's call and its result. */
export function toolStep(id: string, output: unknown): [Message, Message] {
  const tool = { toolCallId: id, toolName: "read" };
  return [
    { role: "assistant", content: [{ type: "tool-call", ...tool, input: { id } }] },
    { role: "tool", content: [{ type: "tool-result", ...tool, output }] } as Message,
  ];
}

/** The lines of context that stand for what is not there. */
export const NOTICE = /earlier message\(s\) are left out/;
