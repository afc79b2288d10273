import type { SessionKey } from "../core/key.js";
import type { Claim } from "../storage/storage.js";
import { codeOf } from "./error-code.js";
import type { Shell } from "./shell.js";

const ATTEMPTS = 3;

/**
 * Lets go of a claim, behind what was done under it: a storage that cannot do it at once must not turn what is stored and sent into a
 * failure, nor keep the session from whoever comes next.
 */
export async function letGo({ logger }: Pick<Shell, "logger">, key: SessionKey, claim: Claim): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await claim.release();
    } catch (error) {
      if (attempt < ATTEMPTS) continue;
      return logger.error({ key, code: codeOf(error) }, "the claim of a session could not be released");
    }
  }
}
