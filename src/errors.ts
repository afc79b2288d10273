/** The stable name of a fault: the class name in upper snake case without `Error`. Codes are API, messages are not. */
export type SessionErrorCode =
  | "INVALID_SESSION_KEY"
  | "INVALID_CONFIG"
  | "INVALID_MESSAGE"
  | "SESSION_NOT_FOUND"
  | "RECOVERY"
  | "HOOK"
  | "CONTEXT_OVERFLOW"
  | "QUEUE_FULL"
  | "CLOSED"
  | "STORAGE"
  | "STORAGE_BUSY"
  | "CLAIM_LOST"
  | "CORRUPT_TRANSCRIPT"
  | "UNSUPPORTED_VERSION";

/** Where a fault happened and what caused it. Never holds anything a person said. */
export interface SessionErrorDetails {
  /** The call that failed, such as `handle` or `storage.update`. */
  operation?: string | undefined;
  /** The session it concerned. */
  key?: string | undefined;
  cause?: unknown;
}

// An application can end up with the ESM and the CJS build in one process; `instanceof` fails between the two.
const BRAND = Symbol.for("openclaw-sessions.SessionError");

/** The base of every error this library throws on purpose, except plain `TypeError` for programming mistakes. */
export abstract class SessionError extends Error {
  abstract readonly code: SessionErrorCode;
  readonly operation: string | undefined;
  readonly key: string | undefined;

  constructor(message: string, details: SessionErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.operation = details.operation;
    this.key = details.key;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** A text is not a session key, or an address lacks a part that its key needs. */
export class InvalidSessionKeyError extends SessionError {
  readonly code = "INVALID_SESSION_KEY";
}

/** A setting is unknown or has a value that is not allowed. The message names the setting and the allowed values. */
export class InvalidConfigError extends SessionError {
  readonly code = "INVALID_CONFIG";
}

/** A message was refused before anything was stored: a missing part, a wrong type, or too large. */
export class InvalidMessageError extends SessionError {
  readonly code = "INVALID_MESSAGE";
}

/** No session has this key. */
export class SessionNotFoundError extends SessionError {
  readonly code = "SESSION_NOT_FOUND";
}

/** Host code failed: the provider, a channel or `authorize` threw (see `cause`) or answered in a form that cannot be used. */
export class HookError extends SessionError {
  readonly code = "HOOK";
}

/**
 * What must be in the prompt does not fit the model's window: the last message alone, or what is pinned. Everything is stored, and
 * the next turn works if what it needs is smaller.
 */
export class ContextOverflowError extends SessionError {
  readonly code = "CONTEXT_OVERFLOW";
  /** The smallest prompt that was tried, in tokens, by the library's own count. */
  readonly tokens: number;
  /** The window it should have fitted, in tokens. */
  readonly contextWindow: number;

  constructor(message: string, details: SessionErrorDetails & { tokens: number; contextWindow: number }) {
    super(message, details);
    this.tokens = details.tokens;
    this.contextWindow = details.contextWindow;
  }
}

/** Too many messages wait for this session. The message was not stored; send it again later. */
export class QueueFullError extends SessionError {
  readonly code = "QUEUE_FULL";
}

/** The manager or the storage has been closed. */
export class ClosedError extends SessionError {
  readonly code = "CLOSED";
}

/** The storage could not do what it was asked. `cause` has the fault of the system below. */
export class StorageError extends SessionError {
  readonly code: "STORAGE" | "STORAGE_BUSY" | "CLAIM_LOST" | "CORRUPT_TRANSCRIPT" | "UNSUPPORTED_VERSION" = "STORAGE";
}

/** Other processes wrote to this session so often that an update never found its moment. Nothing was written; try again. */
export class StorageBusyError extends StorageError {
  override readonly code = "STORAGE_BUSY";
}

/** The right to run turns of this session has passed to another holder, so the write was refused. */
export class ClaimLostError extends StorageError {
  override readonly code = "CLAIM_LOST";
}

/** A transcript cannot be read as one at all. A single bad line is passed over and reported instead. */
export class CorruptTranscriptError extends StorageError {
  override readonly code = "CORRUPT_TRANSCRIPT";
}

/** The transcript was written by a newer version of this library; writing to it could lose what that version added. */
export class UnsupportedVersionError extends StorageError {
  override readonly code = "UNSUPPORTED_VERSION";
}

/** Recognises an error of this library, also one thrown by another copy of it (ESM beside CJS). */
export function isSessionError(error: unknown, code?: SessionErrorCode): error is SessionError {
  if (typeof error !== "object" || error === null || !(BRAND in error)) return false;
  return code === undefined || ("code" in error && error.code === code);
}
