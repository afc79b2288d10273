import { parseAddress } from "../core/address.js";
import type { CompiledScopePolicy } from "../core/dm-scope.js";
import type { SessionKey } from "../core/key.js";
import type { SessionRecord } from "../core/record.js";
import type { Events } from "./events.js";

/** Warns, once per session, when a second person reaches the one session of dmScope `main`. */
export class SharedSessions {
  readonly #scope: CompiledScopePolicy;
  readonly #events: Events;
  readonly #warned = new Set<SessionKey>();

  constructor(scope: CompiledScopePolicy, events: Events) {
    this.#scope = scope;
    this.#events = events;
  }

  notice({ key, uuid, sharedBy }: SessionRecord): void {
    if (this.#warned.has(key)) return;
    const people = new Set<string>();
    for (const text of sharedBy) {
      const address = parseAddress(text);
      if (address?.chatType === "dm") people.add(this.#scope.person(address));
    }
    if (people.size < 2) return;
    this.#warned.add(key);
    this.#events.emit("session.shared", { key, uuid });
  }
}
