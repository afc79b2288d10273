import { printableLine } from "../printable.js";

/** What somebody said, safe to show and with its further lines indented. Pieces of a text give the pieces of the whole. */
export function spoken(text: string): string {
  return text.replaceAll("\r", "").replaceAll("\t", "  ").split("\n").map(printableLine).join("\n  ");
}
