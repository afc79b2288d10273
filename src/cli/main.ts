#!/usr/bin/env node
import { run } from "./run.js";

const { stdout, stderr, env } = process;

void run(process.argv.slice(2), {
  // Made when it is first asked for: a command that reads nothing must not touch it.
  get stdin() {
    return process.stdin;
  },
  stdout,
  stderr,
  env,
  now: Date.now,
}).then((code) => {
  process.exitCode = code;
});
