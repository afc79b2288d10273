import { ClosedError, isSessionError, StorageError } from "../../errors.js";

const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: "The disk is full; free some space and send it again.",
  EDQUOT: "The disk quota is used up; free some space and send it again.",
  EACCES: "This process may not write there; check who owns the directory.",
  EPERM: "This process may not write there; check who owns the directory.",
  EROFS: "The file system is read-only; choose a directory that can be written.",
  ENOTDIR: "Part of the path is a file; choose another directory.",
  EEXIST: "Part of the path is a file; choose another directory.",
  EMFILE: "Too many files are open; raise the limit on open files.",
  ENFILE: "Too many files are open on this machine.",
  EIO: "The disk reports an error; check it before trusting it further.",
};

/** A fault of the system as an error of the library, which says what to do about it. Everything else passes as it is. */
export function storageFault(error: unknown, operation: string, key?: string): unknown {
  // Of several the first says what to do; those behind it seldom have another cause.
  if (error instanceof AggregateError) return storageFault(error.errors[0], operation, key);
  if (isSessionError(error) || typeof error !== "object" || error === null || !("syscall" in error)) return error;
  const code = codeOf(error) ?? "unknown";
  return new StorageError(
    `The session store failed (${code}). ${ADVICE[code] ?? "See `cause` for what the system reported."}`,
    {
      operation: `storage.${operation}`,
      key,
      cause: error,
    },
  );
}

/** Whether the system refused a write because of where it was to go or who asked, which says nothing against reading. */
export function isRefusal(error: unknown): boolean {
  return ["EACCES", "EPERM", "EROFS"].includes(codeOf(error) ?? "");
}

/** Does what need not be done where the system refuses it. @returns whether it was done. */
export async function unlessRefused(
  work: () => Promise<unknown>,
  onRefused: (error: unknown) => void,
): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    onRefused(error);
    return false;
  }
}

export function codeOf(error: unknown): string | undefined {
  return typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined;
}

export function closedFault(operation: string, key?: string): ClosedError {
  return new ClosedError("The storage has been closed.", { operation: `storage.${operation}`, key });
}
