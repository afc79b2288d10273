import { setTimeout as pause } from "node:timers/promises";
import { type ProviderHooks, parseSessionKey } from "../../index.js";
import { recall } from "./recall.js";

/**
 * A model that needs no network: it knows what its context says and nothing else.
 * @param wordPause milliseconds before each further word, so that a person can see it write and stop it.
 */
export function offlineModel(wordPause = 0): ProviderHooks {
  return {
    async generate({ key, messages, signal, emit }) {
      const text = recall(messages, parseSessionKey(key).kind === "group");
      for (const [index, word] of (text.match(/\s*\S+/g) ?? []).entries()) {
        if (index > 0 && wordPause > 0) await pause(wordPause, undefined, { signal });
        signal.throwIfAborted();
        emit(word);
      }
      return text;
    },
  };
}
