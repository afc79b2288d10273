/**
 * For tests of hosts and policies: a provider without a model, a clock that moves when told to, builders of messages.
 *
 * @module
 */
export { type Builders, builders } from "./testing/builders.js";
export { type ManualClock, manualClock } from "./testing/manual-clock.js";
export { type ScriptedProvider, type ScriptedStep, scriptedProvider } from "./testing/scripted-provider.js";
