// What every provider asks of a context, in short: test/core/provider-rules.ts has all of it.

const partsOf = ({ content }, type) =>
  typeof content === "string" ? [] : content.filter((part) => part.type === type);
const isBlank = ({ content }) =>
  typeof content === "string"
    ? content.trim() === ""
    : content.every((part) => part.type === "text" && part.text.trim() === "");

/** What a provider has against these messages; nothing when it takes them. */
export function pairingFaults(messages) {
  const faults = new Set();
  const ids = new Set();
  const conversation = messages.filter(({ role }) => role !== "system");
  if (conversation[0]?.role !== "user") faults.add("the first message is not a user's");
  for (const [at, message] of conversation.entries()) {
    if (isBlank(message)) faults.add("a message says nothing");
    const calls = partsOf(message, "tool-call").map(({ toolCallId }) => toolCallId);
    if (calls.length > 0 && message.role !== "assistant") faults.add("a call that is not the assistant's");
    for (const id of calls) {
      if (ids.has(id)) faults.add("two calls of one id");
      if (!/^[a-zA-Z0-9_-]{1,40}$/.test(id)) faults.add("an id that does not fit");
      ids.add(id);
    }
    const next = conversation[at + 1];
    const results = next?.role === "tool" ? partsOf(next, "tool-result").map(({ toolCallId }) => toolCallId) : [];
    if (calls.length > 0 && [...calls].sort().join() !== [...results].sort().join())
      faults.add("calls that are not followed by their results");
    const before = conversation[at - 1];
    if (message.role === "tool" && (before === undefined || partsOf(before, "tool-call").length === 0))
      faults.add("results without calls");
  }
  return faults;
}
