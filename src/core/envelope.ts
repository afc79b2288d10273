import type { Provenance } from "./entry.js";

/**
 * A message of another session as the model is shown it: labelled, and with every line of it marked, so that nothing in it can
 * pass for the end of it, for another message or for the person the session is with.
 */
export function enveloped(provenance: Provenance, text: string): string {
  const { kind, from, status = "completed", label } = provenance;
  const sender = quoted(from);
  const name = label === undefined ? sender : `${sender} (${quoted(label)})`;
  switch (kind) {
    case "task":
      return `[You are a sub-agent of session ${sender}. Do this task; your last message is its result, and only that session sees it.]\n\n${unlabelled(text)}`;
    case "sub-agent":
      return `[Sub-agent ${name} ${ENDS[status]}.${text === "" ? "]" : ` ${MARKED}]\n${marked(text)}`}`;
    case "inter-session": {
      const what = provenance.reply
        ? `Session ${sender} has answered your message. Reply to go on, or with REPLY_SKIP to leave it at that.`
        : `Message from session ${sender}, not from the person you talk to. Your reply goes back to that session alone.`;
      return `[${what} ${MARKED}]\n${marked(text)}`;
    }
  }
}

// Whatever a reader may pass over before it, in any case, and with any quotes.
const UNSEEN = String.raw`\p{Cf}\p{Zs}\p{M}\0-\x09\x0e-\x1f\x7f\u115f\u1160\u2800\u3164\uffa0`;
const LINE_ENDS = String.raw`\n\r\v\f\u0085\u2028\u2029`;
const GAP = `[${UNSEEN}]`;
const words = (text: string) => text.replaceAll("-", "[-\\u2010-\\u2013]").replaceAll(" ", `${GAP}+`);
const QUOTE = "[\"'`\\u00b4\\u2032\\u2033\\p{Pi}\\p{Pf}\\u201a\\u201e\\u300c\\u300e\\uff02\\uff07]";
// Of the short ones, only what has a name behind it: people write "[Session notes]".
const NAMED = `(?:${words("Session|Sub-agent")})(?:${GAP}*:)?${GAP}*${QUOTE}`;
const LABEL = new RegExp(
  `(^|[${LINE_ENDS}])(${GAP}*)[\\[\\uff3b](?=[${UNSEEN}${LINE_ENDS}]*(?:${words("Message from session|You are a sub-agent of session")}|${NAMED}))`,
  "giu",
);

/** A text, in which no line begins as an envelope does. */
export function unlabelled(text: string): string {
  return /[[\uff3b]/.test(text) ? text.replace(LABEL, "$1$2(") : text;
}

const MARKED = 'Each line of it begins with "> ".';

const ENDS: Readonly<Record<NonNullable<Provenance["status"]>, string>> = {
  completed: "has completed its task",
  failed: "has failed",
  timed_out: "ran out of time and was stopped",
  killed: "was stopped",
  orphaned: "was cut off when its process ended, and has not been run again",
};

// Whatever a reader may take for the end of a line.
const LINES = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/;

function marked(text: string): string {
  return text
    .split(LINES)
    .map((line) => `> ${line}`)
    .join("\n");
}

/** On one line and in plain characters: what a platform calls a person must not look like the end of the label. */
export function quoted(text: string): string {
  return JSON.stringify(text).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
