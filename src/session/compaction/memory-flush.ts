import type { MemoryFlushEntry } from "../../core/entry.js";
import type { SessionRecord } from "../../core/record.js";
import { hasMedia } from "../../core/shorten.js";
import { windowOf } from "../../core/window.js";
import { codeOf } from "../error-code.js";
import type { NewEntry } from "../ledger.js";
import { contextOf, type Prompt, promptOf } from "../prompt/prompt.js";
import { type Reduction, reduce, reducedSize, WHOLE } from "../prompt/reduction.js";
import type { Shell } from "../shell.js";
import { type Asked, askModel } from "./ask-model.js";

const FLUSH_PROMPT = [
  "[From the host, not from a person] Older messages of this conversation are about to leave it.",
  "Save now, with the tools you have for that, what must not be forgotten: facts about people, decisions, promises, open tasks.",
  "Nobody sees what you answer. If there is nothing to save, answer NO_REPLY.",
].join(" ");

// When everything is refused as too long, the newest part that fits: half, and a quarter of the window.
const SHARES = [0.5, 0.25];

export type FlushOutcome = { status: "flushed" } | { status: "failed"; error: unknown } | { status: "aborted" };

/**
 * Has the model save what it must not forget. It sees everything in the window; what it says is neither stored nor shown. That it
 * was asked, and whether it worked, is recorded.
 */
export async function flushMemory(
  shell: Shell,
  { key, uuid }: Pick<SessionRecord, "key" | "uuid">,
  signal: AbortSignal,
): Promise<FlushOutcome> {
  const record = await shell.ledger.read(key);
  if (record === undefined || record.uuid !== uuid) return { status: "aborted" };
  const prompt = promptOf(shell, record, await shell.ledger.window(record));
  // A clear or a compaction since then has begun another cycle, of which this says nothing.
  const isSameCycle = (now: SessionRecord) =>
    now.uuid === uuid && now.lastClear === record.lastClear && now.compactions === record.compactions;
  return flush(shell, prompt, signal, (now) => (isSameCycle(now) ? {} : undefined));
}

/** Has the model save what it must not forget of a history that was just cleared, where the policy asks for it. Waits for nothing. */
export function flushCleared(shell: Shell, record: SessionRecord, clear: string): void {
  const { key, uuid } = record;
  const { policy } = promptOf(shell, record, []);
  if (!policy.memoryFlush.enabled || !policy.memoryFlush.onClear || shell.provider === undefined) return;
  const work = async () => {
    const entries = await shell.ledger.windowBefore(record, clear);
    if (windowOf(entries).messages.length === 0) return;
    const prompt = promptOf(shell, { ...record, openTurns: [] }, entries);
    await flush(shell, prompt, shell.queue.closing, (now) => (now.uuid === uuid ? { cleared: true } : undefined));
  };
  const done = work().catch((error: unknown) => shell.events.emit("memory.flush-failed", { key, uuid, error }));
  shell.compactions.beside(done);
}

async function flush(
  shell: Shell,
  prompt: Prompt,
  signal: AbortSignal,
  facts: (now: SessionRecord) => Pick<MemoryFlushEntry, "cleared"> | undefined,
): Promise<FlushOutcome> {
  const { key, uuid } = prompt.record;
  let asked = await ask(shell, prompt, signal, { ...WHOLE, media: shell.windows.mediaOf(uuid) });
  for (const smaller of await smallerThan(shell, prompt)) {
    if (asked.ended !== "failed" || !asked.tooLong) break;
    asked = await ask(shell, prompt, signal, smaller);
  }
  if (asked.ended === "aborted") return { status: "aborted" };
  const error = asked.ended === "failed" ? asked.error : undefined;
  const entry: NewEntry = {
    type: "memory-flush",
    status: asked.ended === "answered" ? "completed" : "failed",
    ...(error === undefined ? {} : { error: { code: codeOf(error) } }),
    ...(prompt.model === undefined ? {} : { model: prompt.model }),
    ...(asked.ended === "answered" && asked.usage !== undefined ? { usage: asked.usage } : {}),
  };
  await shell.ledger.append(key, (now) => {
    const more = facts(now);
    return more && [{ ...entry, ...more }];
  });
  const about = { key, uuid };
  if (error !== undefined) {
    shell.events.emit("memory.flush-failed", { ...about, error });
    return { status: "failed", error };
  }
  shell.events.emit("memory.flushed", about);
  return { status: "flushed" };
}

// First everything but media, which may be what is too large; then the newest part.
async function smallerThan(shell: Shell, prompt: Prompt): Promise<Reduction[]> {
  const size = Math.min(await reducedSize(shell, prompt, WHOLE), prompt.contextWindow);
  const parts = SHARES.map((share): Reduction => {
    return { media: "none", tightResults: true, tightHead: true, room: Math.floor(size * share) };
  });
  const isPictured = windowOf(prompt.entries).messages.some(hasMedia);
  return isPictured ? [{ ...WHOLE, media: "none" }, ...parts] : parts;
}

async function ask(shell: Shell, whole: Prompt, signal: AbortSignal, reduction: Reduction): Promise<Asked> {
  const { record, model, policy } = whole;
  const instructions = policy.memoryFlush.prompt ?? FLUSH_PROMPT;
  const { prompt } = await reduce(shell, whole, reduction);
  const { messages } = contextOf(prompt, { media: reduction.media });
  return askModel(shell, {
    purpose: "memory-flush",
    record,
    model,
    messages: [...messages, { role: "user", content: instructions }],
    instructions,
    timeoutSeconds: policy.timeoutSeconds,
    signal,
  });
}
