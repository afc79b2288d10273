// The bench: `node bench/run.mjs`. Prints a table with verdicts, writes bench/results.json and bench/chart.svg.
//
// Every measurement is a process of its own, one at a time. Rounds go through all rows, so that a noisy spell of the
// machine falls on everyone; a ratio is taken within each round and its median over the rounds is what is shown.
import { fork } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { drawChart } from "./chart.mjs";
import { dist, isBuilt } from "./library.mjs";
import { describeMachine, machineLine } from "./machine.mjs";
import { plan } from "./plan.mjs";
import { printReport } from "./report.mjs";
import { summarise } from "./summary.mjs";
import { judge } from "./verdicts.mjs";
import { LEFT_OUT, PEERS } from "./who.mjs";

const HELP = `node bench/run.mjs [options]

  --quick          fewer messages, one round, no store over 1,000 sessions; results.json and chart.svg stay as they are
  --only <text>    only rows whose id begins with this, such as append or store.off; writes no files
  --rounds <n>     how often each measurement is repeated (default 5, quick 1)
  --dir <path>     where to measure (default: the system's directory for temporary files)
  --limit <s>      begin no further measurement after so many seconds (default 440, quick 130)
  --out <path>     where results.json and chart.svg go (default: bench/)
  --drop-caches    empty the page cache before each read and each opening: Linux, root only, and felt by everyone on the machine

LIBRARY_DIST names another build of the library to measure (default: dist/, made by npm run build).
Peers: npm install --prefix bench/peers. One that is not installed is left out.
`;

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    rounds: { type: "string" },
    dir: { type: "string", default: tmpdir() },
    limit: { type: "string" },
    out: { type: "string" },
    "drop-caches": { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  process.stdout.write(HELP);
  process.exit(0);
}
if (!isBuilt) {
  process.stderr.write(`There is no built library in ${dist}. Run: npm run build\n`);
  process.exit(1);
}

const WORKER = fileURLToPath(new URL("worker.mjs", import.meta.url));
const JOB_LIMIT_MS = 60_000;
const MAKE_LIMIT_MS = 130_000;
const limitMs = Number(options.limit ?? (options.quick ? 130 : 440)) * 1000;
const started = performance.now();
const root = mkdtempSync(join(resolve(options.dir), "sessions-bench-"));
let running;
let freshNumber = 0;
let cachesDropped = 0;

function cleanUp() {
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
}
for (const signal of ["SIGINT", "SIGTERM"])
  process.once(signal, () => {
    const end = () => {
      cleanUp();
      process.exit(130);
    };
    if (running === undefined) return end();
    // Not before it is gone, or it goes on making files where they are being removed.
    running.once("close", end);
    running.kill("SIGKILL");
  });

/** Runs one job in a new process. Gives `{ result }`, `{ skipped }` or `{ error }`. */
function runWorker(job, timeLimit) {
  return new Promise((done) => {
    const child = fork(WORKER, [JSON.stringify(job)], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    running = child;
    let answer;
    let stderr = "";
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, timeLimit);
    child.stderr.on("data", (chunk) => {
      stderr = (stderr + chunk).slice(-2000);
    });
    child.on("message", (message) => {
      answer = message;
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      running = undefined;
      if (late) done({ error: `took longer than ${timeLimit / 1000} s` });
      else if (answer?.result?.skipped) done({ skipped: answer.result.skipped });
      else done(answer ?? { error: `ended with code ${code}: ${stderr}` });
    });
  });
}

function installedPeers() {
  const installed = {};
  for (const [id, { packageName }] of Object.entries(PEERS)) {
    const manifest = fileURLToPath(new URL(`peers/node_modules/${packageName}/package.json`, import.meta.url));
    if (existsSync(manifest)) installed[id] = JSON.parse(readFileSync(manifest, "utf8")).version;
  }
  return installed;
}

function dropCaches() {
  if (!options["drop-caches"]) return;
  writeFileSync("/proc/sys/vm/drop_caches", "3");
  cachesDropped += 1;
}

