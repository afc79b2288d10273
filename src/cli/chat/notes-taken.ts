import { type Message, textOf } from "../../index.js";

// More than anybody asks a demonstration for.
const MAX_NOTES = 200;

/** What people said, a line each, from a request for a summary: the notes so far and the conversation that goes on from them. */
export function takeNotes(messages: readonly Message[], inGroup: boolean): string {
  const request = messages.map(textOf).join("\n");
  const earlier = between(request, "notes").filter((line) => line.startsWith("- "));
  const said = between(request, "conversation").flatMap((line) => {
    const [, name, words] = /^\[user(?: ([^\]]*))?\] (.+)$/.exec(line) ?? [];
    if (words === undefined) return [];
    return [`- ${inGroup && name !== undefined ? `${name}: ` : ""}${words}`];
  });
  return ["People said:", ...[...earlier, ...said].slice(-MAX_NOTES)].join("\n");
}

function between(text: string, tag: string): string[] {
  const [, inner = ""] = new RegExp(`<${tag}>\\n([^]*?)\\n</${tag}>`).exec(text) ?? [];
  return inner.split("\n").map((line) => line.trim());
}
