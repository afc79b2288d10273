import { brokenClaims } from "./broken-claims.js";
import { brokenClosing } from "./broken-closing.js";
import { brokenSessions } from "./broken-sessions.js";
import type { BrokenStorage } from "./broken-storage.js";
import { brokenTranscripts } from "./broken-transcripts.js";
import { brokenUpdates } from "./broken-updates.js";

/** Storages with one defect each, for every clause there is. */
export const brokenStorages: readonly BrokenStorage[] = [
  ...[brokenUpdates, brokenSessions, brokenTranscripts, brokenClosing, brokenClaims],
].flat();
