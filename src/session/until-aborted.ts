/** Aborts after so many seconds, of which a host or a model may give any part. */
export function afterSeconds(seconds: number): AbortSignal {
  // It takes whole milliseconds, and 2.01 times 1000 is none.
  return AbortSignal.timeout(Math.ceil(seconds * 1000));
}

/**
 * Waits for work, or until a signal aborts: then it gives `undefined` at once. Host code that ignores its signal must not
 * hold a session. `onLate` is told when the work fails after nobody waits for it any more.
 */
export async function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal,
  onLate: (error: unknown) => void,
): Promise<{ value: T } | undefined> {
  let abandoned = false;
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<undefined>((resolve) => {
    onAbort = () => {
      abandoned = true;
      resolve(undefined);
    };
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
  work.catch((error: unknown) => {
    if (abandoned) onLate(error);
  });
  try {
    return await Promise.race([work.then((value) => ({ value })), aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}
