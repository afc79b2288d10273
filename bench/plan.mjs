// Which rows there are and how large. A row is one question; its lanes are asked it in turn, round by round.
import { join } from "node:path";
import { appendRows } from "./rows/append.mjs";
import { contextRows } from "./rows/context.mjs";
import { manyRows } from "./rows/many.mjs";
import { listRows, readRows } from "./rows/reading.mjs";
import { startRows } from "./rows/start.mjs";
import { storeRows } from "./rows/stores.mjs";
import { OURS, STORING } from "./who.mjs";

const FULL = {
  rounds: 5,
  // Rows whose every measurement takes seconds.
  slowRounds: 3,
  startRounds: 10,
  warm: 2500,
  always: 1500,
  off: 3000,
  growing: 200,
  manyAlways: 1000,
  manyOff: 4000,
  flight: 4000,
  storeAlways: 800,
  storeOff: 6000,
  bytes: 40_000,
  long: 50_000,
  // How many sessions there are where peers have as many.
  crowd: 10_000,
  sizes: [100, 1000, 10_000, 100_000],
  // Messages of a session that was compacted.
  histories: [1000, 10_000, 100_000],
  assessed: 100,
};

const QUICK = {
  ...FULL,
  rounds: 1,
  slowRounds: 1,
  startRounds: 2,
  warm: 500,
  always: 250,
  off: 1000,
  growing: 50,
  manyAlways: 300,
  manyOff: 1000,
  flight: 1000,
  storeAlways: 250,
  storeOff: 1500,
  bytes: 5000,
  long: 20_000,
  crowd: 1000,
  sizes: [100, 1000],
  histories: [1000, 10_000],
  assessed: 30,
};

const STORE_LIMIT_MS = 100_000;

export function plan({ quick, dir }) {
  const n = quick ? QUICK : FULL;
  const made = new Map();
  // A directory that is prepared once and used by every lane that names it.
  const prepared = (id, contender, what, of, withs = {}) => {
    const place = join(dir, "made", id);
    made.set(place, { id, contender, job: { scenario: "make", what, of, with: withs, dir: place } });
    return place;
  };
  const stores = new Map(
    n.sizes.map((size) => [
      size,
      prepared(`ours-${size}`, OURS, "prepareStore", { count: size, limitMs: STORE_LIMIT_MS }),
    ]),
  );
  const peerStores = Object.fromEntries(
    STORING.map(([id, peer]) => [id, prepared(`${id}-crowd`, peer, "prepareStore", { count: n.crowd })]),
  );
  const context = { n, prepared, stores, peerStores };
  return {
    rows: [
      ...appendRows(context),
      ...manyRows(context),
      ...storeRows(context),
      ...readRows(context),
      ...listRows(context),
      ...startRows(context),
      ...contextRows(context),
    ],
    made,
    rounds: n.rounds,
  };
}
