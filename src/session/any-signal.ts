const sources = new WeakMap<AbortSignal, readonly AbortSignal[]>();

/**
 * Aborts when one of the signals does. Unlike `AbortSignal.any` it keeps them: Node 20 forgets an `AbortSignal.timeout` that nothing
 * else holds at the next garbage collection, and its time is never up.
 */
export function anySignal(...signals: readonly (AbortSignal | undefined)[]): AbortSignal {
  const given = signals.filter((signal) => signal !== undefined);
  const [only] = given;
  if (only !== undefined && given.length === 1) return only;
  const any = AbortSignal.any(given);
  sources.set(any, given);
  return any;
}
