import type { SessionKey } from "../core/key.js";
import { ClosedError } from "../errors.js";
import type { Claim } from "./storage.js";

interface Waiter {
  grant(): void;
  refuse(error: unknown): void;
}

/** Claims within one process: one holder per key, waiters in the order they asked. */
export class Claims {
  readonly #lines = new Map<SessionKey, Waiter[]>();
  readonly #held = new Map<string, { key: SessionKey; lost: AbortController }>();
  readonly #newToken: () => string;
  #closed = false;

  constructor(newToken: () => string) {
    this.#newToken = newToken;
  }

  /** `hold` runs once the claim is granted and gives back what undoes it, such as removing a lock file. */
  async acquire(
    key: SessionKey,
    signal: AbortSignal | undefined,
    hold: (token: string) => Promise<() => Promise<void>> = async () => async () => undefined,
  ): Promise<Claim> {
    await this.#wait(key, signal);
    const token = this.#newToken();
    let undo: () => Promise<void>;
    try {
      undo = await hold(token);
    } catch (error) {
      this.#next(key);
      throw error;
    }
    const lost = new AbortController();
    let released: Promise<void> | undefined;
    const release = (): Promise<void> => {
      released ??= (async () => {
        this.#held.delete(token);
        try {
          await undo();
        } finally {
          this.#next(key);
        }
      })();
      return released;
    };
    if (this.#closed) {
      await release();
      throw closedWhile(key);
    }
    this.#held.set(token, { key, lost });
    return { token, signal: lost.signal, release, [Symbol.asyncDispose]: release };
  }

  holds(claim: Claim, key: SessionKey): boolean {
    return this.#held.get(claim.token)?.key === key;
  }

  /** Refuses those who wait and tells the holders that they hold nothing any more. */
  close(): void {
    this.#closed = true;
    const waiters = [...this.#lines.values()].flatMap((line) => line.slice(1));
    for (const { key, lost } of this.#held.values()) lost.abort(closedWhile(key));
    this.#held.clear();
    for (const waiter of waiters) waiter.refuse(closedWhile());
  }

  async #wait(key: SessionKey, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) throw closedWhile(key);
    signal?.throwIfAborted();
    const line = this.#lines.get(key) ?? [];
    this.#lines.set(key, line);
    const first = line.length === 0;
    let onAbort: (() => void) | undefined;
    try {
      await new Promise<void>((grant, refuse) => {
        const waiter = { grant, refuse };
        line.push(waiter);
        onAbort = () => {
          const place = line.indexOf(waiter);
          // The head has been granted the claim already; taken out of the line, it would hold it beside the next one.
          if (place < 1) return;
          line.splice(place, 1);
          refuse(signal?.reason);
        };
        if (first) grant();
        else signal?.addEventListener("abort", onAbort, { once: true });
      });
    } finally {
      if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
    }
  }

  // The head of a line is the holder.
  #next(key: SessionKey): void {
    const line = this.#lines.get(key);
    line?.shift();
    const next = line?.[0];
    if (next === undefined) this.#lines.delete(key);
    else next.grant();
  }
}

function closedWhile(key?: SessionKey): ClosedError {
  return new ClosedError("The storage was closed.", { operation: "storage.claim", key });
}
