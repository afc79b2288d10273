/**
 * Conversations for chat bots and LLM agents. Start at {@link SessionManager}.
 *
 * @module
 */
export * from "./core.js";
export type { CompactionFault, CompactionOutcome, SummaryFault } from "./session/compaction/compaction-outcome.js";
export { loadConfig } from "./session/config-file.js";
export type {
  AccessEvent,
  CompactionEvent,
  Listener,
  SessionEvent,
  SessionEventName,
  SessionEvents,
  SubagentEvent,
  TurnEvent,
} from "./session/events.js";
export type {
  Authorize,
  ChannelHooks,
  Clock,
  Delivery,
  GenerateRequest,
  GenerateResult,
  Logger,
  ProviderHooks,
} from "./session/hooks.js";
export type { InterruptedTurn } from "./session/interrupted.js";
export { SessionManager } from "./session/manager.js";
export type { SessionManagerOptions } from "./session/manager-options.js";
export { NO_REPLY, type TurnOutcome } from "./session/outcome.js";
export { RecoveryError, type RecoveryFailure } from "./session/recovery.js";
export { REPLY_SKIP, type RunReport } from "./session/runs/run-report.js";
export type { Subagent } from "./session/runs/subagents.js";
export type { AppendedMessage, HistoryRange, Session, SettingsPatch } from "./session/session.js";
export { sessionTools } from "./session/session-tools.js";
export type { SessionStatus } from "./session/status.js";
export type { JsonObject, SessionTool } from "./session/tool.js";
export type { SessionQuery } from "./session/visible-sessions.js";
export { type CheckedChange, decideChange } from "./storage/change.js";
export { Claims, type Hold } from "./storage/claims.js";
export type { Durability } from "./storage/jsonl/durability.js";
export { JsonlStorage, type JsonlStorageOptions } from "./storage/jsonl/jsonl-storage.js";
export { selectRecords } from "./storage/list-query.js";
export { MemoryStorage } from "./storage/memory.js";
export type { OnReport, StorageReport } from "./storage/report.js";
export { selectEntries } from "./storage/select-entries.js";
export type { Change, Claim, EntryRange, ListQuery, SessionStorage, Updater } from "./storage/storage.js";
export { loadTokenCounter, type TokenCounter } from "./tokens/tiktoken.js";
