import type { MessageEntry } from "./entry.js";
import { callIdsOf, resultIdsOf } from "./tool-pairs.js";

/** Where a window is cut: everything before `at` may leave. `asked`: the cut is within a turn, which answers that message. */
export interface Cut {
  at: number;
  asked?: number;
}

export interface CutOptions {
  /** So much may stay, in tokens. */
  keep: number;
  /** So much the last turn may take before it is cut itself. */
  room: number;
  /** The messages whose turns still run. */
  openTurns: readonly string[];
}

/**
 * Where to cut so that at most `keep` stays, or else as little as may: at the beginning of a turn, and the last turn whole,
 * or the first that still runs. If that alone takes more than `room`, it is cut between two of its steps.
 */
export function cutOf(
  messages: readonly MessageEntry[],
  sizes: readonly number[],
  options: CutOptions,
): Cut | undefined {
  const { keep, room, openTurns } = options;
  const behind = suffixSums(sizes);
  const fits = (at: number) => (behind[at] ?? 0) <= keep;
  const running = messages.findIndex(({ id }) => openTurns.includes(id));
  const asked = running >= 0 ? running : messages.findLastIndex(({ role }) => role === "user");
  if (asked >= 0 && (behind[asked] ?? 0) > room) {
    const steps = stepsAfter(messages, asked);
    const at = steps.find(fits) ?? steps.at(-1);
    if (at !== undefined) return { at, asked };
  }
  const parted = partedCalls(messages);
  const begins = [...messages.keys()].filter(
    (at) => at > 0 && at <= asked && messages[at]?.role === "user" && parted[at] === 0,
  );
  const at = begins.find(fits) ?? begins.at(-1);
  return at === undefined ? undefined : { at };
}

/** What stands from each message to the end. */
function suffixSums(sizes: readonly number[]): number[] {
  const sums = new Array<number>(sizes.length + 1).fill(0);
  for (let at = sizes.length - 1; at >= 0; at -= 1) sums[at] = (sums[at + 1] ?? 0) + (sizes[at] ?? 0);
  return sums;
}

/** For each place, how many calls before it have a result behind it. */
function partedCalls(messages: readonly MessageEntry[]): number[] {
  const parted = new Array<number>(messages.length + 1).fill(0);
  // Some providers use an id again: a result belongs to the call of its id that came last before it.
  const calls = new Map<string, number>();
  const step = new Array<number>(messages.length + 1).fill(0);
  for (const [at, message] of messages.entries()) {
    for (const id of callIdsOf(message)) calls.set(id, at);
    for (const id of resultIdsOf(message)) {
      const from = calls.get(id);
      if (from === undefined || from === at) continue;
      step[from + 1] = (step[from + 1] ?? 0) + 1;
      step[at + 1] = (step[at + 1] ?? 0) - 1;
    }
  }
  let open = 0;
  for (let at = 0; at < parted.length; at += 1) {
    open += step[at] ?? 0;
    parted[at] = open;
  }
  return parted;
}

/** Where the steps of a turn begin, apart from its first. One that waits for a result is not over. */
function stepsAfter(messages: readonly MessageEntry[], asked: number): number[] {
  const steps: number[] = [];
  const open = new Set<string>();
  for (let at = asked + 1; at < messages.length; at += 1) {
    const message = messages[at] as MessageEntry;
    if (message.role === "assistant" && open.size === 0 && at > asked + 1) steps.push(at);
    for (const id of callIdsOf(message)) open.add(id);
    for (const id of resultIdsOf(message)) open.delete(id);
  }
  return steps;
}

/** The messages wanted, by their ids, and those that have the other end of a tool call in one of them. */
export function withPairs(messages: readonly MessageEntry[], wanted: readonly MessageEntry[]): Set<string> {
  const ids = new Set(wanted.map(({ id }) => id));
  const callsIn = (message: MessageEntry) => [...callIdsOf(message), ...resultIdsOf(message)];
  for (let before = -1; before !== ids.size; ) {
    before = ids.size;
    const calls = new Set(messages.filter(({ id }) => ids.has(id)).flatMap(callsIn));
    for (const message of messages) if (callsIn(message).some((id) => calls.has(id))) ids.add(message.id);
  }
  return ids;
}
