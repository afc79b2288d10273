import { constants } from "node:fs";
import { expect } from "vitest";
import { StorageError } from "../../../../src/index.js";

const ERROR_CODES = ["EIO", "ENOSPC", "EMFILE", "EACCES", "EROFS"] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

const OPENING = /^(open|readdir)\b/;
const LOOKING = /^(lstat|stat|fstatSync|read|readFile|readdir|realpath)\b/;
const CHANGING_NAMES = /^(mkdir|rename|rm|rmdir|unlink|link)\b/;
const CHANGING_FACTS = /^(chmod|chown|utimes)\b/;
const WRITING = /^(write|writeFile|writeSync)\b/;

/** Whether a system can answer this to such a call. */
export function canFail(call: { kind: string; flags?: unknown }, code: string): boolean {
  const { flags } = call;
  const kind = call.kind.replace(/^handle /, "");
  switch (code) {
    case "EIO":
      return true;
    case "ENOSPC":
      return (opensToWrite(kind, flags) || !OPENING.test(kind)) && !LOOKING.test(kind);
    case "EMFILE":
      return OPENING.test(kind);
    case "EACCES":
      return OPENING.test(kind) || CHANGING_NAMES.test(kind) || /^(lstat|stat|chmod|chown|realpath)\b/.test(call.kind);
    case "EROFS":
      return opensToWrite(kind, flags) || CHANGING_NAMES.test(kind) || CHANGING_FACTS.test(kind);
    case "SHORT":
      return WRITING.test(kind) && kind !== "writeFile";
    default:
      throw new TypeError(`Nothing is known about ${code}.`);
  }
}

function opensToWrite(kind: string, flags: unknown): boolean {
  if (!/^open\b/.test(kind)) return false;
  return typeof flags === "number" ? (flags & (constants.O_WRONLY | constants.O_RDWR)) !== 0 : String(flags) !== "r";
}

/** The error that the system would give. */
export function failure(code: string, syscall: string, path: unknown): NodeJS.ErrnoException {
  const error: NodeJS.ErrnoException = new Error(`${code}: made to fail, ${syscall} '${String(path)}'`);
  return Object.assign(error, { code, syscall, path: String(path) });
}

/** That an error is one of the library, which says where it happened and what to do. */
export function expectTyped(error: unknown): asserts error is StorageError {
  if (!(error instanceof StorageError)) throw new Error("Not an error of the library", { cause: error });
  expect(error.code).toMatch(/^(STORAGE|STORAGE_BUSY|CLAIM_LOST)$/);
  expect(error.operation).toMatch(/^storage\.\w+$/);
  // More than one sentence: what happened, and what to do about it.
  expect(error.message).toMatch(/^[A-Z].*[.,;] .*[a-z]\.$/);
  expect(error.message).not.toContain("See `cause`");
}
