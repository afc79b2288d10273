import type { CompactionSettings, SessionManagerOptions } from "../../../src/index.js";
import { deferred } from "../store-dir.js";
import { hostOf, words } from "./conversation.js";
import { limitedModel } from "./limited-model.js";

export const NOTES = "Notes: they asked why, again and again.";

const reply = (_request: unknown, nth: number) => words(`answer ${nth}:`, 100);

/** A host whose summariser has been asked when `asked` resolves, and answers when `answer` is given one. */
export function thinking(
  window = 100_000,
  compaction: CompactionSettings = {},
  options: Partial<SessionManagerOptions> = {},
) {
  const asked = deferred<AbortSignal>();
  const answer = deferred<string>();
  const model = limitedModel({
    window,
    reply,
    summary: ({ signal }) => {
      asked.resolve(signal);
      return answer.promise;
    },
  });
  return { model, asked: asked.promise, answer, manager: hostOf(model, compaction, options) };
}
