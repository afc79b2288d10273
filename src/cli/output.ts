import type { Io } from "./io.js";

/** Whoever read the output has gone, as `head` does when it has enough. */
export class OutputClosedError extends Error {}

const MIN_COLUMNS = 20;

/** Standard output, written piece by piece at the reader's pace. */
export class Output {
  readonly #stream: Io["stdout"];
  readonly #styled: boolean;
  readonly #required: boolean;
  #closed = false;

  /** `required: false` is for a command whose work is worth finishing when nobody reads what it prints. */
  constructor({ stdout, env }: Io, { required = true } = {}) {
    this.#stream = stdout;
    this.#required = required;
    this.#styled = stdout.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
    // Without a listener the event would end the process; the failure itself comes back through the write.
    stdout.on("error", () => {
      this.#closed = true;
    });
  }

  /** The width of the terminal, when it is one that says so: some say 0. */
  get columns(): number | undefined {
    const { isTTY, columns = 0 } = this.#stream;
    return isTTY === true && columns >= MIN_COLUMNS ? columns : undefined;
  }

  dim(text: string): string {
    return this.#styled ? `\u001B[2m${text}\u001B[22m` : text;
  }

  /** @throws OutputClosedError when nobody reads any more. */
  async write(text: string): Promise<void> {
    if (!this.#closed) await this.#send(text);
    if (this.#closed && this.#required) throw new OutputClosedError("Nobody reads the output any more.");
  }

  #send(text: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#stream.write(text, (error) => {
        if (error && !isPipeClosed(error)) return reject(error);
        this.#closed ||= Boolean(error);
        resolve();
      });
    });
  }
}

function isPipeClosed(error: Error): boolean {
  return "code" in error && (error.code === "EPIPE" || error.code === "ERR_STREAM_DESTROYED");
}
