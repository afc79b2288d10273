import { anySignal } from "./any-signal.js";

// One for all: an abort without a reason makes an error with a stack, which takes longer than the rest of what a tool is.
const OVER = new Error("It is over.");

/**
 * How long something may be used. Made for every turn and asked in few, so that nothing is made before it is asked for.
 */
export class Lifespan {
  readonly #within: AbortSignal;
  #ended: AbortController | undefined;
  #signal: AbortSignal | undefined;
  #isOver = false;

  /** It ends with `within`, if not before. */
  constructor(within: AbortSignal) {
    this.#within = within;
  }

  get isOver(): boolean {
    return this.#isOver || this.#within.aborted;
  }

  /** Aborts at its end. */
  get signal(): AbortSignal {
    if (this.#signal === undefined) {
      this.#ended = new AbortController();
      if (this.#isOver) this.#ended.abort(OVER);
      this.#signal = anySignal(this.#within, this.#ended.signal);
    }
    return this.#signal;
  }

  end(): void {
    this.#isOver = true;
    this.#ended?.abort(OVER);
  }
}
