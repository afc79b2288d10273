// The figures as a table on the terminal.

const COLUMNS = {
  p50: { head: "p50", show: ({ p50 }) => duration(p50) },
  p99: { head: "p99", show: ({ p99 }) => duration(p99) },
  perSecond: { head: "msg/s", show: ({ perSecond }) => whole(perSecond) },
  ms: { head: "time", show: ({ ms }) => duration(ms) },
  first: { head: "first", show: ({ ms }) => duration(ms) },
  open: { head: "open", show: ({ openMs }) => duration(openMs) },
  added: { head: "RSS added", show: ({ addedMegabytes }) => megabytes(addedMegabytes) },
  tokens: { head: "tokens", show: ({ tokens }) => whole(tokens) },
  list: { head: "list 50", show: ({ listMs }) => duration(listMs) },
  warm: { head: "again", show: ({ warmMs }) => duration(warmMs) },
  stall: { head: "stall", show: ({ stallMs }) => duration(stallMs) },
  bytes: {
    head: "written/msg",
    show: ({ bytesPerMessage, lineBytes }) =>
      bytesPerMessage === undefined
        ? "-"
        : `${whole(bytesPerMessage)} B${lineBytes ? ` ${(bytesPerMessage / lineBytes).toFixed(1)}x` : ""}`,
  },
  disk: {
    head: "dirtied/msg",
    show: ({ diskPerMessage }) => (diskPerMessage === undefined ? "-" : `${whole(diskPerMessage)} B`),
  },
  withClose: {
    head: "with close",
    show: ({ bytesPerMessage, closeBytes, count, lineBytes }) =>
      closeBytes === undefined ? "-" : `${((bytesPerMessage + closeBytes / count) / lineBytes).toFixed(1)}x`,
  },
  close: {
    head: "close",
    show: ({ closeMs, closeBytes }) =>
      closeMs === undefined
        ? "-"
        : `${duration(closeMs)}${closeBytes === undefined ? "" : ` ${megabytes(closeBytes / 1e6)}`}`,
  },
  memory: { head: "peak RSS", show: ({ peakMegabytes }) => megabytes(peakMegabytes) },
  import: { head: "import", show: ({ importMs }) => duration(importMs) },
  construct: { head: "construct", show: ({ constructMs }) => duration(constructMs) },
  importMemory: {
    head: "RSS after",
    show: ({ importMegabytes, peakMegabytes }) => megabytes(importMegabytes ?? peakMegabytes),
  },
};

export function printReport({ rows }, verdicts) {
  const write = (line = "") => process.stdout.write(`${line}\n`);
  for (const row of rows) {
    const columns = row.columns.map((name) => COLUMNS[name]);
    const hasRaw = row.lanes.some(({ timesRaw }) => timesRaw !== undefined);
    const table = [
      ["", "", ...columns.map(({ head }) => head), ...(hasRaw ? ["x raw"] : []), "rounds", "verdict"],
      ...row.lanes.map((lane) => {
        const why = lane.skipped ?? lane.error;
        if (lane.times === 0)
          return [lane.name, lane.label, `not measured: ${why === undefined ? "no time left" : short(why)}`];
        return [
          lane.name,
          lane.note === undefined ? lane.label : `${lane.label} [${lane.note}]`,
          ...columns.map(({ show }) => show(lane.values)),
          ...(hasRaw ? [lane.timesRaw === undefined ? "-" : lane.timesRaw.toFixed(2)] : []),
          `${lane.times}${why === undefined ? "" : " (then failed)"}`,
          verdictOf(verdicts, row.id, lane.id),
        ];
      }),
    ];
    write(`\n${row.title}`);
    for (const line of aligned(table)) write(`  ${line}`);
  }
  write("\nTargets");
  const lines = verdicts.map(({ verdict, row, target, measured }) => [verdict, row, target, measured]);
  for (const line of aligned(lines, 4)) write(`  ${line}`);
  const missed = verdicts.filter(({ verdict }) => verdict === "MISS").length;
  const unmeasured = verdicts.filter(({ verdict }) => verdict === "-").length;
  write(`\n${verdicts.length - missed - unmeasured} met, ${missed} missed, ${unmeasured} not measured.`);
}

function verdictOf(verdicts, row, lane) {
  const mine = verdicts.filter((verdict) => verdict.row === row && verdict.lane === lane);
  if (mine.length === 0) return "";
  const worst = ["MISS", "-", "PASS"].find((verdict) => mine.some((one) => one.verdict === verdict));
  return `${worst} ${mine.find(({ verdict }) => verdict === worst).measured}`;
}

// The first two columns are words and stand to the left, figures to the right.
function aligned(table, words = 2) {
  const widths = [];
  for (const cells of table)
    for (const [index, cell] of cells.entries())
      if (cells.length === table[0].length || index < words) widths[index] = Math.max(widths[index] ?? 0, cell.length);
  return table.map((cells) =>
    cells
      .map((cell, index) => {
        if (index < words || index === table[0].length - 1 || cells.length < table[0].length)
          return cell.padEnd(widths[index] ?? 0);
        return cell.padStart(widths[index] ?? 0);
      })
      .join("  ")
      .trimEnd(),
  );
}

function short(text) {
  return text.length > 110 ? `${text.slice(0, 107)}...` : text;
}

export function duration(ms) {
  if (ms === undefined) return "-";
  if (ms < 0.1) return `${(ms * 1000).toFixed(ms < 0.01 ? 1 : 0)} µs`;
  if (ms < 1) return `${ms.toFixed(2)} ms`;
  if (ms < 100) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${ms.toFixed(0)} ms`;
  return `${(ms / 1000).toFixed(2)} s`;
}

function whole(value) {
  return value === undefined ? "-" : Math.round(value).toLocaleString("en");
}

function megabytes(value) {
  return value === undefined ? "-" : `${value < 10 ? value.toFixed(1) : value.toFixed(0)} MB`;
}
