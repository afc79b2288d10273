// Who is measured, and what a row is made of.
import { fileURLToPath } from "node:url";

export const at = (path) => fileURLToPath(new URL(path, import.meta.url));

export const OURS = { name: "openclaw-sessions", kind: "ours", module: at("contenders/ours.mjs") };
export const RAW = { name: "raw", kind: "raw", module: at("contenders/raw.mjs") };

/** Packages in `bench/peers`. */
export const PEERS = {
  pi: { name: "pi", kind: "peer", module: at("peers/pi.mjs"), packageName: "@mariozechner/pi-coding-agent" },
  grammy: {
    name: "grammY file storage",
    kind: "peer",
    module: at("peers/grammy.mjs"),
    packageName: "@grammyjs/storage-file",
  },
  langgraph: {
    name: "LangGraph SQLite",
    kind: "peer",
    module: at("peers/langgraph.mjs"),
    packageName: "@langchain/langgraph-checkpoint-sqlite",
  },
  // It shortens what it is handed and keeps nothing.
  langchain: {
    name: "LangChain",
    kind: "peer",
    module: at("peers/langchain.mjs"),
    packageName: "@langchain/core",
    keepsNothing: true,
  },
};

/** Those of them that store sessions, by id. */
export const STORING = Object.entries(PEERS).filter(([, { keepsNothing }]) => !keepsNothing);

// What is asked for and not measured, and why.
export const LEFT_OUT = [
  "OpenClaw's own store: the npm package `openclaw` asks for Node 22.12 or newer (2026.1.29), 24.16 by now (2026.9.6); this library, and so its bench, runs from Node 20.19 on.",
];

/** One contender in one row, and the job its process gets. */
export function lane(id, contender, label, job) {
  return { id, contender, label, job };
}

/** A job that begins with an empty directory of its own. */
export function fresh(job) {
  return { ...job, fresh: true };
}

export function grouped(number) {
  return number.toLocaleString("en");
}
