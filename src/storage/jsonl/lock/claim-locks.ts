import { createHash } from "node:crypto";
import { join } from "node:path";
import type { SessionKey } from "../../../core/key.js";
import type { Hold } from "../../claims.js";
import { storageFault } from "../fault.js";
import { type AgentLayout, makePrivateDir } from "../layout.js";
import { OwnerLock } from "./owner-lock.js";

interface Wanted {
  key: SessionKey;
  token: string;
  /** The session's transcript, asked for when the claim is held. */
  uuid(): Promise<string | undefined>;
  signal: AbortSignal | undefined;
}

/**
 * Keeps other processes out of a session while a claim is held, by two names of one holding: one for the key, which is there
 * before the session and stays when it is deleted, and `<uuid>.jsonl.lock`, which is what an operator and other programs see.
 */
export class ClaimLocks {
  readonly #unseen = new Map<string, OwnerLock>();

  async take(layout: AgentLayout, { key, token, uuid, signal }: Wanted): Promise<Hold> {
    const scratch = layout.claims;
    await makePrivateDir(scratch);
    const lock = await OwnerLock.acquire(join(scratch, `${digest(key)}.lock`), { scratch, token, key, signal });
    try {
      // Only now: whoever held the claim before may have made the session.
      const transcript = await uuid();
      if (transcript === undefined) this.#unseen.set(token, lock);
      else await lock.alsoAt(layout.lock(transcript), signal);
    } catch (error) {
      await lock.release();
      throw error;
    }
    return {
      lost: lock.lost,
      isHeld: () => lock.isHeld(),
      release: async () => {
        this.#unseen.delete(token);
        try {
          await lock.release();
        } catch (error) {
          throw storageFault(error, "claim", key);
        }
      },
    };
  }

  /** The session of a claim that was taken before there was one has been made: from now on its lock file shows who holds it. */
  async show(token: string, layout: AgentLayout, uuid: string): Promise<void> {
    const lock = this.#unseen.get(token);
    if (lock === undefined) return;
    this.#unseen.delete(token);
    await lock.alsoAt(layout.lock(uuid));
  }
}

// Not the key itself: no file is named after what someone outside has chosen.
function digest(key: SessionKey): string {
  return createHash("sha256").update(key).digest("hex");
}
