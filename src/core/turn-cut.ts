import type { MessageEntry } from "./entry.js";
import { callIdsOf, resultIdsOf } from "./tool-pairs.js";

/** Where a window is cut, and which of the messages before stay all the same, by their places. */
export interface Cut {
  at: number;
  kept: ReadonlySet<number>;
}

export interface CutOptions {
  /** So much may stay, in tokens. */
  keep: number;
  /** When more would stay than this, the last turn is cut as well. */
  room: number;
  /** The messages whose turns still run. */
  openTurns: readonly string[];
  isPinned(message: MessageEntry): boolean;
}

/**
 * Where to cut so that as much as `keep` allows stays, or else as little as may. At the beginning of a turn, with the last turn whole, or
 * the first that still runs; between two of its steps where it does not fit the room. What people said in it stays then.
 */
export function cutOf(
  messages: readonly MessageEntry[],
  sizes: readonly number[],
  options: CutOptions,
): Cut | undefined {
  const { keep, room, openTurns, isPinned } = options;
  const running = messages.findIndex(({ id }) => openTurns.includes(id));
  const asked = running >= 0 ? running : messages.findLastIndex(isSpoken);
  const pairs = pairsOf(messages);
  const stays = (message: MessageEntry, at: number) =>
    isPinned(message) || (asked >= 0 && at >= asked && isSpoken(message));
  const kept = withPartners(messages, pairs, stays);
  const parted = partedBy(messages.length, pairs);
  const after = staysAfter(sizes, kept);
  const firsts = new Map<string, number>();
  for (const [at, { id }] of messages.entries()) if (!firsts.has(id)) firsts.set(id, at);
  // By its id the message that stays first must be told from all before it.
  const isPlace = (at: number) =>
    at > 0 && parted[at] === 0 && firsts.get((messages[at] as MessageEntry).id) === at && after[at] !== after[0];
  const places = [...messages.keys()].filter(isPlace);
  const begins = places.filter((at) => at <= asked && isSpoken(messages[at] as MessageEntry));
  const begin = fitting(begins, after, keep);
  if ((after[begin ?? 0] ?? 0) <= room) return begin === undefined ? undefined : { at: begin, kept };
  const first = messages.findIndex(({ role }, at) => at > asked && role === "assistant");
  const waiting = openTurns.length > 0 ? waitingFrom(messages, pairs, Math.max(0, asked)) : messages.length;
  const steps = places.filter((at) => at > first && at <= waiting && messages[at]?.role === "assistant" && first >= 0);
  const step = fitting(steps, after, keep) ?? begin;
  return step === undefined ? undefined : { at: step, kept };
}

/** The first place from which on no more than `keep` stays; else the last, from which on the least stays. */
function fitting(places: readonly number[], after: readonly number[], keep: number): number | undefined {
  return places.find((at) => (after[at] ?? 0) <= keep) ?? places.at(-1);
}

/** Whether a person said it. Some formats put the results of tools into the mouth of the user. */
function isSpoken(message: MessageEntry): boolean {
  return message.role === "user" && resultIdsOf(message).length === 0;
}

/** The calls and their results, by place. Some providers use an id again: a result belongs to the last call of its id before it. */
export function pairsOf(messages: readonly MessageEntry[]): [call: number, result: number][] {
  const pairs: [number, number][] = [];
  const calls = new Map<string, number>();
  for (const [at, message] of messages.entries()) {
    for (const id of callIdsOf(message)) calls.set(id, at);
    for (const id of resultIdsOf(message)) {
      const from = calls.get(id);
      if (from !== undefined && from !== at) pairs.push([from, at]);
    }
  }
  return pairs;
}

/** For each place, how many calls before it have a result from there on. */
function partedBy(length: number, pairs: readonly [number, number][]): number[] {
  const parted = new Array<number>(length + 1).fill(0);
  for (const [call, result] of pairs) {
    parted[call + 1] = (parted[call + 1] ?? 0) + 1;
    parted[result + 1] = (parted[result + 1] ?? 0) - 1;
  }
  for (let at = 1; at <= length; at += 1) parted[at] = (parted[at] ?? 0) + (parted[at - 1] ?? 0);
  return parted;
}

/** What stays when everything before a place leaves but what is kept. */
function staysAfter(sizes: readonly number[], kept: ReadonlySet<number>): number[] {
  const after = [sizes.reduce((sum, size) => sum + size, 0)];
  for (const [at, size] of sizes.entries()) after.push((after[at] ?? 0) - (kept.has(at) ? 0 : size));
  return after;
}

/** The place of the first message that waits for a result; all of them when none does. */
function waitingFrom(messages: readonly MessageEntry[], pairs: readonly [number, number][], from: number): number {
  const answered = new Map<number, number>();
  for (const [call] of pairs) answered.set(call, (answered.get(call) ?? 0) + 1);
  const at = messages.findIndex(
    (message, place) => place >= from && callIdsOf(message).length > (answered.get(place) ?? 0),
  );
  return at < 0 ? messages.length : at;
}

/** The places wanted, those that have the other end of a tool call in one of them, and those with the same id. */
function withPartners(
  messages: readonly MessageEntry[],
  pairs: readonly [number, number][],
  isWanted: (message: MessageEntry, at: number) => boolean,
): Set<number> {
  const partners = new Map<number | string, (number | string)[]>();
  const join = (one: number | string, other: number | string) => {
    partners.set(one, [...(partners.get(one) ?? []), other]);
    partners.set(other, [...(partners.get(other) ?? []), one]);
  };
  for (const [call, result] of pairs) join(call, result);
  for (const [at, { id }] of messages.entries()) join(at, id);
  const found = new Set<number | string>(
    [...messages.keys()].filter((at) => isWanted(messages[at] as MessageEntry, at)),
  );
  for (const one of found) for (const other of partners.get(one) ?? []) found.add(other);
  return new Set([...found].filter((one) => typeof one === "number"));
}
