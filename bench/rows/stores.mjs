// Stores that hold many sessions already.
import { fresh, grouped, lane, OURS, RAW, STORING } from "../who.mjs";

const COLUMNS = ["p50", "p99", "perSecond", "bytes", "disk", "stall", "close", "memory"];

export function storeRows({ n, stores, peerStores }) {
  const ours = (size, job) =>
    lane(`ours-${size}`, OURS, `N = ${grouped(size)}`, { ...job, dir: stores.get(size), size });
  const busy = (sessions, count, withs) => ({ scenario: "appendToStore", sessions, count, with: withs });
  const large = n.sizes.filter((size) => size >= 1000);
  const countOf = (durability) => (durability === "always" ? n.storeAlways : n.storeOff);

  const hundredBusy = (durability, how, others) => ({
    id: `store.${durability}`,
    title: `Append in a store of N sessions, 100 of them in turn, durability "${durability}"`,
    metric: "p50",
    columns: COLUMNS,
    reference: "raw",
    lanes: [
      ...n.sizes.map((size) => ours(size, busy(100, countOf(durability), { durability }))),
      lane(
        "raw",
        RAW,
        "100 files",
        fresh({ scenario: "append", sessions: 100, warm: 100, count: countOf(durability), with: { how } }),
      ),
      ...others,
    ],
  });
  const thousandBusy = (durability) => ({
    id: `wide.${durability}`,
    rounds: n.slowRounds,
    title: `Append in a store of N sessions, 1,000 of them in turn, durability "${durability}"`,
    metric: "p50",
    columns: COLUMNS,
    lanes: large.map((size) => ours(size, busy(1000, countOf(durability), { durability }))),
  });
  const peers = STORING.map(([id, peer]) =>
    lane(id, peer, `N = ${grouped(n.crowd)}`, {
      ...busy(100, n.storeOff, { form: "state" }),
      dir: peerStores[id],
      size: n.crowd,
    }),
  );
  return [
    hundredBusy("always", "write+sync", []),
    hundredBusy("off", "write", peers),
    thousandBusy("always"),
    thousandBusy("off"),
    {
      // An index that is written now and then is met or missed by a short run; this one is longer, to show its share.
      id: "bytes",
      rounds: n.slowRounds,
      title: `Bytes written for ${grouped(n.bytes)} messages in a store of N sessions, 1,000 of them in turn, durability "off"`,
      metric: "bytesPerMessage",
      columns: ["bytes", "disk", "withClose", "close", "stall", "memory"],
      lanes: large.map((size) => ours(size, busy(1000, n.bytes, { durability: "off" }))),
    },
    {
      id: "open",
      title: "Open a store of N sessions: construct and read one record, then list 50",
      metric: "ms",
      columns: ["ms", "list", "stall", "memory"],
      lanes: n.sizes.map((size) => ours(size, { scenario: "open" })),
    },
  ];
}
