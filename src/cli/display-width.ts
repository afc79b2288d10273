const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303F\uFF01-\uFF60]/u;
const WITHOUT_WIDTH = /[\p{Mn}\p{Me}\p{Cf}]/u;
const PLAIN = /^[\x20-\x7E]*$/;

/** The columns a text takes on a terminal, near enough to align a table and to break a line before the terminal does. */
export function displayWidth(text: string): number {
  if (PLAIN.test(text)) return text.length;
  let width = 0;
  for (const char of text) width += WITHOUT_WIDTH.test(char) ? 0 : WIDE.test(char) ? 2 : 1;
  return width;
}

/** What sets every line but the first of something apart from the next thing, which begins at the margin. */
export const INDENT = "  ";

/**
 * A line as it fits a terminal, what does not fit indented below it: a terminal that breaks it by itself begins at the margin.
 * Without `columns`, where no terminal is, the line as it is.
 */
export function foldLine(line: string, columns: number | undefined): string[] {
  if (columns === undefined) return [line];
  const room = Math.max(columns, 2 * INDENT.length);
  const lines: string[] = [];
  let current = "";
  let width = 0;
  for (const char of line.replaceAll("\t", "    ")) {
    const more = displayWidth(char);
    if (width + more > room) {
      lines.push(current);
      current = INDENT;
      width = INDENT.length;
    }
    current += char;
    width += more;
  }
  return [...lines, current];
}