async function measure() {
  const { rows: allRows, made, rounds: plannedRounds } = plan({ quick: options.quick, dir: root });
  const rows = allRows.filter(({ id }) => options.only === undefined || id.startsWith(options.only));
  if (rows.length === 0)
    throw new Error(`no row begins with "${options.only}"; there are ${allRows.map(({ id }) => id).join(", ")}`);
  const rounds = Number(options.rounds ?? plannedRounds);
  const peers = installedPeers();
  const missing = new Set(
    Object.entries(PEERS)
      .filter(([id]) => !(id in peers))
      .map(([, peer]) => peer),
  );
  const machine = describeMachine(root);

  say(machineLine(machine));
  say(`load before the start: ${machine.load} (ratios are safer than times on a machine that does other work)`);
  for (const [id, peer] of Object.entries(PEERS)) {
    if (id in peers) say(`peer: ${peer.packageName} ${peers[id]}`);
    else say(`peer: ${peer.packageName} is not installed and left out (npm install --prefix bench/peers)`);
  }
  for (const line of LEFT_OUT) say(`left out: ${line}`);
  if (machine.fileSystem === "tmpfs") say("warning: this is a file system in memory; durability costs nothing on it");

  const outcomes = new Map();
  const needed = new Set(rows.flatMap(({ lanes }) => lanes.map(({ job }) => job.dir)));
  const unmade = new Map();
  const making = {};
  for (const [place, { id, contender, job }] of made) {
    if (!needed.has(place) || missing.has(contender)) continue;
    // A library too slow to fill its store must not take the time of everything else.
    if (performance.now() - started > limitMs / 2) {
      unmade.set(place, "no time left to prepare its store");
      continue;
    }
    progress(`preparing ${id}`);
    const { result, error } = await runWorker({ ...job, module: contender.module }, MAKE_LIMIT_MS);
    if (result !== undefined) making[id] = Math.round(result.ms);
    else unmade.set(place, `could not be prepared: ${firstLine(error)}`);
  }

  // Slow rows come last in each round, so that they are what is cut short when time runs out.
  const byRounds = [...rows].sort((a, b) => roundsOf(b, rounds) - roundsOf(a, rounds));
  const mostRounds = Math.max(...rows.map((row) => roundsOf(row, rounds)));
  let outOfTime = false;
  for (let round = 0; round < mostRounds && !outOfTime; round += 1) {
    note(`round ${round + 1} of ${mostRounds}, after ${Math.round((performance.now() - started) / 1000)} s`);
    for (const row of byRounds) {
      if (round >= roundsOf(row, rounds)) continue;
      // Each round begins with another lane, so that none is always the first or the last.
      const lanes = row.lanes.map((_, index) => row.lanes[(index + round) % row.lanes.length]);
      for (const lane of lanes) {
        const id = `${row.id}/${lane.id}`;
        const outcome = outcomes.get(id) ?? { rounds: [] };
        outcomes.set(id, outcome);
        if (missing.has(lane.contender)) outcome.skipped = "not installed";
        if (unmade.has(lane.job.dir)) outcome.error = unmade.get(lane.job.dir);
        if (outcome.skipped || outcome.error) continue;
        if (performance.now() - started > limitMs) {
          outOfTime = true;
          continue;
        }
        progress(`round ${round + 1} ${id}`);
        outcome.rounds[round] = await runLane(lane, round, outcome);
      }
    }
  }
  progress("");
  if (outOfTime) say(`The time limit of ${limitMs / 1000} s was reached: some rows have fewer rounds.`);
  return { machine, peers, rows, outcomes, making };
}

function roundsOf(row, rounds) {
  return options.rounds === undefined ? (row.rounds ?? rounds) : rounds;
}

async function runLane(lane, round, outcome) {
  const { job, contender } = lane;
  const place = job.fresh ? join(root, `fresh-${freshNumber++}`) : job.dir;
  if (job.fresh) mkdirSync(place, { recursive: true });
  if (["read", "open", "list"].includes(job.scenario)) dropCaches();
  const answer = await runWorker({ ...job, module: contender.module, dir: place, seed: round + 1 }, JOB_LIMIT_MS);
  if (job.fresh) rmSync(place, { recursive: true, force: true, maxRetries: 3 });
  if (answer.skipped) outcome.skipped = answer.skipped;
  if (answer.error) outcome.error = firstLine(answer.error);
  return answer.result;
}

function firstLine(text) {
  return String(text).split("\n", 1)[0].replaceAll(root, "<dir>").trim();
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

function note(line) {
  if (!process.stderr.isTTY) process.stderr.write(`${line}\n`);
}

function progress(text) {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\x1b[2K${text}`);
}

try {
  const measured = await measure();
  const summary = summarise(measured);
  const verdicts = judge(summary);
  printReport(summary, verdicts);
  if (cachesDropped > 0) say("The page cache was emptied before each read and each opening.");
  say(`\nTook ${Math.round((performance.now() - started) / 1000)} s.`);
  if (options.out !== undefined || (!options.quick && options.only === undefined)) {
    const out = resolve(options.out ?? fileURLToPath(new URL(".", import.meta.url)));
    mkdirSync(out, { recursive: true });
    const { machine, peers, making, rows } = summary;
    const file = { machine, peers, making, verdicts, rows };
    writeFileSync(join(out, "results.json"), `${JSON.stringify(file, null, 2)}\n`);
    writeFileSync(join(out, "chart.svg"), drawChart(summary));
    say(`Written: ${join(out, "results.json")}, chart.svg`);
  }
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  cleanUp();
}
