// The limit: `node bench/limit/run.mjs`. Conversations of thousands of turns with a model whose window is too small for them,
// and what they cost beside the fewest calls there could be. Ends with 1 when anything was lost, refused or without an end.
import { fork } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { dist, isBuilt } from "../library.mjs";
import { describeMachine, machineLine } from "../machine.mjs";
import { SCENARIOS } from "./scenarios.mjs";
import { printTable } from "./table.mjs";

const HELP = `node bench/limit/run.mjs [options]

  --turns <n>    how many turns in all (default 10000, quick 880)
  --quick        fewer turns; results.json stays as it is
  --only <text>  only scenarios whose name begins with this; results.json stays as it is
  --seed <n>     another conversation (default 1)

LIBRARY_DIST names another build of the library (default: dist/, made by npm run build).
`;

const { values: options } = parseArgs({
  options: {
    turns: { type: "string" },
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    seed: { type: "string", default: "1" },
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

const HOLD = fileURLToPath(new URL("hold.mjs", import.meta.url));
// A loop that never gives way can only be seen, and ended, from outside.
const SILENCE_LIMIT_MS = 60_000;

const scenarios = SCENARIOS.filter(({ id }) => id.startsWith(options.only));
const turns = Number(options.turns ?? (options.quick ? 880 : 10_000));
const root = mkdtempSync(join(tmpdir(), "sessions-limit-"));

function runScenario(scenario, count) {
  return new Promise((done) => {
    const job = { scenario, turns: count, seed: Number(options.seed), dir: join(root, "store") };
    const child = fork(HOLD, [JSON.stringify(job)], { stdio: ["ignore", "inherit", "pipe", "ipc"] });
    let result;
    let stderr = "";
    let turn = 0;
    let timer;
    const listen = () => {
      clearTimeout(timer);
      timer = setTimeout(() => child.kill("SIGKILL"), SILENCE_LIMIT_MS);
    };
    listen();
    child.stderr.on("data", (chunk) => {
      stderr = (stderr + chunk).slice(-2000);
    });
    child.on("message", (message) => {
      listen();
      turn = message.turn ?? turn;
      result = message.result ?? result;
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const why = signal === null ? `ended with code ${code}: ${stderr}` : `killed in silence after turn ${turn}`;
      done(result ?? { faults: { [why]: 1 } });
    });
  });
}

try {
  const machine = describeMachine(root);
  process.stdout.write(`${machineLine(machine)}\n`);
  const results = [];
  for (const [index, scenario] of scenarios.entries()) {
    // The first ones take what does not divide.
    const count = Math.floor(turns / scenarios.length) + (index < turns % scenarios.length ? 1 : 0);
    process.stderr.write(`${scenario.id}: ${count} turns\n`);
    results.push({ scenario, ...(await runScenario(scenario, count)) });
  }
  const isWhole = printTable(results);
  if (!options.quick && options.only === "") {
    const file = fileURLToPath(new URL("results.json", import.meta.url));
    writeFileSync(file, `${JSON.stringify({ machine, turns, scenarios: results }, null, 2)}\n`);
    process.stdout.write(`Written: ${file}\n`);
  }
  if (!isWhole) process.exitCode = 1;
} finally {
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
}
