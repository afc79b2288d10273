import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { isSessionError, type SessionErrorCode } from "../../errors.js";
import type { SessionStorage } from "../../storage/storage.js";
import { alice, collect, everything, present } from "./sessions.js";

// A runner that shows the difference between two texts of a megabyte is busy for minutes.
const MOST_SHOWN = 10_000;

/** Fails unless two values are the same as JSON values are. `fact` says what should be true. */
export function same(actual: unknown, expected: unknown, fact: string): void {
  if (isDeepStrictEqual(actual, expected)) return;
  const shown = [textOf(expected), textOf(actual)];
  const message = `${fact}: expected ${brief(shown[0])}, got ${brief(shown[1])}`;
  if (shown.some((text) => text.length > MOST_SHOWN)) assert.fail(message);
  assert.deepStrictEqual(actual, expected, message);
}

/** What a call rejects with. */
export async function rejection(call: () => Promise<unknown>, what: string): Promise<unknown> {
  let promise: Promise<unknown>;
  try {
    promise = call();
  } catch (error) {
    return assert.fail(`${what} rejects; it threw ${String(error)} before there was a promise`);
  }
  const [result] = await Promise.allSettled([promise]);
  if (result.status === "rejected") return result.reason;
  return assert.fail(`${what} rejects; it resolved to ${brief(textOf(result.value))}`);
}

/** Fails unless a call rejects with an error of this library that has the code. */
export async function rejectsWith(code: SessionErrorCode, call: () => Promise<unknown>, what: string): Promise<void> {
  assertCode(await rejection(call, what), code, what);
}

/** Fails unless an error is one of this library with the code, also one of another copy of it. */
export function assertCode(error: unknown, code: SessionErrorCode, what: string): void {
  assert.ok(isSessionError(error, code), `${what} rejects with code ${code}; it rejected with ${String(error)}`);
}

/** Fails unless a call rejects with a plain TypeError. */
export async function rejectsWithTypeError(call: () => Promise<unknown>, what: string): Promise<void> {
  const error = await rejection(call, what);
  assert.ok(error instanceof TypeError, `${what} rejects with TypeError; it rejected with ${String(error)}`);
}

/** Fails unless what `work` does changes nothing of Alice's session or of the list. */
export async function changesNothing(storage: SessionStorage, work: () => Promise<void>): Promise<void> {
  const look = async () => {
    const record = await storage.read(alice);
    const entries = record === undefined ? [] : await everything(storage, record.uuid);
    return { record, entries, list: await collect(storage.list()) };
  };
  const before = await look();
  await work();
  same(await look(), before, "nothing is written");
}

/** Fails unless a session's record and transcript tell of the same number of messages. */
export async function assertWhole(storage: SessionStorage, key = alice): Promise<void> {
  const record = present(await storage.read(key), "a record");
  same((await everything(storage, record.uuid)).length, record.messageCount, "record and transcript agree");
}

function textOf(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}

function brief(text = ""): string {
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length} characters)` : text;
}
