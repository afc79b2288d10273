import type { Slots } from "./slots.js";

/** The place of one sub-agent among those that are at work at once: taken, lent to others while it waits, and given back. */
export class WorkPlace {
  readonly #slots: Slots;
  readonly #stopped: AbortSignal;
  #isWorking = false;
  #isTaken = false;
  #waits = 0;
  /** A second place must not be asked for: no one but this turn would ever give it back, and it waits for it. */
  #taking: Promise<void> | undefined;

  constructor(slots: Slots, stopped: AbortSignal) {
    this.#slots = slots;
    this.#stopped = stopped;
  }

  /** Waits for a place. `false` when the signal aborted first. */
  async take(signal: AbortSignal): Promise<boolean> {
    this.#isTaken = await this.#slots.take(signal);
    this.#isWorking = this.#isTaken;
    return this.#isTaken;
  }

  leave(): void {
    this.#isWorking = false;
    this.#free();
  }

  async whileWaiting<T>(work: Promise<T>): Promise<T> {
    this.#waits += 1;
    this.#free();
    try {
      return await work;
    } finally {
      this.#waits -= 1;
      await this.#takeAgain();
    }
  }

  // A tool may outlive the turn that has called it, and nobody would give its place back.
  #isDue(): boolean {
    return this.#isWorking && this.#waits === 0 && !this.#isTaken;
  }

  async #takeAgain(): Promise<void> {
    if (!this.#isDue()) return;
    this.#taking ??= this.#takeOne();
    await this.#taking;
  }

  async #takeOne(): Promise<void> {
    const isMine = await this.#slots.take(this.#stopped);
    this.#taking = undefined;
    if (!isMine) return;
    if (this.#isDue()) this.#isTaken = true;
    else this.#slots.free();
  }

  #free(): void {
    if (this.#isTaken) this.#slots.free();
    this.#isTaken = false;
  }
}
