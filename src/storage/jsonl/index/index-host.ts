import type { SessionKey } from "../../../core/key.js";
import type { OnReport } from "../../report.js";
import type { Durability } from "../durability.js";
import type { HandlePool } from "../transcript/handle-pool.js";

/** What an index needs of the storage it belongs to. */
export interface IndexHost {
  /** Names the storage in the journal. */
  token: string;
  /** The system's name for the time since it was started; `null` where it has none. */
  boot: string | null;
  pool: HandlePool;
  report: OnReport;
  readOnly: boolean;
  /** Brings a session's entry up to what its transcript says now. */
  refresh(key: SessionKey): Promise<void>;
  durability: Durability;
  /** Who this process is, for others to see. */
  identity: unknown;
  /** Whether the process that called itself this is gone for certain. */
  isDead(identity: unknown, dir: string): Promise<boolean>;
}
