// What came of it, as a table, and whether nothing was found that must not be.

const pair = (made, fewest) => `${made}/${fewest}`;

const COLUMNS = [
  ["conversation", ({ scenario }) => scenario.id],
  ["turns", ({ turns }) => turns],
  ["answered", ({ ended }) => ended.replied],
  ["too long", ({ ended }) => ended.overflow],
  ["replies/fewest", ({ calls, fewest }) => pair(calls.reply, fewest.reply)],
  ["summaries/fewest", ({ calls, fewest }) => pair(calls.summary, fewest.summary)],
  ["flushes/fewest", ({ calls, fewest }) => pair(calls["memory-flush"], fewest["memory-flush"])],
  ["refused", ({ refused }) => refused.reply + refused.summary + refused["memory-flush"]],
  ["(host's steps)", ({ refused }) => refused.steps],
  ["compacted", ({ compactions }) => compactions.completed],
  ["failed", ({ compactions }) => compactions.failed],
  ["void", ({ compactions }) => compactions.superseded],
  ["reduced", ({ reduced }) => reduced.results + reduced.dropped],
  ["in a row", ({ longestReduced }) => longestReduced],
  ["most calls", ({ mostCallsInATurn }) => mostCallsInATurn],
  ["longest", ({ longestTurnMs }) => `${longestTurnMs} ms`],
  ["stall", ({ stallMs }) => `${stallMs} ms`],
  ["took", ({ seconds }) => `${seconds} s`],
];

/** @returns whether every conversation kept every rule. */
export function printTable(results) {
  const write = (line) => process.stdout.write(`${line}\n`);
  const ended = results.filter(({ calls }) => calls !== undefined);
  const rows = [
    COLUMNS.map(([head]) => head),
    ...ended.map((result) => COLUMNS.map(([, show]) => String(show(result)))),
  ];
  const widths = COLUMNS.map((_, at) => Math.max(...rows.map((row) => row[at].length)));
  write("");
  for (const row of rows)
    write(row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join("  "));
  const sum = (figure) => ended.reduce((total, result) => total + figure(result), 0);
  write(
    `\n${sum(({ turns }) => turns)} turns, ${sum(({ compactions }) => compactions.completed)} compactions. ` +
      "Reduced: prompts from which something was left out, and how many turns in a row. Calls: made/fewest, see minimum.mjs.",
  );
  let isWhole = true;
  for (const { scenario, faults } of results)
    for (const [what, times] of Object.entries(faults)) {
      isWhole = false;
      write(`BROKEN  ${scenario.id}: ${what} (${times}x)`);
    }
  if (isWhole) write("Nothing was lost, told twice, sent unpaired, or left without an end.");
  return isWhole;
}
