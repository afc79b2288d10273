import { createInterface } from "node:readline";
import { JsonlStorage, SessionManager, type SessionStorage } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { actor, type Plan, subagentsConfig } from "./plans.js";

// A host whose agents follow plans. It says on stdout what it does and does on stdin what it is told. The test ends it with SIGKILL.
const [dir = "", maxConcurrent = "8", stopsAfter = "0"] = process.argv.slice(2);

let steps = 0;
const say = (...words: string[]) => void process.stdout.write(`${words.join(" ")}\n`);

/** Says that a step of the storage has been done, and with the one it is to stop at does nothing more at all. */
function step(): void {
  steps += 1;
  if (steps !== Number(stopsAfter)) return;
  say("stopped");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

async function stepped<T>(work: Promise<T>): Promise<T> {
  const done = await work;
  step();
  return done;
}

const inner = new JsonlStorage({ dir });
const storage: SessionStorage = {
  read: (key) => inner.read(key),
  list: (query) => inner.list(query),
  entries: (uuid, range) => inner.entries(uuid, range),
  update: (...args) => stepped(inner.update(...args)),
  claim: async (...args) => {
    const claim = await stepped(inner.claim(...args));
    const { release } = claim;
    return Object.assign(claim, { release: () => stepped(release()) });
  },
  delete: (key) => stepped(inner.delete(key)),
  close: () => inner.close(),
};

const waiting = new Map<string, (answer: string) => void>();
const provider = actor({
  waitFor: (name, key) =>
    new Promise((resolve) => {
      waiting.set(name, resolve);
      say("waits", name, key);
    }),
  onTold: (key) => say("told", key),
  onResults: (name, results) => say("results", name, JSON.stringify(results)),
});
const sessions = new SessionManager({ storage, provider, config: subagentsConfig(Number(maxConcurrent)) });
sessions.on("subagent.spawned", ({ child }) => say("spawned", child));
sessions.on("subagent.ended", ({ child, status }) => say("ended", child, status));
sessions.on("turn.completed", ({ key }) => say("completed", key));
sessions.on("turn.failed", ({ key }) => say("failed", key));

async function atWork(): Promise<boolean> {
  for await (const { waiting: line, openTurns, subagents } of sessions.list())
    if (line.length + openTurns.length + subagents.length > 0) return true;
  return false;
}

const { dm } = builders();
const orders: Record<string, (rest: string) => Promise<void>> = {
  handle: async (plan) => {
    const { name } = JSON.parse(plan) as Plan;
    await sessions.handle(dm("1", plan, { messageId: name }));
    say("handled", name);
    while (await atWork()) await new Promise(setImmediate);
    say("idle");
  },
  answer: async (rest) => {
    const [name = "", ...words] = rest.split(" ");
    waiting.get(name)?.(words.join(" "));
  },
  close: async () => {
    await sessions.close();
    process.exit();
  },
};
const input = createInterface({ input: process.stdin });
input.on("line", (line) => {
  const [order = "", ...rest] = line.split(" ");
  // A store that is closed meanwhile cannot be asked whether all is done.
  orders[order]?.(rest.join(" ")).catch((error: unknown) => say("refused", order, String(error)));
});
input.on("close", () => process.exit());
