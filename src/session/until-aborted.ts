import { anySignal } from "./any-signal.js";

/**
 * Does work with a signal that aborts when `signal` does, or after so many seconds: any part of one, of which `AbortSignal.timeout`
 * takes whole milliseconds only.
 */
export async function withinSeconds<T>(
  seconds: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new DOMException("The time is up.", "TimeoutError")), seconds * 1000);
  try {
    return await work(anySignal(signal, late.signal));
  } finally {
    clearTimeout(timer);
  }
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
