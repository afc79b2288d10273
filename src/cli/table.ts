import { displayWidth } from "./display-width.js";

// One id of a thousand characters must not push everyone else's columns off the screen.
const MAX_COLUMN_WIDTH = 80;

/** Rows as lines, each column as wide as its widest cell within reason, two spaces between them. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [column, cell] of row.entries())
      widths[column] = Math.max(widths[column] ?? 0, Math.min(displayWidth(cell), MAX_COLUMN_WIDTH));
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell + " ".repeat(Math.max((widths[column] ?? 0) - displayWidth(cell), 0)))
      .join("  ")
      .trimEnd(),
  );
}
