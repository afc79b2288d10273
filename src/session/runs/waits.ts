import type { SessionKey } from "../../core/key.js";

/** Which turns wait for the answer of which session. A circle of them would wait until its time is up. */
export class Waits {
  readonly #targets = new Map<SessionKey, SessionKey[]>();

  /** Waits for `target`, in a turn of `from`. */
  async during<T>(from: SessionKey, target: SessionKey, work: Promise<T>): Promise<T> {
    this.#targets.set(from, [...this.#of(from), target]);
    try {
      return await work;
    } finally {
      const rest = [...this.#of(from)];
      rest.splice(rest.indexOf(target), 1);
      if (rest.length === 0) this.#targets.delete(from);
      else this.#targets.set(from, rest);
    }
  }

  /** Whether a session waits for another, or for one that does. */
  doesWait(from: SessionKey, target: SessionKey): boolean {
    const seen = new Set([from]);
    for (const key of seen) for (const next of this.#of(key)) seen.add(next);
    return from !== target && seen.has(target);
  }

  #of(from: SessionKey): readonly SessionKey[] {
    return this.#targets.get(from) ?? [];
  }
}
