/** What a process of the contract can be told. */
export type Order =
  | { do: "open"; place: string }
  | { do: "increment"; peer: string; times: number }
  | { do: "say"; peer: string; texts: string[] }
  /** Says one pair of messages after the other until it is killed, and tells of each. */
  | { do: "pour"; peer: string }
  | { do: "contents" | "count" | "delete"; peer: string }
  | { do: "claim" | "release"; peer: string }
  | { do: "say-with-claim"; peer: string; text: string }
  /** Keeps the process from doing anything else, after it has told that it begins. */
  | { do: "be-busy"; milliseconds: number }
  | { do: "ping" | "close" };

export type Value = string | number | boolean | null | unknown[];

/** What a process of the contract says: that it can be told something, what came of an order, or how far it is. */
export type Word =
  | { ready: true }
  | { answers: number; value: Value }
  | { answers: number; error: { name: string; message: string; code: string | undefined } }
  | { progress: number };

/** An order as it is sent, with a number that the answer repeats. */
export interface Numbered {
  number: number;
  order: Order;
}

/** The argument that tells a module it was started by the contract, and not by somebody who wants what else it does. */
export const STARTED_BY_CONTRACT = "openclaw-sessions:storage-contract";
