import { clearScreenDown, cursorTo, type Interface, moveCursor } from "node:readline";
import type { Writable } from "node:stream";

const INDENT = "  ";
const MIN_COLUMNS = 20;

/**
 * A terminal on which text can come in while a line is being typed: output goes above the prompt, and the prompt with what
 * stands in it is drawn again below.
 */
export class TerminalScreen {
  readonly #out: Writable & { readonly columns?: number };
  readonly #prompt: Interface;
  // The unfinished last line of output, never wider than the terminal, so that it always takes one row.
  #tail = "";
  #breaks = 0;
  #closed = false;

  constructor(out: Writable & { readonly columns?: number }, prompt: Interface) {
    this.#out = out;
    this.#prompt = prompt;
  }

  /** How often something else has come between: text written after that does not continue what was written before. */
  get breaks(): number {
    return this.#breaks;
  }

  /** Writes text that goes on where the last one ended, wrapped between words. */
  write(text: string): void {
    this.#draw(text);
  }

  /** Writes lines of their own. */
  line(text: string): void {
    this.#breaks += 1;
    this.#draw(`${this.#tail === "" ? "" : "\n"}${text}\n`, false);
  }

  /** To be told when a line has been typed: the cursor stands below it now, and below what was being written. */
  entered(): void {
    this.#breaks += 1;
    this.#tail = "";
  }

  /** Shows the prompt, with what has been typed into it. */
  prompt(text: string): void {
    this.#prompt.setPrompt(text);
    if (!this.#closed) this.#prompt.prompt(true);
  }

  /** No prompt any more; what is still written follows below. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#tail = "";
    this.#out.write("\n");
  }

  #draw(text: string, wrapped = true): void {
    if (this.#closed) {
      this.#out.write(text);
      return;
    }
    const { rows } = this.#prompt.getCursorPos();
    moveCursor(this.#out, 0, -(rows + (this.#tail === "" ? 0 : 1)));
    cursorTo(this.#out, 0);
    clearScreenDown(this.#out);
    const columns = Math.max(MIN_COLUMNS, this.#out.columns || 80) - 1;
    const drawn = wrapped ? wrap(this.#tail, text, columns) : this.#tail + text;
    this.#tail = drawn.slice(drawn.lastIndexOf("\n") + 1);
    // Drawing the prompt goes up by the rows it had before, so they must be there.
    this.#out.write(drawn + (this.#tail === "" ? "" : "\n") + "\n".repeat(rows));
    this.#prompt.prompt(true);
  }
}

function wrap(begun: string, text: string, columns: number): string {
  const rows = [begun];
  for (const piece of text.match(/\n|[^\S\n]*\S+|[^\S\n]+/g) ?? []) {
    if (piece === "\n") rows.push("");
    else append(rows, piece, columns);
  }
  return rows.join("\n");
}

function append(rows: string[], piece: string, columns: number): void {
  const row = rows.pop() ?? "";
  if (width(row + piece) <= columns) {
    rows.push(row + piece);
    return;
  }
  if (row.trim() !== "") rows.push(row);
  let rest = INDENT;
  for (const character of piece.trimStart()) {
    if (width(rest + character) > columns) {
      rows.push(rest);
      rest = INDENT;
    }
    rest += character;
  }
  rows.push(rest);
}

// Too wide a guess wraps early; too narrow a one would draw over the line above. So whatever may take two columns counts two.
function width(text: string): number {
  let columns = 0;
  for (const character of text) columns += (character.codePointAt(0) as number) < 0x300 ? 1 : 2;
  return columns;
}
