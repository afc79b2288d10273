// One message after the other to one session.
import { fresh, lane, OURS, PEERS, RAW } from "../who.mjs";

export function appendRows({ n }) {
  // A host runs for days: what is shown is what a message costs once the code is compiled. The first ones are in results.json.
  const one = (count, withs) => fresh({ scenario: "append", sessions: 1, warm: n.warm, count, with: withs });
  // For those who write all of a session each time: a short one, which is the kind of session that is kind to them.
  const growing = (withs) => fresh({ scenario: "append", sessions: 1, warm: 50, count: n.growing, with: withs });
  const short = `session of ${50 + n.growing}`;
  const row = (durability, count, reference, others) => ({
    id: `append.${durability}`,
    title: `Append to one session, durability "${durability}"`,
    metric: "p50",
    columns: ["p50", "p99", "perSecond", "bytes", "stall", "memory"],
    reference,
    lanes: [
      lane("session", OURS, "session.append", one(count, { durability })),
      lane("storage", OURS, "storage.update", one(count, { durability, face: "storage" })),
      ...others,
    ],
  });
  const { pi, grammy, langgraph } = PEERS;
  const unsynced = [
    lane("raw-write", RAW, "writeSync", one(n.off, { how: "write" })),
    lane("raw-async", RAW, "FileHandle write", one(n.off, { how: "async" })),
    lane("langgraph", langgraph, "NORMAL, one message a checkpoint", one(n.off, { form: "message" })),
  ];
  const synced = { sync: "FULL", form: "message" };
  return [
    row("always", n.always, "raw-write+sync", [
      lane("raw-write+sync", RAW, "writeSync + datasync", one(n.always, { how: "write+sync" })),
      lane("raw-async+sync", RAW, "FileHandle write + datasync", one(n.always, { how: "async+sync" })),
      lane("raw-blocking", RAW, "writeSync + fdatasyncSync", one(n.always, { how: "blocking" })),
      lane("langgraph-full", langgraph, "FULL, one message a checkpoint", one(n.always, synced)),
      lane("langgraph-full-state", langgraph, `FULL, all state, ${short}`, growing({ ...synced, form: "state" })),
    ]),
    row("batch", n.off, "raw-write", unsynced),
    row("off", n.off, "raw-write", [
      ...unsynced,
      lane("langgraph-state", langgraph, `NORMAL, all state, ${short}`, growing({ form: "state" })),
      lane("pi", pi, "appendMessage", one(n.off, {})),
      lane("grammy", grammy, `write, ${short}`, growing({})),
    ]),
  ];
}
