// One measurement in a process of its own: takes a job, sends back its result, ends.
import { pathToFileURL } from "node:url";

const job = JSON.parse(process.argv[2]);

async function run() {
  if (job.scenario === "baseline") return { peakMegabytes: process.resourceUsage().maxRSS / 1024 };
  if (job.scenario === "construct") {
    const start = performance.now();
    const imported = await import(job.import);
    const importMs = performance.now() - start;
    const importMegabytes = process.resourceUsage().maxRSS / 1024;
    const contender = await import(pathToFileURL(job.module).href);
    const { scenarios } = await import("./scenarios.mjs");
    if (Object.keys(imported).length === 0) throw new Error("nothing was imported");
    return { importMs, importMegabytes, ...(await scenarios.construct(contender, job)) };
  }
  const contender = await import(pathToFileURL(job.module).href);
  const reason = contender.unsupported?.(job.with ?? {});
  if (reason !== undefined) return { skipped: reason };
  const { scenarios } = await import("./scenarios.mjs");
  return scenarios[job.scenario](contender, job);
}

// `exit` and not the natural end: a peer may keep a timer, and what is measured is over.
run().then(
  (result) => process.send({ result }, () => process.exit(0)),
  (error) => process.send({ error: error?.message ?? String(error) }, () => process.exit(1)),
);
