import { z } from "zod";
import {
  COMPACTION_STRATEGIES,
  type CompactionPolicy,
  type CompactionSettings,
  DEFAULT_COMPACTION,
  FLUSH_FAILURE_POLICIES,
  type Summarize,
  withSettings,
} from "./compaction-policy.js";
import { section } from "./config-section.js";
import { modelName } from "./state.js";

const tokens = z.int().nonnegative();
const instructions = z.string().trim().min(1).max(20_000);

/** The settings of `compaction`. Every one may be left out: for an agent that means as for all, for all the default. */
export const compactionSection = section(
  "compaction",
  {
    enabled: z.boolean().optional(),
    strategy: z
      .union([z.enum(COMPACTION_STRATEGIES), z.custom<Summarize>((value) => typeof value === "function")], {
        error: `expected ${COMPACTION_STRATEGIES.map((word) => `"${word}"`).join(", ")} or a function`,
      })
      .optional(),
    model: modelName.optional(),
    reserveTokens: tokens.optional(),
    reserveTokensFloor: tokens.optional(),
    keepRecentTokens: tokens.optional(),
    minReduction: z.number().gt(0).lt(1).optional(),
    timeoutSeconds: z.number().positive().max(86_400).optional(),
    memoryFlush: section("compaction.memoryFlush", {
      enabled: z.boolean().optional(),
      softThresholdTokens: tokens.optional(),
      onFailure: z.enum(FLUSH_FAILURE_POLICIES).optional(),
      onClear: z.boolean().optional(),
      prompt: instructions.optional(),
    }).optional(),
  },
  ["mode"],
);

/** A policy from settings, with the defaults for those left out. A floor that nobody asked for fits the window it is for. */
export function fillCompaction(settings: CompactionSettings, contextTokens: number | undefined): CompactionPolicy {
  const half = Math.floor((contextTokens ?? Number.POSITIVE_INFINITY) / 2);
  const reserveTokensFloor = Math.min(DEFAULT_COMPACTION.reserveTokensFloor, half);
  return withSettings({ ...DEFAULT_COMPACTION, reserveTokensFloor }, settings);
}

/** Refuses a floor that leaves nothing of the window it stands beside: its author meant something else. */
export function checkFloor(
  floor: number | undefined,
  contextTokens: number | undefined,
  path: string,
  { issues }: Pick<z.core.$RefinementCtx, "issues">,
): void {
  if (floor === undefined || contextTokens === undefined || floor < contextTokens) return;
  issues.push({
    code: "custom",
    input: floor,
    path: ["compaction", "reserveTokensFloor"],
    message: `${floor} tokens are to be kept free in a window of ${contextTokens} (${path}.contextTokens); expected less than the window.`,
  });
}
