// From what each round measured to one figure per lane.
import { median } from "./measure.mjs";

/** More is better for these; for every other figure less is. */
const RATES = new Set(["perSecond"]);

export function summarise({ machine, peers, rows, outcomes, making }) {
  return {
    machine,
    peers,
    making,
    rows: rows.map(({ id, title, metric, columns, reference, lanes }) => ({
      id,
      title,
      metric,
      columns,
      reference,
      lanes: withRatios(
        lanes.map((lane) => summariseLane(lane, outcomes.get(`${id}/${lane.id}`))),
        { metric, reference },
      ),
    })),
  };
}

function summariseLane({ id, contender, label, judged = true }, outcome = { rounds: [] }) {
  const rounds = outcome.rounds ?? [];
  const known = rounds.filter((round) => round !== undefined);
  const names = new Set(known.flatMap((round) => Object.keys(round)));
  const values = {};
  for (const name of names) {
    const figures = known.map((round) => round[name]).filter((figure) => typeof figure === "number");
    if (figures.length > 0) values[name] = median(figures);
  }
  const note = known.find((round) => round.note !== undefined)?.note;
  return {
    id,
    name: contender.name,
    kind: contender.kind,
    label,
    judged,
    times: known.length,
    ...(outcome.skipped === undefined ? {} : { skipped: outcome.skipped }),
    ...(outcome.error === undefined ? {} : { error: outcome.error }),
    ...(note === undefined ? {} : { note }),
    values,
    // By number of round: a lane that missed one must not be compared with another's.
    rounds: Array.from(rounds, (round) => round ?? null),
  };
}

function withRatios(lanes, { metric, reference }) {
  const raw = lanes.find(({ id }) => id === reference);
  if (raw === undefined) return lanes;
  return lanes.map((lane) => ({ ...lane, timesRaw: costRatio(lane, raw, metric) }));
}

/** How much more `a` costs than `b`: the median over the rounds both were in. */
export function costRatio(a, b, metric) {
  const ratios = a.rounds.map((round, index) => {
    const mine = round?.[metric];
    const other = b.rounds[index]?.[metric];
    if (typeof mine !== "number" || typeof other !== "number") return undefined;
    return RATES.has(metric) ? other / mine : mine / other;
  });
  return median(ratios);
}

/** How much later `a` is than `b` in ms: the median over the rounds both were in. */
export function lateness(a, b, metric) {
  return median(
    a.rounds.map((round, index) => {
      const mine = round?.[metric];
      const other = b.rounds[index]?.[metric];
      return typeof mine === "number" && typeof other === "number" ? mine - other : undefined;
    }),
  );
}
