// The headline rows as an SVG: what each costs beside the raw limit, on a logarithmic scale.
import { machineLine } from "./machine.mjs";
import { duration } from "./report.mjs";

const WIDTH = 880;
const LEFT = 240;
const RIGHT = 150;
const BAR = 14;
const STEP = 21;
const GROUP_GAP = 20;
const TITLE = 26;
const TOP = 92;

const INK = "#1f2328";
const QUIET = "#636c76";
const GRID = "#e4e7eb";
const OURS = "#0b7a5e";
const PEER = "#a9b4c2";
const PAPER = "#fdfdfc";

const GROUPS = [
  { row: "append.always", title: "Append a message, safe from a power cut", ours: ["session"] },
  { row: "append.off", title: "Append a message, not synced", ours: ["session"] },
  { row: "interleaved.always", title: "500 sessions in turn, safe from a power cut", ours: ["session"] },
  { row: "concurrent.always", title: "50 sessions at once, per message, safe from a power cut", ours: ["session-50"] },
  {
    row: "store.always",
    title: "Append in a store of many sessions, safe from a power cut",
    ours: ["ours-100", "ours-10000", "ours-100000"],
    named: true,
  },
  { row: "read.last", ours: ["session"] },
  { row: "read.all", ours: ["session"] },
  { row: "list.50", ours: ["ours"] },
];

/** Lanes of a row as bars: ours, then each peer in the form that costs it least. */
function barsOf(row, { ours, named }) {
  const measured = row.lanes.filter(({ timesRaw, times }) => times > 0 && timesRaw !== undefined);
  const mine = measured.filter(({ id }) => ours.includes(id));
  const peers = new Map();
  for (const lane of measured.filter(({ kind }) => kind === "peer")) {
    const best = peers.get(lane.name);
    if (best === undefined || lane.timesRaw < best.timesRaw) peers.set(lane.name, lane);
  }
  return [...mine, ...peers.values()].map((lane) => ({
    label: named ? lane.label.replace(/^N = (.*)$/, "$1 sessions") : lane.name,
    ours: lane.kind === "ours",
    ratio: lane.timesRaw,
    times: lane.times,
    value: costText(lane.values, row.metric),
  }));
}

function costText(values, metric) {
  return duration(metric === "perSecond" ? 1000 / values.perSecond : values[metric]);
}

export function drawChart({ rows, machine }) {
  const groups = GROUPS.flatMap((group) => {
    const row = rows.find(({ id }) => id === group.row);
    const raw = row?.lanes.find(({ id, times }) => id === row.reference && times > 0);
    if (raw === undefined) return [];
    const bars = barsOf(row, group);
    return bars.length === 0 ? [] : [{ title: group.title ?? row.title, raw: costText(raw.values, row.metric), bars }];
  });
  const ratios = groups.flatMap(({ bars }) => bars.map(({ ratio }) => ratio));
  const low = Math.min(-0.3, ...ratios.map((ratio) => Math.log10(ratio) - 0.05));
  const high = Math.max(1, ...ratios.map((ratio) => Math.log10(ratio)));
  const x = (ratio) => LEFT + ((Math.log10(ratio) - low) / (high - low)) * (WIDTH - LEFT - RIGHT);

  const powers = ticks(low, high);
  const parts = [];
  let y = TOP;
  for (const { title, raw, bars } of groups) {
    parts.push(
      text(24, y + 12, title, { weight: 600 }),
      text(WIDTH - 24, y + 12, `raw ${raw}`, { fill: QUIET, size: 12, anchor: "end" }),
    );
    y += TITLE;
    // The grid stops at each title, so that no line runs through words.
    for (const power of powers) parts.push(gridLine(x(10 ** power), y - 5, y + bars.length * STEP - 2, power === 0));
    for (const bar of bars) {
      const from = Math.min(x(1), x(bar.ratio));
      const length = Math.max(3, Math.abs(x(bar.ratio) - x(1)));
      const fill = bar.ours ? OURS : PEER;
      parts.push(
        text(LEFT - 12, y + 11, bar.label, {
          size: 12.5,
          anchor: "end",
          weight: bar.ours ? 600 : 400,
          fill: bar.ours ? OURS : INK,
        }),
        `<rect x="${round(from)}" y="${y}" width="${round(length)}" height="${BAR}" rx="2" fill="${fill}"/>`,
        text(Math.max(x(1), x(bar.ratio)) + 8, y + 11, `${ratioText(bar.ratio)}  ·  ${bar.value}`, {
          size: 12,
          weight: bar.ours ? 600 : 400,
        }),
      );
      y += STEP;
    }
    y += GROUP_GAP;
  }
  const scale = powers.map((power) => {
    const isRaw = power === 0;
    const style = { size: 11.5, fill: isRaw ? INK : QUIET, anchor: "middle", weight: isRaw ? 600 : 400 };
    return text(x(10 ** power), TOP - 12, isRaw ? "raw" : tickText(power), style);
  });
  const height = y + 50;
  const rounds = groups.flatMap(({ bars }) => bars.map(({ times }) => times));
  const fewest = Math.min(...rounds);
  const most = Math.max(...rounds);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="What openclaw-sessions and its peers cost beside raw file access" font-family="system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif">`,
    `<rect x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="10" fill="${PAPER}" stroke="#d5d9de"/>`,
    text(24, 34, "Cost beside raw file access", { size: 18, weight: 700 }),
    text(
      24,
      55,
      "The same bytes, the same durability, the same run. Logarithmic; further left is cheaper. Each peer in the form that costs it least.",
      {
        size: 12.5,
        fill: QUIET,
      },
    ),
    ...scale,
    ...parts,
    text(24, height - 36, "LangGraph's own setting syncs now and then; it stands with those that never do.", {
      size: 11.5,
      fill: QUIET,
    }),
    text(
      24,
      height - 18,
      `Medians of ${fewest === most ? most : `${fewest} to ${most}`} ${most === 1 ? "round" : "rounds"}. ${machineLine(machine)}`,
      { size: 11.5, fill: QUIET },
    ),
    "</svg>\n",
  ].join("\n");
}

function gridLine(x, from, until, isRaw) {
  const at = round(x);
  return `<line x1="${at}" y1="${from}" x2="${at}" y2="${until}" stroke="${isRaw ? INK : GRID}" stroke-width="1"/>`;
}

function ticks(low, high) {
  const powers = [];
  for (let power = Math.ceil(low); power <= Math.floor(high); power += 1) powers.push(power);
  return powers;
}

function tickText(power) {
  return power < 0 ? `1/${(10 ** -power).toLocaleString("en")}` : `${(10 ** power).toLocaleString("en")}×`;
}

function ratioText(ratio) {
  if (ratio >= 100) return `${Math.round(ratio)}×`;
  return `${ratio >= 10 ? ratio.toFixed(0) : ratio >= 0.1 ? ratio.toFixed(1) : ratio.toPrecision(1)}×`;
}

function text(x, y, content, { size = 13.5, fill = INK, anchor = "start", weight = 400 } = {}) {
  const safe = content.replace(/&/g, "&amp;").replace(/</g, "&lt;");
  return `<text x="${round(x)}" y="${round(y)}" font-size="${size}" font-weight="${weight}" fill="${fill}" text-anchor="${anchor}">${safe}</text>`;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
