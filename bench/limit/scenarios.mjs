// The conversations that are held. `windows`: of each model, in tokens; `known`: whether the host can say how large they are.

const base = {
  kind: "chat",
  storage: "memory",
  windows: { default: 16_000 },
  known: true,
  usage: "plain",
  summariser: "good",
  charactersPerToken: 4,
  // One in so many turns is a `/clear`; 0: none is.
  clearEvery: 0,
  modelEvery: 0,
};

export const SCENARIOS = [
  { ...base, id: "chat", clearEvery: 400 },
  // Two messages at a time, and now and then a clear while the summary is being written.
  { ...base, id: "chat, slow summaries", summariser: "slow", usage: "cached", pairs: true, clearWhileSlow: 7 },
  // Its tokens are shorter than the library thinks.
  { ...base, id: "tools", kind: "tools", windows: { default: 32_000 }, charactersPerToken: 3, clearEvery: 300 },
  {
    ...base,
    id: "mixed, on disk",
    kind: "mixed",
    storage: "jsonl",
    windows: { default: 32_000, small: 12_000, large: 64_000 },
    usage: "cached",
    clearEvery: 150,
    modelEvery: 60,
  },
  {
    ...base,
    id: "mixed, no usage",
    kind: "mixed",
    windows: { default: 12_000, small: 8000, large: 24_000 },
    usage: "none",
    clearEvery: 200,
    modelEvery: 50,
  },
  { ...base, id: "chat, window unknown", windows: { default: 8000 }, known: false },
  {
    ...base,
    id: "tools, unknown, no usage",
    kind: "tools",
    windows: { default: 8000 },
    known: false,
    usage: "none",
    clearEvery: 100,
  },
  { ...base, id: "chat, empty summaries", summariser: "empty", clearEvery: 300 },
  { ...base, id: "mixed, echoed summaries", kind: "mixed", summariser: "echo", usage: "none", clearEvery: 150 },
  {
    ...base,
    id: "tools, unknown, failing",
    kind: "tools",
    windows: { default: 12_000 },
    known: false,
    summariser: "failing",
    clearEvery: 75,
  },
  { ...base, id: "chat, endless summaries", summariser: "long", clearEvery: 300 },
];
