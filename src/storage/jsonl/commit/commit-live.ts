const LIVE = Symbol.for("openclaw-sessions.commits");

/**
 * The writers of logs in this thread, by token, and how many logs' directories each has open. Who looks at a log cannot tell by
 * its process whether another store of the same process still writes to it. An application can end up with two builds of the
 * library in it.
 */
function writers(): Map<string, number> {
  const shared = globalThis as { [LIVE]?: Map<string, number> };
  shared[LIVE] ??= new Map();
  return shared[LIVE];
}

export function isLiveHere(token: string): boolean {
  return writers().has(token);
}

/** Says that logs of this token are being written, until what it returns is called. */
export function beginLive(token: string): () => void {
  writers().set(token, (writers().get(token) ?? 0) + 1);
  let ended = false;
  return () => {
    if (ended) return;
    ended = true;
    const left = (writers().get(token) ?? 0) - 1;
    if (left > 0) writers().set(token, left);
    else writers().delete(token);
  };
}
