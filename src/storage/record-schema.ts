import { z } from "zod";
import { ACTIVATION_MODES } from "../core/activation.js";

/** A record as an index or a transcript may hold it. Fields that this version does not know are kept. */
export const recordSchema = z.looseObject({
  key: z.string(),
  uuid: z.string(),
  created: z.string(),
  lastActive: z.string(),
  messageCount: z.int().nonnegative(),
  state: z.looseObject({
    model: z.string().nullable(),
    modelOverride: z.string().nullable(),
    activationMode: z.enum(ACTIVATION_MODES),
    lastCompaction: z.string().nullable(),
    memoryFlushed: z.boolean(),
    extra: z.record(z.string(), z.unknown()),
  }),
  ancestors: z.array(z.string()),
  openTurns: z.array(z.string()),
  lastClear: z.string().nullable(),
  recentMessages: z.array(z.looseObject({ messageId: z.string(), address: z.string(), id: z.string() })),
  contextTokens: z.number().nullable(),
  sharedBy: z.array(z.string()),
});
