/**
 * For tests of hosts and policies: a provider without a model, a clock that moves when told to, builders of messages. For
 * those who write a storage: the contract it must keep, as checks for any test runner.
 *
 * @module
 */
export { type Builders, builders } from "./testing/builders.js";
export { storageContract } from "./testing/contract/contract.js";
export { serveContract } from "./testing/contract/serve.js";
export type {
  MakeStorage,
  StorageCheck,
  StorageClause,
  StorageContractOptions,
} from "./testing/contract/storage-check.js";
export { type ManualClock, manualClock } from "./testing/manual-clock.js";
export {
  type ScriptedProvider,
  type ScriptedStep,
  type ScriptedToolCalls,
  scriptedProvider,
} from "./testing/scripted-provider.js";
