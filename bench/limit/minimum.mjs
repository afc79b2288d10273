// How few calls a conversation of these sizes could have done with.

/**
 * The conversation is gone through again by the model's own sizes, with a compaction only where there has to be one: when the
 * prompt of a turn is above the threshold that the policy sets for this window (where the window is not known, when it is above the
 * window itself), or when it is above the window between two steps. Each leaves what the policy keeps, the newest whole turns
 * within `keep`, and a summary as long as the model's are. Nobody who keeps that much can make them later or fewer; who counts by
 * another tokeniser, as the library does, keeps a little more or less, and may come out a few above or below. A summary takes one
 * request, a flush one before each compaction, and one more when the last cycle had come far enough for it.
 * Replies: one call for each message that got an answer, and one for each step of a tool.
 */
export function fewestCalls(turns, { limitsOf, overhead, summary }) {
  const fewest = { reply: 0, summary: 0, "memory-flush": 0 };
  let window = [];
  let head = 0;
  let isFlushed = false;
  const size = () => window.reduce((sum, turn) => sum + turn, overhead + head);
  const compact = (keep) => {
    if (window.length < 2) return;
    if (!isFlushed) fewest["memory-flush"] += 1;
    isFlushed = false;
    fewest.summary += 1;
    head = summary;
    while (window.length > 1 && window.reduce((sum, turn) => sum + turn, 0) > keep) window.shift();
  };
  for (const turn of turns) {
    if (turn.clear) {
      window = [];
      head = 0;
      isFlushed = false;
      continue;
    }
    const limits = limitsOf(turn.window);
    window.push(turn.user);
    if (size() > limits.compact) compact(limits.keep);
    else if (!isFlushed && size() > limits.flush) {
      fewest["memory-flush"] += 1;
      isFlushed = true;
    }
    for (const step of turn.steps) {
      window[window.length - 1] += Math.min(step, limits.result);
      if (size() > turn.window) compact(limits.keep);
    }
    window[window.length - 1] += turn.reply;
    fewest.reply += turn.answered ? 1 + turn.steps.length : 0;
  }
  return fewest;
}

/** The thresholds of the library's own default policy for a window of that size, by the functions that say what they mean. */
export function limitsFrom({ compactionThresholds, DEFAULT_COMPACTION }, { known, overhead, charactersPerToken }) {
  return (window) => {
    const believed = known ? window : 200_000;
    const { flush, compact } = compactionThresholds(believed, DEFAULT_COMPACTION);
    // A result of a tool is cut to half as many characters as the threshold has tokens.
    const result = Math.floor(compact / 2) / charactersPerToken;
    // After a refusal it is the refused prompt, less a tenth, that has to be fitted.
    const room = known
      ? compact - overhead
      : compactionThresholds(Math.floor(window * 0.9), DEFAULT_COMPACTION).compact;
    const keep = Math.min(DEFAULT_COMPACTION.keepRecentTokens, Math.floor(room / 2));
    return known
      ? { flush, compact, keep, result }
      : { flush: Number.POSITIVE_INFINITY, compact: window, keep, result };
  };
}
