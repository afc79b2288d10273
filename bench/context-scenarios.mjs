// What is measured of a context: building it, telling its size, and counting what is long.
import { peakMegabytes, percentile, timeOnce, watchLoop } from "./measure.mjs";
import { text } from "./messages.mjs";

/** The messages of the next prompt of a session that is open already: by a process that has built none yet, then again. */
async function build(contender, job) {
  const { count } = job.with;
  const opening = await timeOnce(() => contender.openCompacted({ ...job.with, dir: job.dir }));
  const opened = opening.value;
  const watch = await watchLoop();
  const first = await timeOnce(() => opened.build());
  const stallMs = await watch.stop();
  const texts = first.value;
  // A provider refuses an answer that ends in blanks.
  if (texts.at(-1)?.trimEnd() !== text(count - 1).trimEnd() || texts.length < 48 || texts.length > 52)
    throw new Error(`a context of ${texts.length} messages, or of others`);
  const again = [];
  // Once the code is compiled; and some take seconds for one.
  for (let spent = 0; again.length < 150 && spent < 1500; spent += again.at(-1))
    again.push((await timeOnce(() => opened.build())).ms);
  await opened.close();
  return {
    ms: first.ms,
    warmMs: percentile(again.slice(-100), 0.5),
    openMs: opening.ms,
    stallMs,
    peakMegabytes: peakMegabytes(),
  };
}

/** How large the next prompt is when one message is new: with a turn that has counted nothing yet, then at each further message. */
async function assess(contender, job) {
  const { warm, count } = job;
  const opened = await contender.assessing(job.with);
  const times = [];
  const watch = await watchLoop();
  for (let number = 0; number < 1 + warm + count; number += 1) {
    await opened.before?.(number);
    times.push((await timeOnce(() => opened.assess(number))).ms);
    await opened.after?.(number);
    // What runs beside gets its turn, as it does while a model answers.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const stallMs = await watch.stop();
  await opened.close();
  const samples = times.slice(1 + warm);
  return {
    ms: times[0],
    p50: percentile(samples, 0.5),
    p99: percentile(samples, 0.99),
    stallMs,
    peakMegabytes: peakMegabytes(),
  };
}

/** The first count of a process. */
async function firstCount(contender) {
  const before = process.memoryUsage().rss;
  const watch = await watchLoop();
  const { ms } = await timeOnce(() => contender.loadCounter());
  const stallMs = await watch.stop();
  return {
    ms,
    stallMs,
    addedMegabytes: (process.memoryUsage().rss - before) / 2 ** 20,
    peakMegabytes: peakMegabytes(),
  };
}

const LONG = 1_000_000;

/** Texts that a tokeniser finds no break in. */
const TEXTS = {
  letters: () => "a".repeat(LONG),
  blanks: () => `${" ".repeat(LONG - 1)}.`,
  base64: () => noise(LONG * 0.75).toString("base64"),
};

/** The same bytes each time, with no pattern in them. */
function noise(length) {
  const bytes = Buffer.alloc(length);
  let state = 12_345;
  for (let at = 0; at < length; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

/** A message of a million characters, when a turn has to know what it takes. */
async function countLong(contender, job) {
  const said = TEXTS[job.with.what]();
  const opened = await contender.countingTurn({ said });
  const watch = await watchLoop();
  const { ms } = await timeOnce(() => opened.count());
  const stallMs = await watch.stop();
  const tokens = await opened.close();
  return { ms, stallMs, tokens, peakMegabytes: peakMegabytes() };
}

export const contextScenarios = { build, assess, firstCount, countLong };
