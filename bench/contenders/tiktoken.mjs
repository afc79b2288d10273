// tiktoken by itself: what counting costs a host that keeps no counts, or does not cut what it counts.
import { library } from "../library.mjs";
import { message, text } from "../messages.mjs";

/** Everything anew at every turn. */
export async function assessing({ size }) {
  const { loadTokenCounter } = await library();
  const { countMessage } = await loadTokenCounter();
  const messages = Array.from({ length: size }, (_, number) => message(number));
  return {
    before: (number) => messages.push({ role: "user", content: text(size + number) }),
    assess: () => messages.reduce((sum, each) => sum + countMessage(each), 0),
    close: async () => undefined,
  };
}

/** The whole package, as its documentation shows it. */
export async function loadCounter() {
  const { get_encoding } = await import("tiktoken");
  return get_encoding("o200k_base").encode_ordinary("one two three").length;
}

export async function countingTurn({ said }) {
  const { get_encoding } = await import("tiktoken");
  const encoding = get_encoding("o200k_base");
  encoding.encode_ordinary("one two three");
  let tokens = 0;
  return {
    count() {
      tokens = encoding.encode_ordinary(said).length;
    },
    close: async () => tokens,
  };
}
