// The targets, and whether what was measured meets them.
import { costRatio, lateness } from "./summary.mjs";

const times = (value) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)}x`;
const ms = (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

export function judge({ rows }) {
  const verdicts = [];
  const find = (rowId, laneId) =>
    rows.find(({ id }) => id === rowId)?.lanes.find(({ id, times: measured }) => id === laneId && measured > 0);
  const say = (row, lane, target, value, limit, format, worse = (a, b) => a > b) => {
    if (!rows.some(({ id }) => id === row)) return;
    verdicts.push({
      row,
      lane,
      target,
      measured: value === undefined ? "not measured" : format(value),
      verdict: value === undefined ? "-" : worse(value, limit) ? "MISS" : "PASS",
    });
  };
  const ratio = (row, lane, other, metric) => {
    const [a, b] = [find(row, lane), find(row, other)];
    return a && b && costRatio(a, b, metric);
  };

  for (const face of ["session", "storage"]) {
    say(
      "append.always",
      face,
      "at most 1.3x raw append + fdatasync",
      ratio("append.always", face, "raw-write+sync", "p50"),
      1.3,
      times,
    );
    say(
      "append.off",
      face,
      "at most 2x a raw write to an open handle",
      ratio("append.off", face, "raw-write", "p50"),
      2,
      times,
    );
  }
  say(
    "concurrent.always",
    "session-50",
    "50 sessions at once at least 5x the throughput of one at a time",
    ratio("concurrent.always", "session-1", "session-50", "perSecond"),
    5,
    times,
    (a, b) => a < b,
  );
  say(
    "store.always",
    "ours-100000",
    "a message at 100,000 sessions at most 1.2x one at 100",
    ratio("store.always", "ours-100000", "ours-100", "p50"),
    1.2,
    times,
  );
  for (const [size, limit] of [
    [1000, 2.5],
    [100_000, 5],
  ]) {
    const values = find("bytes", `ours-${size}`)?.values;
    say(
      "bytes",
      `ours-${size}`,
      `bytes written per message at most ${limit}x its line at ${size.toLocaleString("en")}`,
      values?.bytesPerMessage === undefined ? undefined : values.bytesPerMessage / values.lineBytes,
      limit,
      times,
    );
  }
  for (const [row, metric] of [
    ["store.always", "stallMs"],
    ["store.off", "stallMs"],
    ["wide.always", "stallMs"],
    ["wide.off", "stallMs"],
    ["store.off", "closeStallMs"],
    ["bytes", "stallMs"],
    ["open", "stallMs"],
  ])
    say(
      row,
      "ours-100000",
      `no event-loop stall over 50 ms at 100,000 (median of the rounds)${{ closeStallMs: ", closing" }[metric] ?? (row === "open" ? ", opening" : "")}`,
      find(row, "ours-100000")?.values[metric],
      50,
      ms,
    );
  const [mine, raw] = [find("read.last", "session"), find("read.last", "raw")];
  say("read.last", "session", "at most 2 ms over the raw tail read", mine && raw && lateness(mine, raw, "ms"), 2, ms);
  say("read.all", "session", "at most 2x raw read + JSON.parse", ratio("read.all", "session", "raw", "ms"), 2, times);
  say(
    "context.build",
    "ours-100000",
    "a context of 100,000 messages at most 1.5x one of 1,000: it costs the window, not the history",
    ratio("context.build", "ours-100000", "ours-1000", "warmMs"),
    1.5,
    times,
  );
  say(
    "context.assess",
    "session",
    "a whole turn with one new message in less time than counting the window anew",
    ratio("context.assess", "session", "tiktoken", "p50"),
    1,
    times,
  );
  for (const lane of ["letters", "blanks", "base64"])
    say(
      "context.long",
      lane,
      "no event-loop stall over 50 ms while a turn counts a million characters",
      find("context.long", lane)?.values.stallMs,
      50,
      ms,
    );
  return [...verdicts, ...againstPeers(rows)];
}

// "No peer ahead in any row": beside the face a host uses. Loading is a row too.
const OURS_IN = {
  "concurrent.always": "session-50",
  "list.50": "ours",
  "list.all": "ours",
  start: "ours",
  "context.build": "ours-100000",
};

const METRIC_NAMES = {
  p50: "p50",
  perSecond: "messages per second",
  ms: "time",
  warmMs: "time once warm",
  importMs: "import time",
};

function againstPeers(rows) {
  const verdicts = [];
  for (const { id: row, metric, lanes } of rows) {
    const others = lanes.filter((lane) => lane.kind === "peer" && lane.judged && lane.times > 0);
    // In a row of stores, ours of the same size.
    const ours =
      lanes.find(({ id }) => id === (OURS_IN[row] ?? "session")) ??
      lanes.find(({ kind, label }) => kind === "ours" && label === others[0]?.label);
    if (ours === undefined || ours.times === 0) continue;
    const metrics = metric === "p50" ? ["p50", "perSecond"] : [metric];
    for (const peer of others) {
      for (const by of metrics) {
        const value = costRatio(ours, peer, by);
        if (value === undefined) continue;
        verdicts.push({
          row,
          lane: peer.id,
          target: `not behind ${peer.name} (${peer.label}), by ${METRIC_NAMES[by]}`,
          measured: value <= 1 ? `${times(1 / value)} ahead` : `${times(value)} behind`,
          verdict: value > 1 ? "MISS" : "PASS",
        });
      }
    }
  }
  return verdicts;
}
