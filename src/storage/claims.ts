import type { SessionKey } from "../core/key.js";
import { ClaimLostError, ClosedError } from "../errors.js";
import type { Claim } from "./storage.js";

interface Waiter {
  grant(): void;
  refuse(error: unknown): void;
}

/** What keeps other processes out while a claim is held. */
export interface Hold {
  /** Whether it has not been taken away. Asked before each write under the claim. */
  isHeld(): boolean;
  /** Aborts when it is noticed that it was. */
  readonly lost: AbortSignal;
  release(): Promise<void>;
}

/**
 * Claims within one process: one holder per key, waiters in the order they asked. For the `claim` of a storage of your own;
 * where several processes share its place, `acquire` takes what holds the claim against the others.
 */
export class Claims {
  readonly #lines = new Map<SessionKey, Waiter[]>();
  readonly #held = new Map<string, { key: SessionKey; lost: AbortController; hold: Hold | undefined }>();
  /** Those whose turn it is in this process, and who wait for others. */
  readonly #taking = new Map<AbortController, SessionKey>();
  readonly #newToken: () => string;
  #closed = false;

  /** `newToken` names each holding, such as `randomUUID`. */
  constructor(newToken: () => string) {
    this.#newToken = newToken;
  }

  /**
   * Waits for the claim of a key, until `signal` aborts. `take` runs once it is this one's turn in this process, to wait for
   * other processes and keep them out; its signal aborts when it shall give up.
   */
  async acquire(
    key: SessionKey,
    signal: AbortSignal | undefined,
    take: (token: string, signal: AbortSignal) => Promise<Hold | undefined> = async () => undefined,
  ): Promise<Claim> {
    await this.#wait(key, signal);
    if (this.#closed) {
      this.#next(key);
      throw closedWhile(key);
    }
    const token = this.#newToken();
    const taking = new AbortController();
    const giveUp = () => taking.abort(signal?.reason);
    if (signal?.aborted) giveUp();
    signal?.addEventListener("abort", giveUp, { once: true });
    this.#taking.set(taking, key);
    let hold: Hold | undefined;
    try {
      hold = await take(token, taking.signal);
    } catch (error) {
      this.#next(key);
      throw error;
    } finally {
      this.#taking.delete(taking);
      signal?.removeEventListener("abort", giveUp);
    }
    const lost = new AbortController();
    const onLost = () => lost.abort(lostClaim(key));
    hold?.lost.addEventListener("abort", onLost, { once: true });
    let released: Promise<void> | undefined;
    let isNext = false;
    const letGo = async () => {
      this.#held.delete(token);
      hold?.lost.removeEventListener("abort", onLost);
      try {
        await hold?.release();
      } catch (error) {
        // Others may be kept out still, so that another call tries again.
        released = undefined;
        throw error;
      } finally {
        if (!isNext) this.#next(key);
        isNext = true;
      }
    };
    const release = (): Promise<void> => {
      released ??= letGo();
      return released;
    };
    if (this.#closed) {
      await release();
      throw closedWhile(key);
    }
    this.#held.set(token, { key, lost, hold });
    if (hold?.lost.aborted) onLost();
    return { token, signal: lost.signal, release, [Symbol.asyncDispose]: release };
  }

  /** @throws ClaimLostError when a claim is not this key's, or not held any more. */
  check(claim: Claim, key: SessionKey): void {
    if (!this.holds(claim, key)) throw lostClaim(key);
  }

  /** Whether a claim is held now, and is this key's. */
  holds(claim: Claim, key: SessionKey): boolean {
    const held = this.#held.get(claim.token);
    if (held?.key !== key || held.lost.signal.aborted) return false;
    if (held.hold === undefined || held.hold.isHeld()) return true;
    if (!held.lost.signal.aborted) held.lost.abort(lostClaim(key));
    return false;
  }

  /**
   * Refuses those who wait, tells the holders that they hold nothing any more, and, once what they were writing is `settled`,
   * lets other processes in.
   */
  async close(settled: Promise<unknown> = Promise.resolve()): Promise<void> {
    this.#closed = true;
    const waiters = [...this.#lines.values()].flatMap((line) => line.slice(1));
    const held = [...this.#held.values()];
    this.#held.clear();
    for (const { key, lost } of held) lost.abort(closedWhile(key));
    for (const waiter of waiters) waiter.refuse(closedWhile());
    for (const [taking, key] of this.#taking) taking.abort(closedWhile(key));
    await settled;
    await Promise.all(held.map(({ hold }) => hold?.release()));
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

function lostClaim(key: SessionKey): ClaimLostError {
  return new ClaimLostError("The claim on this session is no longer held, so nothing was written.", {
    operation: "storage.update",
    key,
  });
}

function closedWhile(key?: SessionKey): ClosedError {
  return new ClosedError("The storage was closed.", { operation: "storage.claim", key });
}
