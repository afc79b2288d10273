/**
 * The pure part: values in, values out, with no disk, clock or network.
 *
 * - **agent**: the persona that answers. **channel**, **account**, **peer**, **group**, **topic**: the platform, the bot's
 *   identity on it, the person in a DM, a room, a thread in it.
 * - **address**: where an inbound message came from, before scoping. **dm scope**: how DM addresses share sessions.
 * - **session key**: the stable name of a conversation. **uuid**: names one transcript of a key.
 * - **record**: the small indexed facts of a session. **transcript**, **entry**, **message**: the append-only log, one line
 *   of it, a line the model may see. **state**: per-session settings, folded from entries.
 * - **window**, **context**: the entries still in force, and what the provider gets. **clear**: a barrier that puts the
 *   history out of the window and keeps the state. **turn**: one inbound message until its outcome is recorded.
 *
 * @module
 */
export { ACTIVATION_MODES, type ActivationMode, isActivated } from "./core/activation.js";
export type { Address } from "./core/address.js";
export { COMMANDS, type Command, type CommandName, type CommandRequest, parseCommand } from "./core/command.js";
export {
  type CompactionPlan,
  type CompactionPlanOptions,
  planCompaction,
  planStillApplies,
} from "./core/compaction.js";
export {
  assessCompaction,
  COMPACTION_STRATEGIES,
  type CompactionPolicy,
  type CompactionSettings,
  type CompactionStrategy,
  type CompactionThresholds,
  compactionThresholds,
  DEFAULT_COMPACTION,
  type Summarize,
  type SummarizeRequest,
} from "./core/compaction-policy.js";
export {
  type AgentSettings,
  type AgentSettingsInput,
  agentCompaction,
  type ContextTokens,
  type ModelSetting,
  parseConfig,
  type SessionsConfig,
  type SessionsConfigInput,
} from "./core/config.js";
export { buildContext, type Context, type ContextOptions, type MessageOptions } from "./core/context.js";
export {
  DEFAULT_DM_SCOPE,
  DM_SCOPES,
  type DmScope,
  resolveSessionKey,
  type ScopePolicy,
  THREAD_MODES,
  type ThreadMode,
} from "./core/dm-scope.js";
export {
  type ClearEntry,
  type CommandEntry,
  type CompactionCause,
  type CompactionEntry,
  type DeliveryEntry,
  type EntryBase,
  type FlushAttempt,
  isEntryOf,
  isMessageEntry,
  type MemoryFlushEntry,
  type MessageEntry,
  type Provenance,
  type RunEntry,
  type SpawnDeletedEntry,
  type SpawnEndEntry,
  type SpawnEntry,
  type StateEntry,
  SUBAGENT_ENDS,
  type SubagentEnd,
  type TranscriptEntry,
  type TurnEntry,
  type TypedEntries,
  type UndoEntry,
  type UnknownEntry,
  type UsageEntry,
} from "./core/entry.js";
export { type HeaderEntry, TRANSCRIPT_VERSION } from "./core/header.js";
export { type Cause, type Hop, nextHop } from "./core/hops.js";
export type { IdentityLinks } from "./core/identity-links.js";
export { type InboundMessage, MAX_MESSAGE_BYTES } from "./core/inbound.js";
export {
  formatSessionKey,
  isSessionKey,
  MAX_KEY_BYTES,
  type ParsedSessionKey,
  parseSessionKey,
  type SessionKey,
} from "./core/key.js";
export { type ContentPart, type Message, textOf, type Usage } from "./core/message.js";
export { isContextOverflow, isPayloadTooLarge, type OverflowOptions } from "./core/overflow.js";
export type { OverflowPattern } from "./core/overflow-patterns.js";
export { readEntry } from "./core/read-entry.js";
export { initialRecord, project, type SeenMessage, type SessionRecord } from "./core/record.js";
export type { EndedSubagent, LiveSubagent, WaitingRun } from "./core/runs.js";
export type { SendPolicy, SendRule } from "./core/send-policy.js";
export { canSpawn, type SpawnVerdict, type SpawnWish } from "./core/spawn-policy.js";
export { type JsonValue, MAX_EXTRA_BYTES, type SessionState, type StatePatch } from "./core/state.js";
export { type CountText, countMessageTokens, maxMessageTokens, type PromptSize } from "./core/tokens.js";
export {
  type AgentToAgent,
  type AgentToolsConfig,
  type SandboxConfig,
  type SessionToolsConfig,
  type SubagentsConfig,
  type ToolsConfig,
  VISIBILITIES,
  type Visibility,
} from "./core/tools-config.js";
export { type Access, accessTo, canAccess, type SessionRef, visibilityOf } from "./core/visibility.js";
export { type Window, windowBeginsAt, windowOf } from "./core/window.js";
export * from "./errors.js";
