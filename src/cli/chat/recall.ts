import { type Message, textOf } from "../../index.js";

/** Something a person said, as the context shows it. */
interface Saying {
  /** Who, where the context names its speakers. */
  speaker: string | undefined;
  words: string;
}

const MAX_QUOTES = 5;
const MAX_QUOTED = 300;

const QUESTION_WORDS =
  /^(who|what|whats|what's|which|when|where|why|how|whose|is|are|am|was|were|do|does|did|can|could|have|has|tell me|recall|repeat)\b/i;

const ASKS_FOR_LAST =
  /\b(last|latest|previous|recent)\b.*\b(message|thing|line|words?|said|say|saying)\b|\bsaid\b.*\b(last|before)\b/i;

const ASKS_FOR_ALL = /\b(know|knew|remember|recall|learn|learned|learnt|heard|told|tell|said|say)\b/i;

// Words that make a question and say nothing of its subject.
const EMPTY_WORDS = new Set(
  (
    "a about again all am an and any anything are as at be been before bot by can could did do does earlier else ever everything for from had has " +
    "have he hear heard her here him his how i if in is it its knew know learn learned learnt let like many may me mean message messages mine more much " +
    "my no not now of off on once or our please previous recall remember repeat said say saying she so some something still talk tell " +
    "telling that the their them then there these they thing things this those to told us was we were what when where which who whom " +
    "whose why will with would you your yours"
  ).split(" "),
);

/**
 * What someone answers who has only this context to go by: asked something, they quote what was said in it; told
 * something, they acknowledge it. Nothing else is known to it, so an answer shows exactly what a session let through.
 */
export function recall(messages: readonly Message[], inGroup = false): string {
  const sayings = messages.flatMap((message) => readSaying(message, inGroup));
  const current = sayings.at(-1);
  if (current === undefined) return "Nobody has said anything yet.";
  const earlier = sayings.slice(0, -1);
  if (isGreeting(current.words)) {
    return earlier.length === 0 ? "Hello! This is our first conversation." : "Hello again! Ask me what I remember.";
  }
  if (!isQuestion(current.words)) return "Noted. Ask me about it later.";
  if (earlier.length === 0) return "This is our first conversation! I know nothing yet.";
  return answer(current, earlier);
}

function answer(question: Saying, earlier: readonly Saying[]): string {
  if (ASKS_FOR_LAST.test(question.words)) return `The last message was ${quote(earlier.at(-1) as Saying)}.`;
  // A question asked before says nothing about its subject.
  const told = earlier.filter((saying) => !isQuestion(saying.words) && !isGreeting(saying.words));
  const subjects = subjectsOf(question.words);
  if (subjects.length === 0 && !ASKS_FOR_ALL.test(question.words))
    return "I only repeat what was said here. Ask me about something.";
  const found = subjects.length === 0 ? told : bestMatches(told, subjects);
  const own = found.filter((saying) => saying.speaker === question.speaker);
  const asksOfOneself = /\b(my|mine|i|me)\b/i.test(question.words) && own.length > 0;
  const chosen = (asksOfOneself ? own : found).slice(-MAX_QUOTES);
  if (chosen.length === 0) return "Nothing was said about that in this conversation.";
  const quotes = chosen.map(quote).join(", ");
  return chosen.every((saying) => saying.speaker === undefined) ? `I was told ${quotes}.` : `I heard ${quotes}.`;
}

function bestMatches(sayings: readonly Saying[], subjects: readonly string[]): Saying[] {
  const scored = sayings.map((saying) => {
    const text = `${saying.speaker ?? ""} ${saying.words}`.toLowerCase();
    return { saying, hits: subjects.filter((subject) => text.includes(subject)).length };
  });
  const most = Math.max(1, ...scored.map(({ hits }) => hits));
  return scored.filter(({ hits }) => hits === most).map(({ saying }) => saying);
}

function subjectsOf(question: string): string[] {
  const words = question.toLowerCase().match(/[\p{L}\p{M}\p{N}_-]+/gu) ?? [];
  return words.filter((word) => !EMPTY_WORDS.has(word)).map((word) => (/[^s]s$/.test(word) ? word.slice(0, -1) : word));
}

function isQuestion(words: string): boolean {
  return words.endsWith("?") || QUESTION_WORDS.test(words);
}

function isGreeting(words: string): boolean {
  return /^(hello|hi|hey|good (morning|evening|day|afternoon))( again| there| bot| all| everyone)?[\s.!,]*$/i.test(
    words,
  );
}

function quote({ speaker, words }: Saying): string {
  const characters = Array.from(words);
  const shown = characters.length > MAX_QUOTED ? `${characters.slice(0, MAX_QUOTED).join("")}…` : words;
  return speaker === undefined ? `"${shown}"` : `"${shown}" from ${speaker}`;
}

// In a group the speaker's name stands before what they said. What the library itself notes about a reply that was
// cut short is nobody's saying.
function readSaying(message: Message, inGroup: boolean): Saying[] {
  const text = textOf(message);
  if (message.role !== "user" || /^\[(The previous reply|The conversation begins|\d+ earlier) /.test(text)) return [];
  if (text.startsWith("[Summary of the conversation"))
    return text
      .split("\n- ")
      .slice(1)
      .flatMap((note) => sayingOf(note, inGroup));
  return sayingOf(text, inGroup);
}

function sayingOf(text: string, inGroup: boolean): Saying[] {
  const [, speaker, named] = (inGroup ? /^([^:\n]{1,64}): ([\s\S]*)$/.exec(text) : null) ?? [];
  const said = named ?? text;
  const words = said
    .replace(/(?<![\w@])@bot\b[,:]?/gi, "")
    .replace(/\s+/g, " ")
    .trim();
  return words === "" ? [] : [{ speaker, words }];
}
