import type { SessionKey } from "../../src/core.js";
import { type Claim, MemoryStorage } from "../../src/index.js";
import { type BrokenStorage, broken, changedClaim } from "./broken-storage.js";

type ClaimCall = Parameters<MemoryStorage["claim"]>;
type Update = Parameters<MemoryStorage["update"]>;

/** Storages that are wrong about claims. */
export const brokenClaims: readonly BrokenStorage[] = [
  broken(
    "S18",
    "whoever asks for a claim gets it",
    class extends MemoryStorage {
      override async claim(...[key, options]: ClaimCall) {
        const own = await super.claim(`${key}:${Math.random()}` as SessionKey, options);
        return changedClaim(own, {});
      }
      override async update(...[key, updater]: Update) {
        return super.update(key, updater);
      }
    },
  ),
  broken(
    "S18",
    "the last who asked is served first",
    class extends MemoryStorage {
      readonly #waiting: (() => void)[] = [];
      #held = false;
      override async claim(...[key, options]: ClaimCall) {
        if (options?.signal !== undefined) return super.claim(key, options);
        if (this.#held) await new Promise<void>((go) => this.#waiting.push(go));
        this.#held = true;
        const claim = await super.claim(key);
        return changedClaim(claim, {
          release: async () => {
            await claim.release();
            this.#held = this.#waiting.length > 0;
            this.#waiting.pop()?.();
          },
        });
      }
    },
  ),
  broken(
    "S18",
    "one claim is held for all keys",
    class extends MemoryStorage {
      override async claim(...[, options]: ClaimCall) {
        return super.claim("agent:main:main" as SessionKey, options);
      }
    },
    { silent: true },
  ),
  broken(
    "S18",
    "all claims of a key have one token",
    class extends MemoryStorage {
      readonly #given = new WeakMap<Claim, Claim>();
      override async claim(...[key, options]: ClaimCall) {
        const claim = await super.claim(key, options);
        const given = changedClaim(claim, { token: key });
        this.#given.set(given, claim);
        return given;
      }
      override async update(...[key, updater, { claim } = {}]: Update) {
        return super.update(key, updater, { claim: claim && (this.#given.get(claim) ?? claim) });
      }
    },
  ),
  broken(
    "S18",
    "the signal of a wait is not listened to",
    class extends MemoryStorage {
      override async claim(...[key]: ClaimCall) {
        return super.claim(key);
      }
    },
  ),
  broken(
    "S18",
    "a waiter gives up with an error of the storage's own",
    class extends MemoryStorage {
      override async claim(...[key, options]: ClaimCall) {
        return super.claim(key, options).catch((error: unknown) => {
          if (options?.signal?.aborted) throw new Error("The wait was aborted.");
          throw error;
        });
      }
    },
  ),
  broken(
    "S18",
    "a signal that had aborted before is not looked at",
    class extends MemoryStorage {
      override async claim(...[key, options]: ClaimCall) {
        return super.claim(key, options?.signal?.aborted ? {} : options);
      }
    },
  ),
  broken(
    "S18",
    "the signal of a wait ends the claim that was granted",
    class extends MemoryStorage {
      override async claim(...[key, options]: ClaimCall) {
        const claim = await super.claim(key, options);
        options?.signal?.addEventListener("abort", () => void claim.release());
        return claim;
      }
    },
  ),
  broken(
    "S18",
    "a claim that was released again lets another in",
    class extends MemoryStorage {
      readonly #held = new Map<SessionKey, Claim[]>();
      override async claim(...[key, options]: ClaimCall) {
        const claim = await super.claim(key, options);
        const held = [...(this.#held.get(key) ?? []), claim];
        this.#held.set(key, held);
        return changedClaim(claim, {
          release: async () => {
            await held[0]?.release();
            await this.#held.get(key)?.at(-1)?.release();
          },
        });
      }
    },
  ),
  broken(
    "S18",
    "leaving a block does not release",
    class extends MemoryStorage {
      override async claim(...[key, options]: ClaimCall) {
        const claim = await super.claim(key, options);
        return { ...claim, [Symbol.asyncDispose]: async () => undefined };
      }
    },
    { silent: true },
  ),
  broken(
    "S19",
    "a claim is taken from a holder that was busy for a while",
    class extends MemoryStorage {
      override async claim(...[key, options]: ClaimCall) {
        const claim = await super.claim(key, options);
        const lease = setTimeout(() => void claim.release(), 60);
        return changedClaim(claim, {
          release: () => {
            clearTimeout(lease);
            return claim.release();
          },
        });
      }
    },
  ),
  broken(
    "S20",
    "an update does not look at its claim",
    class extends MemoryStorage {
      override async update(...[key, updater]: Update) {
        return super.update(key, updater);
      }
    },
  ),
  broken(
    "S20",
    "an update takes the claim of any session",
    class extends MemoryStorage {
      readonly #released = new Set<string>();
      readonly #granted = new Set<string>();
      override async claim(...[key, options]: ClaimCall) {
        const claim = await super.claim(key, options);
        this.#granted.add(claim.token);
        return changedClaim(claim, {
          release: () => {
            this.#released.add(claim.token);
            return claim.release();
          },
        });
      }
      override async update(...[key, updater, { claim } = {}]: Update) {
        const held = claim && this.#granted.has(claim.token) && !this.#released.has(claim.token);
        return super.update(key, updater, held ? {} : { claim });
      }
    },
  ),
  broken(
    "S20",
    "a released claim is good until another holds it",
    class extends MemoryStorage {
      readonly #last = new Map<SessionKey, string>();
      override async claim(...[key, options]: ClaimCall) {
        const claim = await super.claim(key, options);
        this.#last.set(key, claim.token);
        return claim;
      }
      override async update(...[key, updater, { claim } = {}]: Update) {
        return super.update(key, updater, claim && this.#last.get(key) === claim.token ? {} : { claim });
      }
    },
  ),
  broken(
    "S20",
    "an update with a lost claim is passed over in silence",
    class extends MemoryStorage {
      override async update(...[key, updater, options]: Update) {
        return super.update(key, updater, options).catch((error: { code?: string }) => {
          if (error.code !== "CLAIM_LOST") throw error;
          return super.read(key);
        });
      }
    },
  ),
  broken(
    "S20",
    "an update waits for the claim of its session",
    class extends MemoryStorage {
      override async update(...[key, updater, options = {}]: Update) {
        if (options.claim !== undefined) return super.update(key, updater, options);
        const claim = await super.claim(key);
        try {
          return await super.update(key, updater);
        } finally {
          await claim.release();
        }
      }
    },
    { silent: true },
  ),
  broken(
    "S20",
    "a delete ends the claim of its session",
    class extends MemoryStorage {
      readonly #claims = new Map<SessionKey, AbortController>();
      override async claim(...[key, options]: ClaimCall) {
        const claim = await super.claim(key, options);
        const lost = new AbortController();
        claim.signal.addEventListener("abort", () => lost.abort(claim.signal.reason));
        this.#claims.set(key, lost);
        return changedClaim(claim, { signal: lost.signal });
      }
      override async delete(key: SessionKey) {
        this.#claims.get(key)?.abort(new Error("The session was deleted."));
        return super.delete(key);
      }
    },
  ),
];
