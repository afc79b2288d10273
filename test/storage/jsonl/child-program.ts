import { JsonlStorage } from "../../../src/index.js";
import { builders } from "../../../src/testing.js";
import { append, collect, dm } from "../sessions.js";

/** What a storage is told to do in a process of its own. */
export interface Plan {
  dir: string;
  umask?: number;
  steps: Step[];
}

export type Step =
  | { do: "append"; peer: string; texts: string[] }
  | { do: "count"; peer: string }
  | { do: "list" | "close" | "open" }
  | { do: "claim" | "delete"; peer: string };

/** What came of each step, and what the storage reported. */
export interface Outcome {
  results: { value?: unknown; code?: unknown; name?: string; cause?: unknown }[];
  reports: { kind: string }[];
}

async function run({ dir, umask, steps }: Plan): Promise<Outcome> {
  if (umask !== undefined) process.umask(umask);
  const outcome: Outcome = { results: [], reports: [] };
  const open = () =>
    new JsonlStorage({ dir, durability: "off", onReport: ({ kind }) => void outcome.reports.push({ kind }) });
  let storage = open();
  for (const step of steps) {
    try {
      if (step.do === "open") storage = open();
      outcome.results.push({ value: await take(storage, step) });
    } catch (error) {
      const { code, name, cause } = error as { code?: unknown; name: string; cause?: { code?: unknown } };
      outcome.results.push({ code, name, cause: cause?.code });
    }
  }
  return outcome;
}

async function take(storage: JsonlStorage, step: Step): Promise<unknown> {
  switch (step.do) {
    case "append": {
      const b = builders();
      return (await append(storage, dm(step.peer), ...step.texts.map((text) => b.user(text)))).messageCount;
    }
    case "count":
      return (await collect(storage.entries((await storage.read(dm(step.peer)))?.uuid ?? ""))).length;
    case "list":
      return (await collect(storage.list())).length;
    case "claim":
      return (await storage.claim(dm(step.peer))).token.length > 0;
    case "delete":
      return storage.delete(dm(step.peer));
    case "open":
      return undefined;
    case "close":
      return storage.close();
  }
}

// Node ignores this signal, but write-file-atomic listens to it while it writes, and without another listener ends the process.
process.on("SIGXFSZ", () => undefined);

const [plan] = process.argv.slice(2);
if (plan !== undefined) {
  void run(JSON.parse(plan) as Plan).then((outcome) => process.stdout.write(JSON.stringify(outcome)));
}
