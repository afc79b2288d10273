// Many sessions: in turn, and at once.
import { fresh, lane, OURS, PEERS, RAW } from "../who.mjs";

export function manyRows({ n }) {
  const { pi, grammy, langgraph } = PEERS;
  const many = (count, withs) =>
    fresh({ scenario: "append", sessions: 500, warm: Math.max(500, n.warm), count, with: withs });
  const row = (durability, count, raw, others) => ({
    id: `interleaved.${durability}`,
    title: `500 sessions in turn, durability "${durability}"`,
    metric: "p50",
    columns: ["p50", "p99", "perSecond", "bytes", "stall"],
    reference: "raw",
    lanes: [lane("session", OURS, "session.append", many(count, { durability })), raw, ...others],
  });
  const fifty = (scenario, count, withs) => fresh({ scenario, sessions: 50, warm: n.warm, count, with: withs });
  const always = { durability: "always" };
  const rawSynced = { how: "write+sync" };
  const whole = { form: "state" };
  return [
    row("always", n.manyAlways, lane("raw", RAW, "500 handles, writeSync + datasync", many(n.manyAlways, rawSynced)), [
      lane("langgraph-full", langgraph, "FULL, all state", many(n.manyAlways, { ...whole, sync: "FULL" })),
    ]),
    row("off", n.manyOff, lane("raw", RAW, "500 handles, writeSync", many(n.manyOff, { how: "write" })), [
      lane("pi", pi, "appendMessage", many(n.manyOff, {})),
      lane("grammy", grammy, "write", many(n.manyOff, {})),
      lane("langgraph", langgraph, "NORMAL, all state", many(n.manyOff, whole)),
    ]),
    {
      id: "concurrent.always",
      title: '50 sessions, durability "always": 50 on the way at once, beside one at a time',
      metric: "perSecond",
      columns: ["perSecond", "p50", "p99", "stall", "memory"],
      reference: "raw-50",
      lanes: [
        lane("session-50", OURS, "50 at once", fifty("concurrent", n.flight, always)),
        lane("session-1", OURS, "one at a time", fifty("append", n.manyAlways, always)),
        lane("raw-50", RAW, "50 at once, writeSync + datasync", fifty("concurrent", n.flight, rawSynced)),
        lane("raw-1", RAW, "one at a time", fifty("append", n.manyAlways, rawSynced)),
        lane(
          "langgraph-50",
          langgraph,
          "FULL, 50 at once",
          fifty("concurrent", n.flight, { sync: "FULL", form: "message" }),
        ),
      ],
    },
  ];
}
