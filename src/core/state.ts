import { z } from "zod";
import { InvalidConfigError } from "../errors.js";
import { ACTIVATION_MODES, type ActivationMode } from "./activation.js";
import { jsonBytes } from "./json.js";
import type { ParsedSessionKey } from "./key.js";
import { describeIssues } from "./message.js";

/** A value that JSON can hold. */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** A session's settings: folded from the transcript, so they persist in the session file and nowhere else. */
export interface SessionState {
  /** The model configured for the session's agent, as of its last turn. */
  model: string | null;
  /** The model chosen for this session with `/model`; wins over `model`. */
  modelOverride: string | null;
  /** In a group: answer everything, or only what mentions the agent. */
  activationMode: ActivationMode;
  /** When the window was last compacted. */
  lastCompaction: string | null;
  /** Whether memory has been flushed since the last compaction. */
  memoryFlushed: boolean;
  /** The host's own settings for this session. At most 4,096 bytes of JSON in all. */
  extra: { [name: string]: JsonValue };
}

/** What may be changed of a state. In `extra`, `null` removes a setting and absent ones stay. */
export interface StatePatch {
  model?: string | null;
  modelOverride?: string | null;
  activationMode?: ActivationMode;
  extra?: { [name: string]: JsonValue };
}

/** The most bytes of JSON a session's `extra` may take: a record is copied on every message, and every process holds those of all sessions. */
export const MAX_EXTRA_BYTES = 4096;

const MAX_NAME_BYTES = 256;

/** A model's name. Its length is counted as it is written in the index, where a character can take six bytes. */
export const modelName = z
  .string()
  .min(1)
  .refine((name) => jsonBytes(name) <= MAX_NAME_BYTES + 2, `expected at most ${MAX_NAME_BYTES} bytes`);

/** Whether a value can be kept as a model's name: the index holds it. */
export function isModelName(value: unknown): value is string {
  return modelName.safeParse(value).success;
}

export const statePatchSchema = z.looseObject({
  model: modelName.nullable().optional(),
  modelOverride: modelName.nullable().optional(),
  activationMode: z.enum(ACTIVATION_MODES).optional(),
  // What was read from a file is JSON already, and checking that again would go as deep as the value nests.
  extra: z.record(z.string(), z.unknown()).optional(),
});

const hostPatchSchema = statePatchSchema
  .omit({ model: true })
  .extend({ extra: z.record(z.string(), z.json()).optional() })
  .strict();

/** The settings of a session nobody has set anything in: in a group the agent waits to be mentioned. */
export function initialState(kind: ParsedSessionKey["kind"]): SessionState {
  return {
    model: null,
    modelOverride: null,
    activationMode: kind === "group" ? "mention" : "always",
    lastCompaction: null,
    memoryFlushed: false,
    extra: {},
  };
}

/** The model of the next turn: the one chosen for the session, else the one configured, else the one it last had. */
export function effectiveModel(state: SessionState, configured: string | undefined): string | undefined {
  return state.modelOverride ?? configured ?? state.model ?? undefined;
}

export function applyPatch(state: SessionState, patch: StatePatch): SessionState {
  const { model = state.model, modelOverride = state.modelOverride, activationMode = state.activationMode } = patch;
  const extra = new Map(Object.entries(state.extra));
  for (const [name, value] of Object.entries(patch.extra ?? {})) {
    if (value === null) extra.delete(name);
    else extra.set(name, value);
  }
  // fromEntries defines own properties, so a setting named __proto__ is only a name.
  return { ...state, model, modelOverride, activationMode, extra: Object.fromEntries(extra) };
}

/**
 * Checks a patch that came from the host.
 * @throws InvalidConfigError naming the setting that is unknown, of the wrong type or too large.
 */
export function checkPatch(patch: unknown, state: SessionState): StatePatch {
  const result = parseHostPatch(patch);
  if (!result.success) {
    throw new InvalidConfigError(
      `The settings were not changed: ${describeIssues(result.error)}. Settings are modelOverride, activationMode and extra.`,
    );
  }
  const checked = result.data as StatePatch;
  const { extra } = applyPatch(state, checked);
  const bytes = jsonBytes(extra);
  // One that was too large before there was a bound may still shrink.
  if (bytes > MAX_EXTRA_BYTES && bytes > jsonBytes(state.extra)) {
    throw new InvalidConfigError(
      `extra would take ${bytes} bytes of JSON with ${namesOf(checked.extra)}; at most ${MAX_EXTRA_BYTES} fit in a session's state. ` +
        "Keep it in a store of your own and put its id here, or set to null what is not needed any more.",
    );
  }
  return checked;
}

function namesOf(extra: object = {}): string {
  const names = Object.keys(extra).map((name) => `extra.${name.slice(0, MAX_NAME_BYTES)}`);
  return names.length > 3 ? `${names.slice(0, 3).join(", ")} and ${names.length - 3} more` : names.join(", ");
}

function parseHostPatch(patch: unknown) {
  const extra = (patch as { extra?: unknown } | null | undefined)?.extra;
  if (typeof extra === "object" && extra !== null && Object.hasOwn(extra, "__proto__")) {
    throw new InvalidConfigError('The settings were not changed: "__proto__" cannot be the name of a setting.');
  }
  try {
    JSON.stringify(extra);
    return hostPatchSchema.safeParse(patch);
  } catch (cause) {
    throw new InvalidConfigError(
      "The settings were not changed: extra cannot be written as JSON; it is circular, nested too deep or holds a BigInt.",
      { cause },
    );
  }
}
