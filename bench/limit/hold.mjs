// Holds one conversation and checks it as it goes: `node bench/limit/hold.mjs <job as JSON>`, started by run.mjs.
import { library } from "../library.mjs";
import { peakMegabytes, watchLoop } from "../measure.mjs";
import { markOf, turnOf } from "./conversation.mjs";
import { fewestCalls, limitsFrom } from "./minimum.mjs";
import { createModel, OVERHEAD, tokensOf } from "./model.mjs";
import { createWitness } from "./witness.mjs";

const { SessionManager, MemoryStorage, JsonlStorage, isSessionError, loadTokenCounter, ...core } = await library();

// No turn takes near so long; one that does hangs.
const TURN_LIMIT_MS = 20_000;

// So many turns in a row may see less than the window while good summaries are to be had: one refused, one more to mend it.
const MOST_REDUCED = 3;
const GOOD = new Set(["good", "slow"]);

const KEY = "agent:main:telegram:dm:42";

const { scenario, turns, seed, dir } = JSON.parse(process.argv[2]);
const { kind, windows, known, charactersPerToken } = scenario;

const planOf = (number) => turnOf(kind, seed, number);
const asking = new Set();
const storage = scenario.storage === "jsonl" ? new JsonlStorage({ dir, durability: "off" }) : new MemoryStorage();
const model = createModel({
  ...scenario,
  planOf,
  isAsked: (number) => asking.has(number),
  whileSlow,
});
const manager = new SessionManager({ storage, provider: model.hooks });
const session = await manager.open(KEY);
const witness = createWitness({ manager, session, model });
const ended = { replied: 0, silent: 0, overflow: 0, error: 0 };
const log = [];
let current = "default";
let beside = [];
let slowSummaries = 0;
let messageId = 0;
let longestTurn = 0;

function send(text) {
  messageId += 1;
  return manager.handle({
    channel: "telegram",
    chatType: "dm",
    peerId: "42",
    text,
    messageId: String(messageId),
  });
}

/** A clear while a summary is being written makes it void; what was asked is answered all the same. */
function whileSlow() {
  slowSummaries += 1;
  if (scenario.clearWhileSlow === undefined || slowSummaries % scenario.clearWhileSlow !== 0) return;
  witness.clearMidway();
  log.push({ clear: true });
  beside.push(send("/clear"));
}

async function turn(number) {
  const { text, steps, reply } = planOf(number);
  const tokens = (words) => tokensOf(words, charactersPerToken);
  const lengthOf = (output) => (typeof output === "string" ? output : JSON.stringify(output)).length;
  const entry = {
    window: windows[current] ?? windows.default,
    user: tokens(text),
    steps: steps.map(({ output }) => lengthOf(output) / charactersPerToken + 20),
    reply: tokens(reply),
    answered: true,
  };
  witness.said(markOf("u", number));
  asking.add(number);
  model.beginTurn();
  const start = performance.now();
  try {
    const outcome = await send(text);
    ended[outcome.status] = (ended[outcome.status] ?? 0) + 1;
    if (outcome.status !== "replied" || !outcome.text.startsWith(markOf("a", number)))
      model.fault(`a turn ended as ${outcome.status}, with another text than the model's`);
  } catch (error) {
    entry.answered = false;
    const isOverflow = isSessionError(error, "CONTEXT_OVERFLOW");
    ended[isOverflow ? "overflow" : "error"] += 1;
    // A 500 is for a summary alone, so that nothing else can end a turn here.
    if (!isOverflow) model.fault(`a turn ended with ${error?.name}: ${String(error?.message).slice(0, 120)}`);
    else if (entry.user < entry.window / 4) model.fault("a short message was refused as too long");
  }
  asking.delete(number);
  longestTurn = Math.max(longestTurn, performance.now() - start);
  log.push(entry);
}

function withLimit(work, what) {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`${what} did not end in ${TURN_LIMIT_MS / 1000} s`)), TURN_LIMIT_MS);
    work.then(done, fail).finally(() => clearTimeout(timer));
  });
}

async function hold() {
  const { pairs, clearEvery, modelEvery } = scenario;
  const step = pairs ? 2 : 1;
  for (let number = 1; number <= turns; number += step) {
    if (clearEvery > 0 && number % clearEvery === 0) {
      await witness.settle();
      await send("/clear");
      witness.cleared();
      log.push({ clear: true });
    }
    if (modelEvery > 0 && number % modelEvery === 0) {
      const names = Object.keys(windows);
      current = names[(number / modelEvery) % names.length];
      await send(`/model ${current}`);
    }
    const both = Array.from({ length: Math.min(step, turns - number + 1) }, (_, more) => turn(number + more));
    await withLimit(Promise.all(both), `turn ${number}`);
    await withLimit(Promise.all(beside), `a command beside turn ${number}`);
    beside = [];
    process.send({ turn: number });
  }
  await witness.settle({ isEnd: true });
}

async function run() {
  // Loading it is a row of the bench, and would be the longest stall of every conversation.
  await loadTokenCounter();
  const watch = await watchLoop();
  const start = performance.now();
  try {
    await hold();
  } catch (error) {
    model.fault(`${error.message}`);
  }
  const seconds = (performance.now() - start) / 1000;
  const stallMs = await watch.stop();
  const { longestReduced } = witness.figures();
  // Whoever can summarise need not leave anything out for long.
  if (GOOD.has(scenario.summariser) && longestReduced > MOST_REDUCED)
    model.fault(`good summaries, and yet something was left out ${longestReduced} turns in a row`);
  const limitsOf = limitsFrom(core, { known, overhead: OVERHEAD, charactersPerToken });
  // A summary that nobody can use is as long as a good one where the fewest calls are counted.
  const summary = GOOD.has(scenario.summariser) ? model.meanSummary() : 100;
  const result = {
    turns: log.filter(({ clear }) => !clear).length,
    ended,
    calls: model.calls,
    fewest: fewestCalls(log, { limitsOf, overhead: OVERHEAD, summary }),
    refused: model.refused,
    ...witness.figures(),
    mostCallsInATurn: model.mostCalls(),
    longestTurnMs: Math.round(longestTurn),
    stallMs: Math.round(stallMs),
    seconds: Math.round(seconds * 10) / 10,
    peakMegabytes: Math.round(peakMegabytes()),
    faults: Object.fromEntries(model.faults),
  };
  process.send({ result }, () => process.exit(0));
}

await run();
