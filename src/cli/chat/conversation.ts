import type { SessionManager } from "../../index.js";
import type { Io } from "../io.js";
import type { GroupAdmins } from "./group-admins.js";

/** What a conversation is held with, at a terminal or through a pipe. */
export interface Conversation {
  manager: SessionManager;
  admins: GroupAdmins;
  io: Io;
  /** Ends the conversation from outside. */
  signal: AbortSignal;
  /** What is to be said first, once there is a place to show it. */
  begin(show: (text: string) => void): Promise<void>;
}
