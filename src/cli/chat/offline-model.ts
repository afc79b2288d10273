import { setTimeout as pause } from "node:timers/promises";
import { NO_REPLY, type ProviderHooks, parseSessionKey } from "../../index.js";
import { takeNotes } from "./notes-taken.js";
import { recall } from "./recall.js";

/**
 * A model that needs no network: it knows what its context says and nothing else.
 * @param wordPause milliseconds before each further word, so that a person can see it write and stop it.
 */
export function offlineModel(wordPause = 0): ProviderHooks {
  return {
    async generate({ purpose, key, messages, signal, emit }) {
      const inGroup = parseSessionKey(key).kind === "group";
      // It has nowhere to save anything.
      if (purpose === "memory-flush") return NO_REPLY;
      if (purpose === "summary") return takeNotes(messages, inGroup);
      const text = recall(messages, inGroup);
      for (const [index, word] of (text.match(/\s*\S+/g) ?? []).entries()) {
        if (index > 0 && wordPause > 0) await pause(wordPause, undefined, { signal });
        signal.throwIfAborted();
        emit(word);
      }
      return text;
    },
  };
}
