/** Runs tasks of the same name one after the other, in the order they came, and tasks of different names in parallel. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<unknown>>();

  run<T>(name: string, task: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(name);
    const result = before === undefined ? task() : before.then(task);
    // The tail only says "done"; whoever called gets the failure itself.
    const done = () => {
      if (this.#tails.get(name) === tail) this.#tails.delete(name);
    };
    const tail = result.then(done, done);
    this.#tails.set(name, tail);
    return result;
  }
}
