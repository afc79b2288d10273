import type { SessionKey } from "../../core/key.js";
import type { Clock } from "../hooks.js";

const MINUTE_MS = 60_000;

/** How often each session has sent in the last minute. */
export class SendRate {
  readonly #sent = new Map<SessionKey, number[]>();
  readonly #clock: Clock;
  readonly #limit: number;

  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Counts one, unless that is more than a session may send in a minute. */
  count(key: SessionKey): boolean {
    const now = this.#clock.now();
    const since = now - MINUTE_MS;
    for (const [sender, times] of this.#sent) if ((times.at(-1) ?? 0) <= since) this.#sent.delete(sender);
    const recent = (this.#sent.get(key) ?? []).filter((time) => time > since);
    if (recent.length >= this.#limit) return false;
    this.#sent.set(key, [...recent, now]);
    return true;
  }
}
