// What is done with a contender, and what is measured while it is.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { contextScenarios } from "./context-scenarios.mjs";
import {
  peakMegabytes,
  percentile,
  timeEach,
  timeOnce,
  turns,
  watchLoop,
  written,
  writtenBetween,
} from "./measure.mjs";
import { pick, prepare, text } from "./messages.mjs";

/** Messages to `job.sessions` new sessions in turn, one after the other. */
async function append(contender, job) {
  const { sessions, warm, count } = job;
  const opened = await contender.start({ ...job.with, dir: job.dir });
  for (let index = 0; index < sessions; index += 1) await opened.open(index);
  const result = await inTurn(opened, { indexes: range(sessions), warm, count });
  await opened.close();
  return { ...result, note: opened.note };
}

/** Messages to sessions of a store that is already there. */
async function appendToStore(contender, job) {
  const { sessions, size, seed, count } = job;
  const indexes = pick(sessions, size, seed);
  const opened = await contender.start({ ...job.with, dir: job.dir, size });
  for (const index of indexes) await opened.open(index);
  const result = await inTurn(opened, { indexes, warm: indexes.length, count });
  const watch = await watchLoop();
  const before = written();
  const closing = await timeOnce(() => opened.close());
  const closeBytes = writtenBetween(before, written())?.asked;
  return { ...result, closeMs: closing.ms, closeBytes, closeStallMs: await watch.stop(), note: opened.note };
}

async function inTurn(opened, { indexes, warm, count }) {
  const messages = prepare(opened.makeMessage, 0, warm + count);
  const send = (offset) => (at) => opened.append(indexes[(offset + at) % indexes.length], messages[offset + at]);
  const first = await timeEach(warm, send(0));
  const watch = await watchLoop();
  const before = written();
  const { samples, total } = await timeEach(count, send(warm));
  const bytes = writtenBetween(before, written());
  const stallMs = await watch.stop();
  const lineBytes = opened.lineOf === undefined ? undefined : meanLine(opened.lineOf, count);
  return {
    p50: percentile(samples, 0.5),
    p99: percentile(samples, 0.99),
    perSecond: (count / total) * 1000,
    count,
    firstP50: percentile(first.samples, 0.5),
    stallMs,
    lineBytes,
    bytesPerMessage: bytes && bytes.asked / count,
    diskPerMessage: bytes && bytes.toDisk / count,
    peakMegabytes: peakMegabytes(),
  };
}

/** Messages to `job.sessions` sessions, each with one of its own on the way at any time. */
async function concurrent(contender, job) {
  const { sessions, warm, count } = job;
  const opened = await contender.start({ ...job.with, dir: job.dir });
  for (let index = 0; index < sessions; index += 1) await opened.open(index);
  const messages = prepare(opened.makeMessage, 0, warm + count);
  const samples = [];
  const loop = turns();
  const lanes = (from, until) => {
    let next = from;
    return Promise.all(
      range(sessions).map(async (index) => {
        while (next < until) {
          const start = performance.now();
          await opened.append(index, messages[next++]);
          const now = performance.now();
          samples.push(now - start);
          if (loop.isDue(now)) await loop.take();
        }
      }),
    );
  };
  await lanes(0, warm);
  samples.length = 0;
  const watch = await watchLoop();
  const { ms } = await timeOnce(() => lanes(warm, warm + count));
  const stallMs = await watch.stop();
  await opened.close();
  return {
    p50: percentile(samples, 0.5),
    p99: percentile(samples, 0.99),
    perSecond: (count / ms) * 1000,
    count,
    stallMs,
    peakMegabytes: peakMegabytes(),
    note: opened.note,
  };
}

/** The end of a long session, or all of it, by a process that has read nothing yet. */
async function read(contender, job) {
  const { count, length } = job;
  const watch = await watchLoop();
  const { ms, value } = await timeOnce(() =>
    count === undefined
      ? contender.readAll({ ...job.with, dir: job.dir })
      : contender.readLast({ ...job.with, dir: job.dir, count }),
  );
  const stallMs = await watch.stop();
  const wanted = count ?? length;
  const { texts, close } = value;
  await close();
  if (texts.length !== wanted || texts[0] !== text(length - wanted) || texts[wanted - 1] !== text(length - 1))
    throw new Error(`read ${texts.length} messages where ${wanted} were stored, or others`);
  return { ms, stallMs, peakMegabytes: peakMegabytes() };
}

/** A list, first by a process that has read nothing yet, then again. */
async function list(contender, job) {
  const watch = await watchLoop();
  const first = await timeOnce(async () => {
    const opened = await contender.openList({ ...job.with, dir: job.dir });
    return { opened, count: await opened.list(job.limit) };
  });
  const stallMs = await watch.stop();
  const { opened, count } = first.value;
  const again = [];
  for (let round = 0; round < 3; round += 1) again.push((await timeOnce(() => opened.list(job.limit))).ms);
  await opened.close();
  if (count !== (job.limit ?? job.size)) throw new Error(`listed ${count} sessions`);
  return { ms: first.ms, warmMs: percentile(again, 0.5), stallMs, peakMegabytes: peakMegabytes() };
}

/** A store opened by a process that has read nothing yet. */
async function open(contender, job) {
  const watch = await watchLoop();
  const first = await timeOnce(() =>
    contender.openStore({ ...job.with, dir: job.dir, size: job.size, seed: job.seed }),
  );
  const listing = await timeOnce(() => first.value.list(50));
  const stallMs = await watch.stop();
  await first.value.close();
  if (listing.value !== Math.min(50, job.size)) throw new Error(`listed ${listing.value} sessions`);
  return { ms: first.ms, listMs: listing.ms, stallMs, peakMegabytes: peakMegabytes() };
}

/** Makes what `read`, `list`, `open` and `appendToStore` need. */
async function make(contender, job) {
  mkdirSync(job.dir, { recursive: true });
  const { ms } = await timeOnce(() => contender[job.what]({ ...job.with, dir: job.dir, ...job.of }));
  return { ms, peakMegabytes: peakMegabytes() };
}

/** Constructing; the import has been timed by the worker. */
async function construct(contender, job) {
  const { ms } = await timeOnce(() => contender.construct({ dir: join(job.dir, "new") }));
  return { constructMs: ms };
}

function range(count) {
  return Array.from({ length: count }, (_, index) => index);
}

function meanLine(lineOf, count) {
  const sample = Math.min(count, 200);
  let bytes = 0;
  for (let number = 0; number < sample; number += 1) bytes += Buffer.byteLength(JSON.stringify(lineOf(number))) + 1;
  return bytes / sample;
}

export const scenarios = { append, appendToStore, concurrent, read, list, open, make, construct, ...contextScenarios };
