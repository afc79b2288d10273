// Reading a long session, and lists of many.
import { grouped, lane, OURS, PEERS, RAW } from "../who.mjs";

const { pi, grammy, langgraph } = PEERS;

export function readRows({ n, prepared }) {
  const of = { count: n.long };
  const long = {
    ours: prepared("ours-long", OURS, "prepareLong", of),
    raw: prepared("raw-long", RAW, "prepareLong", of),
    pi: prepared("pi-long", pi, "prepareLong", of),
    grammy: prepared("grammy-long", grammy, "prepareLong", of),
    messages: prepared("langgraph-long", langgraph, "prepareLong", of, { form: "message" }),
    state: prepared("langgraph-state-long", langgraph, "prepareLong", of, { form: "state" }),
  };
  const row = (facts, count, labels) => {
    const from = (dir, withs) => ({ scenario: "read", dir, count, length: n.long, with: withs });
    return {
      ...facts,
      metric: "ms",
      columns: ["ms", "stall", "memory"],
      reference: "raw",
      lanes: [
        lane("session", OURS, labels.ours, from(long.ours)),
        lane("raw", RAW, labels.raw, from(long.raw)),
        lane("pi", pi, "open + buildSessionContext", from(long.pi)),
        lane("grammy", grammy, "read", from(long.grammy)),
        lane("langgraph-state", langgraph, "getTuple, all state", from(long.state, { form: "state" })),
        lane("langgraph", langgraph, "list, one message a checkpoint", from(long.messages, { form: "message" })),
      ],
    };
  };
  const length = grouped(n.long);
  return [
    row({ id: "read.last", title: `Read the last 50 of ${length} messages, in a new process` }, 50, {
      ours: "history({ last: 50 })",
      raw: "last 64 KiB + JSON.parse",
    }),
    row({ id: "read.all", title: `Read all ${length} messages of a session`, rounds: n.slowRounds }, undefined, {
      ours: "history()",
      raw: "readFile + split + JSON.parse",
    }),
  ];
}

export function listRows({ n, prepared, stores, peerStores }) {
  // LangGraph lists checkpoints, so it needs a store whose threads have one each.
  const threads = prepared("langgraph-threads", langgraph, "prepareStore", { count: n.crowd });
  const row = (facts, limit) => {
    const from = (dir) => ({ scenario: "list", dir, size: n.crowd, limit });
    return {
      ...facts,
      metric: "ms",
      columns: ["ms", "warm", "stall", "memory"],
      reference: "raw",
      lanes: [
        lane("ours", OURS, "list", from(stores.get(n.crowd))),
        lane("raw", RAW, "readFile + JSON.parse of our sessions.json", from(stores.get(n.crowd))),
        lane("pi", pi, "SessionManager.list", from(peerStores.pi)),
        lane("langgraph", langgraph, "list", from(threads)),
      ],
    };
  };
  const crowd = grouped(n.crowd);
  return [
    row({ id: "list.50", title: `List the newest 50 of ${crowd} sessions, in a new process` }, 50),
    row({ id: "list.all", title: `List all of ${crowd} sessions, in a new process`, rounds: n.slowRounds }, undefined),
  ];
}
