// What is said in a scenario: the same for the same seed, and every message with a mark of its own, at its beginning.

const WORDS =
  "the train leaves at nine and we should be there an hour before so please bring the tickets and a warm coat for everyone who comes along with us to the lake where my sister keeps her boat under the old bridge".split(
    " ",
  );
const CJK =
  "我们明天早上九点出发请带好车票和外套湖边很冷大家都要准时到达以免错过火车電車は朝九時に出ますので切符を忘れないでください";
const EMOJI = ["👩‍👩‍👧‍👦", "🚂", "🧣", "🇯🇵", "🏔️", "👍🏽", "😀", "🛶"];
const CODE = [
  "function total(items) {",
  "        return items",
  "                .filter((item) => item.price > 0)",
  "                .reduce((sum, { price, count }) => sum + price * count, 0);",
  "}",
  "",
];
const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** `u`: what a person said, `a`: an answer, `t`: the result of a tool. */
export const markOf = (kind, number) => `[[${kind}${String(number).padStart(6, "0")}]]`;

export const marksIn = (text) => text.match(/\[\[[uat]\d{6}\]\]/g) ?? [];

export function randomFrom(seed) {
  let state = (seed * 2_654_435_761 + 12_345) >>> 0;
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return {
    below: (limit) => Math.floor(next() * limit),
    between: (from, to) => from + Math.floor(next() * (to - from)),
    oneIn: (count) => next() * count < 1,
    of: (list) => list[Math.floor(next() * list.length)],
  };
}

const filled = (length, piece) => {
  let text = "";
  while (text.length < length) text += piece();
  return text;
};

const english = (random, length) => filled(length, () => `${random.of(WORDS)} `);
const scripts = {
  english,
  cjk: (random, length) => filled(length, () => CJK[random.below(CJK.length)]),
  emoji: (random, length) =>
    filled(length, () => `${random.of(EMOJI)}${random.oneIn(3) ? ` ${random.of(WORDS)} ` : ""}`),
  code: (random, length) => filled(length, () => `${random.of(CODE)}\n`),
  json: (random, length) =>
    filled(
      length,
      () => `${JSON.stringify({ id: random.below(1e9), name: random.of(WORDS), tags: [random.of(WORDS)] })},`,
    ),
  base64: (random, length) => filled(length, () => BASE64[random.below(64)]),
};

/** How long things are, in characters, and how often tools are called. */
const KINDS = {
  chat: { scripts: ["english"], user: [40, 900], reply: [100, 1200], steps: [0, 1], result: [0, 1] },
  tools: {
    scripts: ["english"],
    user: [40, 300],
    reply: [100, 600],
    steps: [0, 4],
    result: [200, 4000],
    // One in so many results fills a window, and more.
    hugeResult: { oneIn: 15, length: [40_000, 120_000] },
  },
  mixed: {
    scripts: Object.keys(scripts),
    user: [40, 1500],
    reply: [100, 1500],
    steps: [0, 2],
    result: [100, 3000],
    hugeResult: { oneIn: 40, length: [40_000, 80_000] },
    // One in so many messages of a person is longer than some windows.
    hugeUser: { oneIn: 120, length: [20_000, 60_000] },
  },
};

const lengthOf = (random, usual, huge) =>
  random.between(...(huge !== undefined && random.oneIn(huge.oneIn) ? huge.length : usual));

/** Turn `number` of a conversation: what is asked, the tools that are called for it, and what is answered. */
export function turnOf(kind, seed, number) {
  const random = randomFrom(seed * 1_000_003 + number);
  const lengths = KINDS[kind];
  const write = (mark, length) => `${mark} ${scripts[random.of(lengths.scripts)](random, length)}`.trimEnd();
  const text = write(markOf("u", number), lengthOf(random, lengths.user, lengths.hugeUser));
  const steps = Array.from({ length: random.between(...lengths.steps) }, (_, step) => {
    const length = lengthOf(random, lengths.result, lengths.hugeResult);
    const said = write(markOf("t", number * 10 + step), length);
    const output = random.oneIn(3) ? { said, rows: random.below(100) } : said;
    // Some providers count their calls anew in every turn.
    return { id: `call_${step}`, name: random.of(["search", "read_file"]), input: { query: random.of(WORDS) }, output };
  });
  return { number, text, steps, reply: write(markOf("a", number), lengthOf(random, lengths.reply)) };
}
