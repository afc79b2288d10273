import type { SessionKey } from "./key.js";

/** What led to a turn: how many messages between sessions, and through which sessions. */
export interface Cause {
  hops: number;
  /** Oldest first. */
  chain: readonly SessionKey[];
}

/** A person, or the host itself. */
export const NO_CAUSE: Cause = { hops: 0, chain: [] };

/** What comes of it. `reason` is for the model; where a setting decided, `setting` is for the operator. */
export type Hop = { allowed: true; cause: Cause } | { allowed: false; reason: string; setting?: string };

/**
 * Whether a session may cause a turn of another, and what that turn's cause is. Not one that led to its own: sessions that answer each
 * other by sending would never end. And not after `maxHops` of them in a row, through however many sessions.
 */
export function nextHop(cause: Cause, from: SessionKey, target: SessionKey, maxHops: number): Hop {
  const chain = [...cause.chain.filter((key) => key !== from), from];
  if (chain.includes(target)) {
    const reason =
      target === from
        ? "a session cannot send to itself"
        : "that session's own message led to this one; answer it with your reply instead of sending";
    return { allowed: false, reason };
  }
  const hops = cause.hops + 1;
  if (hops > maxHops)
    return {
      allowed: false,
      reason: "too many messages between sessions in a row led to this one; answer without sending",
      setting: `tools.sessions.maxHops is ${maxHops}`,
    };
  return { allowed: true, cause: { hops, chain } };
}
