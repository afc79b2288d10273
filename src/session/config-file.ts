import { readFile } from "node:fs/promises";
import JSON5 from "json5";
import { parseConfig, type SessionsConfig } from "../core/config.js";
import { InvalidConfigError, isSessionError } from "../errors.js";

/**
 * Reads the settings of an `openclaw.json` (JSON5: comments and trailing commas are fine).
 * @throws InvalidConfigError when the file cannot be read, is no JSON5, or has a setting of ours that is unknown or wrong.
 */
export async function loadConfig(path: string): Promise<SessionsConfig> {
  try {
    return parseConfig(JSON5.parse(await readFile(path, "utf8")));
  } catch (cause) {
    const why = isSessionError(cause) ? cause.message : `The config could not be read: ${(cause as Error).message}.`;
    throw new InvalidConfigError(`${path}: ${why}`, { operation: "loadConfig", cause });
  }
}
