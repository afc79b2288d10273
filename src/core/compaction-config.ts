import { z } from "zod";
import { COMPACTION_STRATEGIES, FLUSH_FAILURE_POLICIES, type Summarize } from "./compaction-policy.js";
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
