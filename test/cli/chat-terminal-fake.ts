import { PassThrough, Writable } from "node:stream";
import { onTestFinished } from "vitest";
import { chat } from "../../src/cli/chat.js";

/** A terminal with somebody at it: what it shows, and what is typed into it. */
export interface FakeTerminal {
  type(keys: string): void;
  /** The rows it shows, from the first that was ever written. */
  rows(): string[];
  /** Resolves once the rows fulfil the condition. */
  until(condition: (rows: string[]) => boolean): Promise<void>;
  /** The exit code of the chat. */
  code: Promise<number>;
}

/** Starts a chat at a terminal. */
export function chatAtTerminal(options: { dir: string; columns?: number; env?: Record<string, string> }): FakeTerminal {
  const { dir, columns = 100, env = {} } = options;
  const picture = new Picture(columns);
  const waiting = new Set<() => void>();
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const stdout = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      picture.write(chunk);
      for (const check of waiting) check();
      done();
    },
  });
  const io = {
    stdin,
    stdout: Object.assign(stdout, { isTTY: true, columns }),
    stderr: new Writable({ write: (_chunk, _encoding, done) => done() }),
    env,
    now: Date.now,
  };
  const code = chat(["--dir", dir], io);
  onTestFinished(async () => {
    stdin.end();
    await code;
  });
  return {
    code,
    type: (keys) => void stdin.write(keys),
    rows: () => picture.rows(),
    until: (condition) =>
      new Promise((resolve) => {
        const check = () => {
          if (!condition(picture.rows())) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      }),
  };
}

// A control sequence, or a character.
const TOKENS = new RegExp(`${String.fromCharCode(0x1b)}\\[(\\d*)([A-Z])|[\\s\\S]`, "gu");

/** What a terminal makes of what is written to it: as much of one as the chat and Node's line editor use. */
class Picture {
  readonly #columns: number;
  readonly #rows: string[][] = [[]];
  #row = 0;
  #column = 0;

  constructor(columns: number) {
    this.#columns = columns;
  }

  write(text: string): void {
    for (const [token, parameter, final] of text.matchAll(TOKENS)) {
      if (final !== undefined) this.#control(final, parameter === "" ? undefined : Number(parameter));
      else this.#put(token);
    }
  }

  rows(): string[] {
    return this.#rows.map((row) =>
      Array.from(row, (character) => character ?? " ")
        .join("")
        .trimEnd(),
    );
  }

  #put(character: string): void {
    if (character === "\r") {
      this.#column = 0;
    } else if (character === "\n") {
      this.#down();
    } else {
      if (this.#column === this.#columns) this.#down();
      this.#line()[this.#column] = character;
      this.#column += 1;
    }
  }

  #down(): void {
    this.#row += 1;
    this.#column = 0;
    this.#line();
  }

  #control(final: string, parameter: number | undefined): void {
    switch (final) {
      case "A":
        // Above the first row there is nothing; a real terminal would draw over what is not ours.
        if (this.#row < (parameter ?? 1)) throw new Error("The cursor was moved above the chat.");
        this.#row -= parameter ?? 1;
        return;
      case "B":
        this.#row += parameter ?? 1;
        return;
      case "C":
        this.#column += parameter ?? 1;
        return;
      case "D":
        this.#column -= parameter ?? 1;
        return;
      case "G":
        this.#column = (parameter ?? 1) - 1;
        return;
      case "J":
        this.#line().length = Math.min(this.#line().length, this.#column);
        this.#rows.length = this.#row + 1;
        return;
      case "K":
        this.#line().length = Math.min(this.#line().length, this.#column);
        return;
      default:
        throw new Error(`This terminal has no ${final}.`);
    }
  }

  #line(): string[] {
    while (this.#rows.length <= this.#row) this.#rows.push([]);
    return this.#rows[this.#row] as string[];
  }
}
