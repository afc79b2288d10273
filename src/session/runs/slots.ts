/** So many may be at work at once; the others wait in the order they came. */
export class Slots {
  readonly #waiting: { start(): void }[] = [];
  #free: number;

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a place. `false` when the signal aborted first. */
  take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false);
    if (this.#free > 0) {
      this.#free -= 1;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const waiter = {
        start: () => {
          signal.removeEventListener("abort", give);
          resolve(true);
        },
      };
      const give = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        resolve(false);
      };
      signal.addEventListener("abort", give, { once: true });
      this.#waiting.push(waiter);
    });
  }

  free(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next.start();
  }
}
